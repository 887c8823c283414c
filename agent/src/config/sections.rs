//! The keys of the configuration.
//!
//! Each field is one key: its doc comment is what the operator reads, its default is what holds without a file,
//! its range is what the checker enforces. Nothing else describes a key.

use std::{net::SocketAddr, path::PathBuf};

use apiarist_common::limits::{DEFAULT_BUDGET_BYTES, MAX_RINGS};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Detection, InventoryLimits};
use crate::{
    capture::load::DEFAULT_TLS_SESSIONS,
    policy,
    risk::Risk,
    sink::target::Target,
    workload::{OWNER_LABELS, Owners, Proxies},
};

/// Configuration of Apiarist. Every key is optional.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What is read from the kernel, and how much of it.
    pub capture: Capture,
    /// Bounds of the inventory.
    pub inventory: InventoryLimits,
    /// Who answers for workloads.
    pub workloads: Workloads,
    /// Rules of your own.
    pub policies: Policies,
    /// When baselines are believed, how many alerts are sent, and what is accepted.
    pub detection: Detection,
    /// How risk is scored.
    pub risk: Risk,
    /// Where the inventory is kept between runs.
    pub store: Store,
    /// The local control API that the query commands use.
    pub control: Control,
    /// Where incidents are sent.
    pub alerts: Alerts,
    /// What the agent gives up once it is attached.
    pub security: Security,
    /// The agent's own log, on standard error.
    pub log: Log,
}

/// What is read from the kernel, and how much of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Capture {
    /// Bytes copied of each message and direction: the head and the first part of the body. What lies beyond
    /// is counted, never copied.
    #[schemars(range(min = 256, max = 65536))]
    pub budget_bytes: u32,
    /// Size of the ring buffer of each shard, in bytes: a power of two. Events that find it full are counted as
    /// lost.
    #[schemars(range(min = 65536, max = 1073741824))]
    pub ring_bytes: u32,
    /// Threads that parse what was captured, each with a ring of its own: 1, 2 or 4; 0 for one per eight processors.
    #[schemars(range(min = 0, max = 4))]
    pub shards: u32,
    /// CPU time the agent may use before it copies less, in percent of one processor: smaller body budgets first,
    /// then bodies of fewer messages, never fewer heads. Lost events have the same effect.
    #[schemars(range(min = 1, max = 10000))]
    pub max_cpu_percent: u32,
    /// Of connections between two processes of this host, copy both ends to the last. Otherwise the client's end is left
    /// alone once the server's end has told some whole exchanges and both ends are at the same bytes: what it would add
    /// is not read. Its bytes are counted as `told_bytes`.
    pub both_ends: bool,
    /// Plaintext of connections over TLS.
    pub tls: Tls,
    /// Which sockets are observed. An empty list does not restrict; several values of one list are
    /// alternatives; all lists that are given must match.
    pub scope: Scope,
}

/// Processors whose traffic one shard is to parse.
const PROCESSORS_PER_SHARD: usize = 8;

impl Capture {
    /// Shards on a machine with so many processors.
    pub fn shards_on(&self, processors: usize) -> u32 {
        if self.shards > 0 {
            return self.shards;
        }
        match processors / PROCESSORS_PER_SHARD {
            0 | 1 => 1,
            2 | 3 => 2,
            _ => MAX_RINGS as u32,
        }
    }
}

impl Default for Capture {
    fn default() -> Self {
        Self {
            budget_bytes: DEFAULT_BUDGET_BYTES,
            ring_bytes: 8 * 1024 * 1024,
            shards: 0,
            max_cpu_percent: 100,
            both_ends: false,
            tls: Tls::default(),
            scope: Scope::default(),
        }
    }
}

/// Plaintext of connections over TLS, read inside the libraries that processes use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// Read it. Otherwise connections over TLS are counted only.
    pub enabled: bool,
    /// Sessions that the kernel remembers, and as many calls that have not returned; their memory is taken at once. Beyond,
    /// the least used give way; those that come back are counted in `tls_forgotten`.
    #[schemars(range(min = 64, max = 1048576))]
    pub sessions: u32,
    /// Task names (at most 15 bytes, as in /proc/PID/comm) on whose account no library is watched.
    pub exclude_comms: Vec<String>,
    /// Libraries and executables that are never watched: a path as the process sees it, or its beginning.
    pub exclude_paths: Vec<String>,
    /// Control groups on whose account no library is watched: a path below the cgroup root, or its beginning.
    pub exclude_cgroups: Vec<String>,
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            enabled: true,
            sessions: DEFAULT_TLS_SESSIONS,
            exclude_comms: Vec::new(),
            exclude_paths: Vec::new(),
            exclude_cgroups: Vec::new(),
        }
    }
}

/// Which sockets are observed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Scope {
    /// Local or remote TCP ports, e.g. [80, 8080].
    pub ports: Vec<u16>,
    /// Process ids, as the host sees them.
    pub pids: Vec<u32>,
    /// Task names (at most 15 bytes, as in /proc/PID/comm), e.g. ["nginx"].
    pub comms: Vec<String>,
    /// Control groups: a path below the cgroup root, or its beginning, e.g. ["/system.slice/shop.service"].
    pub cgroups: Vec<String>,
    /// Containers: an id, or its beginning (at least 12 hex digits).
    pub containers: Vec<String>,
    /// Kubernetes namespaces.
    pub namespaces: Vec<String>,
}

/// Who answers for workloads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Workloads {
    /// Rules PATTERN=OWNER; the first that fits the name of a workload, or NAMESPACE/NAME, counts; * stands for any
    /// characters: ["shop-*=payments", "prod/*=platform"].
    pub owners: Vec<String>,
    /// Labels of containers and pods that name the owner, in order, where no rule fits. After them a line X-Owner= in the
    /// unit file counts.
    pub owner_labels: Vec<String>,
    /// Addresses and networks of proxies whose fields Forwarded and X-Forwarded-For say who the client is:
    /// ["10.0.0.0/8", "::1"]. Those of anybody else are not believed.
    pub trusted_proxies: Vec<String>,
    /// What is asked of the API server of Kubernetes.
    pub kubernetes: Kubernetes,
}

/// What is asked of the API server of Kubernetes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Kubernetes {
    /// Ask it for the pods of this node and for services, where a kubeconfig is named or the agent runs in a pod with an
    /// account. Otherwise, and while it cannot be reached, pods are named by files of the runtime and the kubelet.
    pub enabled: bool,
    /// File that says where it is, as kubectl reads it. Without it the account of the agent's own pod is used.
    #[schemars(example = "/etc/kubernetes/kubelet.conf")]
    pub kubeconfig: Option<PathBuf>,
    /// Name of this node. Without it the environment variable NODE_NAME, else the host name.
    #[schemars(example = "node-1")]
    pub node: Option<String>,
}

impl Default for Kubernetes {
    fn default() -> Self {
        Self {
            enabled: true,
            kubeconfig: None,
            node: None,
        }
    }
}

impl Workloads {
    /// How owners are found.
    ///
    /// # Errors
    /// The first rule that cannot be used.
    pub fn owners(&self) -> Result<Owners, String> {
        Owners::parse(&self.owners, &self.owner_labels)
    }

    /// Whose forwarding headers count.
    ///
    /// # Errors
    /// The first network that cannot be used.
    pub fn proxies(&self) -> Result<Proxies, String> {
        Proxies::parse(&self.trusted_proxies)
    }
}

impl Default for Workloads {
    fn default() -> Self {
        Self {
            owners: Vec::new(),
            owner_labels: OWNER_LABELS.iter().map(|label| (*label).to_owned()).collect(),
            trusted_proxies: Vec::new(),
            kubernetes: Kubernetes::default(),
        }
    }
}

/// Rules of your own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Policies {
    /// File of policies, as TOML: `apiarist policy test` checks it.
    #[schemars(example = "/etc/apiarist/policies.toml")]
    pub file: Option<PathBuf>,
}

impl Policies {
    /// The rules of the file, none without one.
    ///
    /// # Errors
    /// One sentence: the file cannot be read, or what is wrong with it.
    pub fn rules(&self) -> Result<Vec<policy::Rule>, String> {
        let Some(path) = &self.file else {
            return Ok(Vec::new());
        };
        let shown = path.display();
        let text = super::read_text(path).map_err(|error| format!("cannot read {shown}: {error}"))?;
        let file = policy::read(&text).map_err(|error| format!("{shown}: {error}"))?;
        Ok(file.rules)
    }
}

/// Where the inventory is kept between runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Store {
    /// Directory of the store. Without it: /var/lib/apiarist for root, else $XDG_STATE_HOME/apiarist.
    #[schemars(example = "/var/lib/apiarist")]
    pub path: Option<PathBuf>,
    /// Seconds between two writes: what a crash of the machine can cost at the most. Where very much changes it is more, up to
    /// a minute: a second for each 2,000 rows.
    #[schemars(range(min = 1, max = 3600))]
    pub flush_seconds: u32,
    /// Largest size of the store, in bytes. When it is reached nothing more is written, and that is counted.
    #[schemars(range(min = 1048576))]
    pub max_bytes: u64,
    /// Days after which an endpoint that was not seen again is removed from the store.
    #[schemars(range(min = 1, max = 36500))]
    pub max_age_days: u32,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            path: None,
            flush_seconds: 10,
            max_bytes: 512 * 1024 * 1024,
            max_age_days: 90,
        }
    }
}

/// The local control API that the query commands use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Control {
    /// Unix socket it listens on. An absolute path.
    pub socket: PathBuf,
    /// Group that may use it, if that group exists; root always may.
    pub group: String,
    /// Address and port where /metrics, and nothing else, is served over TCP to anybody, for Prometheus. Without it
    /// nothing listens on TCP.
    #[schemars(with = "Option<String>", example = "127.0.0.1:9464")]
    pub metrics: Option<SocketAddr>,
}

/// Unix socket of the control API when nothing is configured.
pub(crate) const DEFAULT_SOCKET: &str = "/run/apiarist/apiarist.sock";

impl Default for Control {
    fn default() -> Self {
        Self {
            socket: PathBuf::from(DEFAULT_SOCKET),
            group: "apiarist".to_owned(),
            metrics: None,
        }
    }
}

/// Where incidents are sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Alerts {
    /// Collectors, by address: stdout:, file:///PATH, syslog+unix:///PATH, syslog+udp://HOST:PORT,
    /// syslog+tcp://HOST:PORT, syslog+tls://HOST:PORT?ca=FILE, journald:, webhook+https://HOST/PATH?secret_file=FILE,
    /// otlp+http://HOST:PORT, otlp+grpc://HOST:PORT, clickhouse://HOST:PORT/DATABASE?password_file=FILE. To each can be added ?format=native (or ocsf, ecs, cef, leef) and
    /// &events=incident (or anomaly, finding, several with commas); to a file &rotate_bytes= and &keep=; to OTLP
    /// &metrics=60, to send the agent's metrics every so many seconds, and &inventory=60, to send what changed of endpoints,
    /// workloads, calls, baselines, findings and risks.
    pub sinks: Vec<String>,
    /// Bytes on disk for what collectors have not accepted yet. When it is reached the oldest goes first, and that is
    /// counted.
    #[schemars(range(min = 2097152))]
    pub spool_bytes: u64,
}

impl Alerts {
    /// The collectors.
    ///
    /// # Errors
    /// What is wrong with the first address that cannot be used, or comes twice.
    pub fn targets(&self) -> Result<Vec<Target>, String> {
        let mut targets: Vec<Target> = Vec::new();
        for address in &self.sinks {
            let target = Target::parse(address)?;
            if targets.iter().any(|known| known.name == target.name) {
                return Err(format!("`{}` is named twice", target.name));
            }
            targets.push(target);
        }
        Ok(targets)
    }
}

impl Default for Alerts {
    fn default() -> Self {
        Self {
            sinks: Vec::new(),
            spool_bytes: 256 * 1024 * 1024,
        }
    }
}

/// What the agent gives up once it is attached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Security {
    /// Drop capabilities, and refuse system calls that change the host. Turn it off only to debug the agent.
    pub confine: bool,
}

impl Default for Security {
    fn default() -> Self {
        Self { confine: true }
    }
}

/// The agent's own log, on standard error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// Least severe level that is written (error, warn, info, debug, trace), or directives by module as in
    /// "info,apiarist::capture=debug". The option --log and the variable RUST_LOG come before it.
    pub filter: String,
    /// Form of a line.
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            filter: "info".to_owned(),
            format: LogFormat::default(),
        }
    }
}

/// Form of a log line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_follow_the_processors_unless_given() {
        let shards = |shards, processors| {
            Capture {
                shards,
                ..Capture::default()
            }
            .shards_on(processors)
        };
        let automatic: Vec<_> = [1, 15, 16, 31, 32, 512]
            .map(|processors| shards(0, processors))
            .into();
        assert_eq!(automatic, [1, 1, 2, 2, 4, 4]);
        assert_eq!(shards(2, 512), 2);
    }
}
