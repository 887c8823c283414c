//! What `apiarist status` answers: the health of the agent in one plain structure.
//!
//! In: counters from every layer, gathered by [`crate::pipeline`]. Out: JSON by serde, tables by the CLI.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The answer of `GET /v1/status`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    /// Version of the agent.
    pub version: String,
    /// Seconds since start.
    pub uptime: f64,
    /// Kernel release.
    pub kernel: String,
    /// Capture tier in use: 1, 2 or 3; 0 for replay.
    pub tier: u8,
    /// Whether TLS is read.
    pub tls: TlsReading,
    /// Events read from the rings.
    pub events: u64,
    /// Payload bytes read from the rings.
    pub bytes: u64,
    /// Exchanges recorded.
    pub exchanges: u64,
    /// Bytes or items lost, by reason. Every reason is listed, also with 0.
    pub lost: BTreeMap<String, u64>,
    /// Work done by the kernel programs and the layers above, by name.
    pub counters: BTreeMap<String, u64>,
    /// What could be seen of each workload.
    pub coverage: Vec<Coverage>,
    /// Resident memory of the agent.
    pub memory_bytes: u64,
    /// User and system CPU time of the agent.
    pub cpu_seconds: f64,
    /// Alert sinks.
    pub sinks: Vec<SinkStatus>,
    /// Sockets that listen, called or not.
    pub listeners: Vec<Listener>,
}

/// Whether the plaintext of TLS libraries is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TlsReading {
    /// It is not wanted, or there is nothing to read.
    #[default]
    Off,
    /// The kernel is being given the programs.
    Starting,
    /// It is.
    On,
    /// The kernel refuses the programs.
    Refused,
}

/// A socket that listens: an API that may be there although nobody called it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Listener {
    /// Workload whose process holds it.
    pub workload: String,
    /// Its id.
    pub workload_id: String,
    /// Its kind.
    pub kind: String,
    /// Kubernetes namespace.
    pub namespace: Option<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Where it listens: 0.0.0.0 or :: when at all addresses.
    pub address: String,
    /// Port.
    pub port: u16,
    /// From how far away it can be reached: host, cluster or internet, firewalls aside.
    pub exposure: String,
    /// Exchanges that were seen on it since the agent started.
    pub exchanges: u64,
    /// The process.
    pub pid: u32,
}

/// What could be seen of one workload.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Coverage {
    /// Name of the workload.
    pub workload: String,
    /// Bytes its observed sockets moved.
    pub bytes: u64,
    /// Share of them that was read or deliberately left out by budget, 0 to 100.
    pub read_pct: f64,
    /// TLS library, if it uses one that was recognised.
    pub tls_library: Option<String>,
    /// Names of servers that its TLS clients asked for, a few of them.
    pub server_names: Vec<String>,
    /// Protocols that were offered over TLS, a few of them.
    pub protocols: Vec<String>,
    /// Versions of TLS that were spoken, the oldest first.
    pub tls_versions: Vec<String>,
    /// Bytes that could not be read, by reason.
    pub unreadable: Vec<Unreadable>,
    /// Connections that were seen from the middle on.
    pub joined_late: u64,
    /// Share of closed connections whose captured positions equal the socket's own byte counts, 0 to 100;
    /// absent before the first close.
    pub reconciled_pct: Option<f64>,
}

/// Bytes that could not be read, and why.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Unreadable {
    /// Reason.
    pub reason: String,
    /// Bytes.
    pub bytes: u64,
}

/// State of one sink.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SinkStatus {
    /// Name.
    pub name: String,
    /// Waiting.
    pub queued: u64,
    /// Delivered.
    pub sent: u64,
    /// Given up.
    pub dropped: u64,
}
