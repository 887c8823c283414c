//! Who is it: from a process to the workload that an operator knows by name.
//!
//! In: a [`crate::event::ProcessRef`] and what /proc says about it. Out: a shared [`Workload`].
//! [`identify()`] is the pure rule over [`ProcessFacts`]; [`Directory`] is the impure edge that reads the facts,
//! remembers the answers and hands out one `Arc` for equal workloads. [`Past`] knows processes that are gone, from what the
//! kernel told of their start. Containers get their names
//! from what their [`runtime`] has written down, pods from the API server of [`kubernetes`] where there is one. Refuses to ask a
//! runtime: what neither /proc nor a file nor a watch tells stays unknown here.

pub mod cgroup;
#[cfg(test)]
mod cgroup_tests;
mod controller;
mod directory;
mod forwarded;
mod identify;
pub mod kubernetes;
pub mod listening;
mod network;
mod owner;
mod past;
mod proc;
pub mod runtime;
mod script;
mod translation;
mod unit_file;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use directory::{DIRECTORY_ENTRIES, Directory, DirectoryStats, Remember};
pub use forwarded::Proxies;
pub use identify::{ProcessFacts, identify, identify_in};
pub use owner::{OWNER_LABELS, Owners};
pub use past::{PAST_ENTRIES, Past, ProcessEvent, Program};
pub use translation::{TranslationStats, Translations};

/// What kind of thing a workload is, from the most specific that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkloadKind {
    /// A Kubernetes pod's controller.
    Pod,
    /// A container of a local runtime.
    Container,
    /// A systemd service, scope or user unit.
    Systemd,
    /// A plain process, named by its executable or script.
    Process,
    /// Not a process of this host: an address, or a name given by a capture.
    Unknown,
}

impl WorkloadKind {
    /// The name used in JSON and tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            WorkloadKind::Pod => "pod",
            WorkloadKind::Container => "container",
            WorkloadKind::Systemd => "systemd",
            WorkloadKind::Process => "process",
            WorkloadKind::Unknown => "unknown",
        }
    }
}

/// A workload: what endpoints, baselines and alerts are filed under.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Workload {
    /// Stable over restarts: derived from kind and name.
    pub id: String,
    /// Short name: unit, container, script or executable name.
    pub name: String,
    /// Kind.
    pub kind: WorkloadKind,
    /// Path of the executable, if it was readable.
    pub executable: Option<String>,
    /// Script, module or jar of an interpreter.
    pub script: Option<String>,
    /// systemd unit.
    pub unit: Option<String>,
    /// Container id (64 hex digits) and what runtime the path names.
    pub container: Option<String>,
    /// Path of the control group (v2, or the deepest v1 path that names a unit or container).
    pub cgroup: Option<String>,
    /// Image of the container, as it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// What changes with a new build: digest or id of the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Kubernetes namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name of the pod seen last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    /// Kind and name of what made the pod: `Deployment/shop`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub controller: Option<String>,
    /// As whom the pod speaks to the API server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account: Option<String>,
    /// Services that the pod stands behind, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<String>,
    /// Who answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
}

impl Workload {
    /// A workload of which only kind and name are known.
    pub fn named(kind: WorkloadKind, name: &str) -> Self {
        Self {
            id: stable_id(kind, name, ""),
            name: name.to_owned(),
            kind,
            executable: None,
            script: None,
            unit: None,
            container: None,
            cgroup: None,
            image: None,
            version: None,
            namespace: None,
            pod: None,
            controller: None,
            service_account: None,
            services: Vec::new(),
            owner: None,
        }
    }
}

/// 12 hex digits of SHA-256 over kind, name and `detail`: what else tells two workloads of one name apart
/// without changing at a restart.
fn stable_id(kind: WorkloadKind, name: &str, detail: &str) -> String {
    let mut hash = Sha256::new();
    for part in [kind.as_str(), name, detail] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hex_prefix(&hash.finalize(), 6)
}

/// The first `bytes` bytes as lower-case hex digits.
fn hex_prefix(digest: &[u8], bytes: usize) -> String {
    use std::fmt::Write as _;
    digest.iter().take(bytes).fold(String::new(), |mut text, byte| {
        // Writing to a `String` cannot fail.
        write!(text, "{byte:02x}").ok();
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_short_stable_and_distinct() {
        let web = Workload::named(WorkloadKind::Systemd, "web");
        assert_eq!(web.id.len(), 12);
        assert_eq!(web.id, Workload::named(WorkloadKind::Systemd, "web").id);
        assert_ne!(web.id, Workload::named(WorkloadKind::Process, "web").id);
        assert_ne!(
            stable_id(WorkloadKind::Process, "a", "b"),
            stable_id(WorkloadKind::Process, "ab", "")
        );
    }
}
