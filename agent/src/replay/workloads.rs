//! Names for those who speak in a file, where there is no /proc to ask.
//!
//! In: what the file says about the observed end. Out: a shared [`Workload`]: by the name that the file gives;
//! else by the task's name of a recording; else by the server's address. Equal names are one workload.

use std::{collections::HashMap, sync::Arc};

use crate::{
    event::{Address, ProcessRef},
    exchange::{Connection, Side},
    workload::{Workload, WorkloadKind},
};

/// Names remembered. Overflow policy: all are forgotten; equal names still make equal workloads.
const MAX_NAMES: usize = 65_536;

/// The workloads of a replay.
#[derive(Debug, Default)]
pub(super) struct Workloads {
    /// The connection asked for last: the next exchange is often on the same.
    last: Option<(Arc<Connection>, Arc<Workload>)>,
    known: HashMap<(WorkloadKind, String), Arc<Workload>>,
}

impl Workloads {
    /// The workload at the observed end of a connection; `named` is what the file calls it.
    pub(super) fn observed(&mut self, connection: &Arc<Connection>, named: Option<&str>) -> Arc<Workload> {
        if let Some(name) = named {
            return self.get(WorkloadKind::Unknown, name.to_owned());
        }
        if let Some((last, workload)) = &self.last
            && Arc::ptr_eq(last, connection)
        {
            return Arc::clone(workload);
        }
        let workload = self.unnamed(connection);
        self.last = Some((Arc::clone(connection), Arc::clone(&workload)));
        workload
    }

    fn unnamed(&mut self, connection: &Connection) -> Arc<Workload> {
        if let Some(name) = task(&connection.process) {
            return self.get(WorkloadKind::Process, name.to_owned());
        }
        let end = match connection.side {
            Side::Server => &connection.server,
            Side::Client => &connection.client,
        };
        let name = match end {
            // A client's port says nothing.
            Address::Ip(ip, _) if connection.side == Side::Client => ip.to_string(),
            end => end.to_string(),
        };
        self.get(WorkloadKind::Unknown, name)
    }

    /// The workload at the other end, if the file names its process.
    pub(super) fn peer(&mut self, connection: &Connection) -> Option<Arc<Workload>> {
        let name = task(connection.peer_process.as_ref()?)?.to_owned();
        Some(self.get(WorkloadKind::Process, name))
    }

    fn get(&mut self, kind: WorkloadKind, name: String) -> Arc<Workload> {
        if self.known.len() >= MAX_NAMES {
            self.known.clear();
        }
        let workload = self
            .known
            .entry((kind, name))
            .or_insert_with_key(|(kind, name)| Arc::new(Workload::named(*kind, name)));
        Arc::clone(workload)
    }
}

fn task(process: &ProcessRef) -> Option<&str> {
    Some(process.comm.as_str()).filter(|comm| !comm.is_empty())
}
