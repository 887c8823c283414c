//! Remembers which endpoint a path led to, so that a repeated path is not taken apart again.
//!
//! In: workload, method and path as sent. Out: the place of the endpoint. Slots are compared in full: a hash that
//! collides costs a miss, never a wrong answer.

use std::hash::BuildHasher as _;

use foldhash::fast::FixedState;

/// Longest path remembered, in bytes. Overflow policy: a longer one is taken apart each time.
const MAX_PATH_BYTES: usize = 256;

impl Slot {
    fn is(&self, workload: usize, method: &str, path: &str) -> bool {
        self.workload == workload && *self.method == *method && *self.path == *path
    }
}

/// A direct-mapped cache: one slot per hash, the newest path wins.
#[derive(Debug)]
pub(super) struct Recent {
    slots: Box<[Option<Slot>]>,
    learn: u8,
}

#[derive(Debug, Clone)]
struct Slot {
    workload: usize,
    method: Box<str>,
    path: Box<str>,
    endpoint: usize,
    seen: u8,
}

impl Recent {
    /// A cache of this many paths (at least one), which answers for a path that was put `learn` times.
    pub(super) fn new(slots: usize, learn: u8) -> Self {
        Self {
            slots: vec![None; slots.max(1)].into(),
            learn,
        }
    }

    /// Place of the endpoint that this path led to, from the time on when there is nothing more to learn from it.
    pub(super) fn get(&self, workload: usize, method: &str, path: &str) -> Option<usize> {
        let slot = self.slots.get(self.index(workload, method, path))?.as_ref()?;
        (slot.seen >= self.learn && slot.is(workload, method, path)).then_some(slot.endpoint)
    }

    /// Remembers where a path led to.
    pub(super) fn put(&mut self, workload: usize, method: &str, path: &str, endpoint: usize) {
        if path.len() > MAX_PATH_BYTES {
            return;
        }
        let index = self.index(workload, method, path);
        if let Some(slot) = self.slots.get_mut(index) {
            let seen = match slot {
                Some(known) if known.endpoint == endpoint && known.is(workload, method, path) => {
                    known.seen = known.seen.saturating_add(1);
                    return;
                }
                _ => 1,
            };
            *slot = Some(Slot {
                seen,
                workload,
                method: method.into(),
                path: path.into(),
                endpoint,
            });
        }
    }

    /// Forgets everything: endpoints have moved.
    pub(super) fn clear(&mut self) {
        self.slots.fill(None);
    }

    fn index(&self, workload: usize, method: &str, path: &str) -> usize {
        let hash = FixedState::default().hash_one((workload, method, path));
        // The remainder fits: the number of slots does.
        (hash % self.slots.len() as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collision_is_a_miss() {
        let mut recent = Recent::new(1, 1);
        recent.put(0, "GET", "/a", 7);
        assert_eq!(recent.get(0, "GET", "/a"), Some(7));
        assert_eq!(recent.get(0, "GET", "/b"), None);
        assert_eq!(recent.get(1, "GET", "/a"), None);
        assert_eq!(recent.get(0, "PUT", "/a"), None);
        recent.put(0, "GET", "/b", 8);
        assert_eq!(recent.get(0, "GET", "/a"), None);
        recent.put(0, "GET", &"/x".repeat(200), 9);
        assert_eq!(recent.get(0, "GET", "/b"), Some(8));
    }
}
