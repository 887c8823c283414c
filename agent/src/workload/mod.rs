//! Who is it: from a process to the workload that an operator knows by name.
//!
//! In: a [`crate::event::ProcessRef`] and what /proc says about it. Out: a shared [`Workload`].

use serde::{Deserialize, Serialize};

/// What kind of thing a workload is, from the most specific that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
}
