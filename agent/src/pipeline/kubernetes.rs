//! The threads that watch the API server of Kubernetes, beside the core.
//!
//! In: the configuration and the environment. Out: updates for the core to take when it comes round. Each kind of object has a
//! thread, because each waits for a connection of its own. Without a server to ask nothing is started.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use anyhow::Result;

use crate::{
    config,
    workload::kubernetes::{Kind, Place, Update, follow},
};

/// Updates that wait for the core. Overflow policy: the thread waits, and so does the server.
const MAX_UPDATES: usize = 256;

/// What the core has of them.
pub(super) struct Node {
    updates: Receiver<Update>,
    /// Dropped to end the threads.
    _stops: Vec<SyncSender<()>>,
}

impl Node {
    /// Starts the threads; `None` when there is no server to ask.
    pub(super) fn start(settings: &config::Kubernetes) -> Result<Option<Self>> {
        let config::Kubernetes {
            enabled,
            kubeconfig,
            node,
        } = settings;
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let place = enabled
            .then(|| Place::find(kubeconfig.as_deref(), variable))
            .flatten();
        let Some(place) = place else {
            return Ok(None);
        };
        let node = node
            .clone()
            .or_else(|| variable("NODE_NAME"))
            .unwrap_or_else(host_name);
        let (give, updates): (SyncSender<Update>, _) = sync_channel(MAX_UPDATES);
        let mut stops = Vec::new();
        for kind in [Kind::Pods, Kind::Services] {
            let (place, node, give) = (place.clone(), node.clone(), give.clone());
            // Nothing is ever sent: its end is the message.
            let (stop, stopped) = sync_channel(0);
            stops.push(stop);
            // Not joined: it may be waiting for the server.
            drop(super::spawn("apiarist-k8s", move || {
                follow(&place, kind, &node, &give, &stopped)
            })?);
        }
        Ok(Some(Self {
            updates,
            _stops: stops,
        }))
    }

    /// What came since the last call.
    pub(super) fn updates(&self) -> impl Iterator<Item = Update> {
        self.updates.try_iter()
    }
}

/// The name under which kubelets register, when they are not told another.
fn host_name() -> String {
    let name = rustix::system::uname();
    name.nodename().to_string_lossy().to_lowercase()
}
