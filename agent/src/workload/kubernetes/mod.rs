//! What the API server of Kubernetes knows of the pods on this node.
//!
//! In: a kubeconfig or the account of the agent's own pod ([`access`]), and the node's name. Out: [`Cluster`], which names
//! pods, their controllers, labels, service accounts and services. [`follow()`] lists and watches, and is the only part that
//! waits for a network; what it brings goes by a bounded channel to whoever owns the [`Cluster`]. Asks for the node's own pods
//! and for services only, reads and never writes ([`REQUESTS`]). While no server can be reached, what the
//! runtime and the kubelet have written down on the node has to do.

mod access;
mod client;
mod cluster;
mod follow;
mod object;
mod session;

pub use access::{Access, AccessError, Place};
pub use cluster::{Cluster, ClusterStats};
pub use follow::{Stop, follow};
pub use object::{Pod, PodContainer, Service};
pub use session::{Change, Kind, REQUESTS, Right};

/// What a watch brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Update {
    /// Of pods of this node.
    Pods(Change<Pod>),
    /// Of services.
    Services(Change<Service>),
}
