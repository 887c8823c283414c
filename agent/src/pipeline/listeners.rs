//! Sockets of this host that listen, and which of them are called.
//!
//! In: what a thread finds in /proc every [`PERIOD`], and the connections of exchanges. Out: rows for `status` and the command
//! `listeners`. A thread of its own looks, so that many processes hold up nothing.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    time::Duration,
};

use anyhow::Result;

use crate::{
    event::{Address, ProcessRef},
    exchange::{Connection, Side},
    status::Listener,
    workload::{
        Directory, Workload,
        listening::{Listening, Scanner},
    },
};

/// Time between two looks.
const PERIOD: Duration = Duration::from_secs(30);

/// Ports of namespaces of which calls are counted. Overflow policy: those of further ones are not, and show as 0.
const MAX_PORTS: usize = 4096;

/// What is known of listening sockets.
#[derive(Default)]
pub(super) struct Listeners {
    looks: Option<Looks>,
    now: Vec<(Listening, Arc<Workload>)>,
    /// Exchanges by namespace and port.
    served: BTreeMap<(u32, u16), u64>,
}

/// The thread that looks.
struct Looks {
    found: Receiver<Vec<Listening>>,
    /// Dropped to end the thread.
    _stop: SyncSender<()>,
}

impl Listeners {
    /// Starts to look.
    pub(super) fn start() -> Result<Self> {
        let (give, found) = sync_channel(1);
        let (stop, stopped) = sync_channel::<()>(0);
        // Not joined: it ends with the next look.
        drop(super::spawn("apiarist-listen", move || {
            let mut scanner = Scanner::new(Path::new("/proc"));
            loop {
                let (listening, overflow) = scanner.scan();
                if overflow > 0 {
                    tracing::debug!(overflow, "not all listening sockets are listed");
                }
                if give.send(listening).is_err() {
                    return;
                }
                match stopped.recv_timeout(PERIOD) {
                    Err(RecvTimeoutError::Timeout) => {}
                    Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        })?);
        Ok(Self {
            looks: Some(Looks { found, _stop: stop }),
            ..Self::default()
        })
    }

    /// Takes what was found meanwhile.
    pub(super) fn hear(&mut self, directory: &mut Directory) {
        let Some(found) = self
            .looks
            .as_ref()
            .and_then(|looks| looks.found.try_iter().last())
        else {
            return;
        };
        let named = found.into_iter().map(|listening| {
            let process = ProcessRef {
                pid: listening.pid,
                start_ns: 0,
                cgroup: 0,
                comm: listening.comm.as_str().into(),
            };
            let workload = directory.resolve(&process);
            (listening, workload)
        });
        self.now = named.collect();
    }

    /// Counts an exchange at the socket that took it.
    pub(super) fn served(&mut self, connection: &Connection) {
        if let (Side::Server, Address::Ip(_, port)) = (connection.side, &connection.server) {
            let key = (connection.netns, *port);
            if self.served.len() < MAX_PORTS || self.served.contains_key(&key) {
                *self.served.entry(key).or_default() += 1;
            }
        }
    }

    /// The rows, in order of workload and port.
    pub(super) fn views(&self) -> Vec<Listener> {
        let view = |(listening, workload): &(Listening, Arc<Workload>)| {
            let Listening {
                address,
                port,
                netns,
                pid,
                comm: _,
                reach,
            } = listening;
            // Namespaces are numbered by the kernel with 32 bits.
            let netns = u32::try_from(*netns).unwrap_or_default();
            Listener {
                workload: workload.name.clone(),
                workload_id: workload.id.clone(),
                kind: workload.kind.as_str().to_owned(),
                namespace: workload.namespace.clone(),
                owner: workload.owner.clone(),
                address: address.to_string(),
                port: *port,
                exposure: reach.as_str().to_owned(),
                exchanges: self.served.get(&(netns, *port)).copied().unwrap_or_default(),
                pid: *pid,
            }
        };
        let mut views: Vec<Listener> = self.now.iter().map(view).collect();
        views.sort_by(|a, b| (&a.workload, a.port, &a.address).cmp(&(&b.workload, b.port, &b.address)));
        views
    }
}
