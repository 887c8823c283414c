//! The processes whose sockets are followed, each kept once.
//!
//! In: processes as announcements name them. Out: a shared one; all sockets of a process have the same. Refuses to know
//! when a process ends: what is forgotten here lives on with its connections.

use std::{collections::HashSet, sync::Arc};

use foldhash::fast::FixedState;

use crate::event::ProcessRef;

/// Processes that are remembered. Overflow policy: all are forgotten, and each is kept once more.
const MAX_PROCESSES: usize = 4096;

/// Those seen so far.
#[derive(Debug, Default)]
pub(super) struct Processes {
    known: HashSet<Arc<ProcessRef>, FixedState>,
}

impl Processes {
    /// The shared one that equals it.
    pub(super) fn share(&mut self, process: &ProcessRef) -> Arc<ProcessRef> {
        if let Some(known) = self.known.get(process) {
            return Arc::clone(known);
        }
        if self.known.len() >= MAX_PROCESSES {
            self.known.clear();
        }
        let shared = Arc::new(process.clone());
        self.known.insert(Arc::clone(&shared));
        shared
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: u32) -> ProcessRef {
        ProcessRef {
            pid,
            start_ns: 1,
            cgroup: 1,
            comm: "p".into(),
        }
    }

    #[test]
    fn a_process_is_kept_once() {
        let mut processes = Processes::default();
        let first = processes.share(&process(1));
        assert!(Arc::ptr_eq(&first, &processes.share(&process(1))));
        assert!(!Arc::ptr_eq(&first, &processes.share(&process(2))));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut processes = Processes::default();
        let first = processes.share(&process(0));
        for pid in 1..=MAX_PROCESSES as u32 {
            processes.share(&process(pid));
        }
        assert!(processes.known.len() <= MAX_PROCESSES);
        assert_eq!(processes.share(&process(0)), first);
    }
}
