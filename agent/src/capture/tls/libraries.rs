//! The TLS that each process uses, as far as it was found.
//!
//! In: what a look at a process found. Out: the same, to who reports. Refuses to look.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, PoisonError, RwLock},
};

use super::{discovery::MAX_PROCESSES, stack::Stack};

/// What is known by process, shared between who finds and who reports it.
#[derive(Debug, Clone, Default)]
pub struct Libraries(Arc<RwLock<HashMap<u32, Stack>>>);

impl Libraries {
    /// The TLS of a process.
    pub fn of(&self, pid: u32) -> Option<Stack> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.get(&pid).copied()
    }

    /// Processes that are let alone.
    pub(super) fn excluded(&self) -> Vec<u32> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let excluded = known.iter().filter(|(_, stack)| **stack == Stack::EXCLUDED);
        excluded.map(|(pid, _)| *pid).collect()
    }

    pub(crate) fn set(&self, pid: u32, stack: Option<Stack>) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        match stack {
            Some(stack) => drop(known.insert(pid, stack)),
            None => drop(known.remove(&pid)),
        }
    }

    /// Forgets processes that are gone once there are many: the last report on one comes after its end.
    pub(super) fn keep(&self, alive: &BTreeSet<u32>) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() > MAX_PROCESSES {
            known.retain(|pid, _| alive.contains(pid));
        }
    }
}
