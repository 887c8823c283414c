//! Deploys: a workload that comes with another version has changed, and what is new in it is meant to be.
//!
//! In: exchanges with the version of who serves them. Out: whether that version is new. Replicas of two versions side by
//! side are one deploy that goes on.

use super::{detect::Memory, hash::hash, look::Look};
use crate::clock::Timestamp;

/// Workloads remembered. Overflow policy: of the one not seen for the longest no deploy is known.
const MAX_REMEMBERED: usize = 4096;

/// Seconds for which a version is new.
const NEW: u64 = 24 * 3600;

/// The version of a workload.
#[derive(Debug, Default)]
struct Version {
    /// 0 until one was seen.
    name: u64,
    /// When another one came.
    changed: Option<Timestamp>,
}

/// The versions of all workloads.
#[derive(Debug)]
pub(super) struct Deploys(Memory<Version>);

impl Default for Deploys {
    fn default() -> Self {
        Self(Memory::new(MAX_REMEMBERED))
    }
}

impl Deploys {
    /// Whether the workload that served an exchange has come with a new version not long ago.
    pub(super) fn see(&mut self, look: &Look<'_>) -> bool {
        let Some(version) = &look.served_by().version else {
            return false;
        };
        let name = hash(version.as_bytes()).max(1);
        let known = self.0.of(look.workload);
        if known.name != 0 && known.name != name {
            known.changed = Some(look.at);
        }
        known.name = name;
        known
            .changed
            .is_some_and(|changed| look.at.since(changed).as_secs() < NEW)
    }
}
