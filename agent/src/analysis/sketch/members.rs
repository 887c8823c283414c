//! The set of those who were there: callers of an endpoint, hosts a workload calls.
//!
//! In: names as hashes, and the hour. Out: whether one belongs there, and whether it is odd that it does not. Who was
//! there in one hour only does not belong yet. A set that grows beyond its bound is open: nobody is odd.

use serde::{Deserialize, Serialize};

/// Names of one set. Overflow policy: the set is open from then on.
const MAX_NAMES: usize = 32;

/// Additions since the last new name from which a set is settled.
const SETTLED: u64 = 200;

/// Hours of the clock between two sightings that are not one visit: at least an hour lies between them.
const APART: u32 = 2;

/// The hour of a name that belongs.
const BELONGS: u32 = 0;

/// A bounded set of names.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Members {
    /// In order; each with the hour it first came in, until it comes in another.
    names: Vec<(u64, u32)>,
    is_open: bool,
    /// Additions since the last new name.
    since: u64,
}

/// What a name is to a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Member {
    /// It belongs there.
    Known,
    /// It does not, and that says nothing: the set is open, or not settled.
    Fresh,
    /// It does not, and the set had seemed complete.
    Stranger,
}

impl Members {
    /// What a name is, without adding it.
    pub(crate) fn ask(&self, name: u64) -> Member {
        let known = self.find(name).ok().and_then(|at| self.names.get(at));
        if known.is_some_and(|(_, hour)| *hour == BELONGS) {
            Member::Known
        } else if self.is_open || self.since < SETTLED {
            Member::Fresh
        } else {
            Member::Stranger
        }
    }

    /// Adds a name that came in an hour since the epoch.
    pub(crate) fn add(&mut self, name: u64, hour: u32) {
        self.since = self.since.saturating_add(1);
        match self.find(name) {
            Ok(at) => {
                if let Some((_, first)) = self.names.get_mut(at)
                    && *first != BELONGS
                    && hour.abs_diff(*first) >= APART
                {
                    *first = BELONGS;
                }
            }
            Err(at) if self.names.len() < MAX_NAMES => self.names.insert(at, (name, hour)),
            Err(_) => {
                // Who came once gives way; when all belong, the set is open.
                let before = self.names.len();
                self.names
                    .retain(|(_, first)| *first == BELONGS || *first == hour);
                self.is_open |= self.names.len() == before;
            }
        }
    }

    /// The set is complete: the operator says so.
    pub(crate) fn settle(&mut self) {
        self.since = self.since.max(SETTLED);
        for (_, hour) in &mut self.names {
            *hour = BELONGS;
        }
    }

    pub(crate) const fn is_open(&self) -> bool {
        self.is_open
    }

    /// How many belong.
    pub(crate) fn len(&self) -> usize {
        self.names.iter().filter(|(_, hour)| *hour == BELONGS).count()
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (name, hour) in &other.names {
            match self.find(*name) {
                Ok(_) => self.add(*name, *hour),
                Err(at) if self.names.len() < MAX_NAMES => self.names.insert(at, (*name, *hour)),
                Err(_) => self.is_open = true,
            }
        }
        self.is_open |= other.is_open;
        self.since = self.since.max(other.since);
    }

    /// Bytes on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.names.capacity() * size_of::<(u64, u32)>()
    }

    fn find(&self, name: u64) -> Result<usize, usize> {
        self.names.binary_search_by_key(&name, |(known, _)| *known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_are_those_who_come_late_or_in_one_hour_only() {
        let mut members = Members::default();
        members.add(1, 1);
        assert_eq!(members.ask(1), Member::Fresh);
        members.add(1, 2);
        assert_eq!(members.ask(1), Member::Fresh, "it may be one visit");
        members.add(1, 3);
        assert_eq!((members.ask(1), members.ask(2)), (Member::Known, Member::Fresh));
        (0..SETTLED).for_each(|_| members.add(2, 3));
        assert_eq!(
            (members.ask(2), members.ask(3)),
            (Member::Stranger, Member::Stranger)
        );
        members.settle();
        assert_eq!(members.ask(2), Member::Known);
        for hour in 5..8 {
            (0..1000).for_each(|name| members.add(name, hour));
        }
        assert!(members.is_open() && members.len() <= MAX_NAMES);
        assert_eq!(members.ask(5_000), Member::Fresh);
    }
}
