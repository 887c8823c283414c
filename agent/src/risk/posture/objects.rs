//! Who was given which object: whether objects belong to somebody.
//!
//! In: hashes of an object's id and of the credential it was given to. Out: how many of the objects looked at went to
//! several principals. Looks at the objects with the smallest hashes, so that the order of exchanges and merging do not
//! matter. Neither ids nor credentials are kept, and the hashes are never written to the store.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Objects that are looked at. Overflow policy: those with the smallest hashes.
const MAX_OBJECTS: usize = 64;

/// Who got one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holder {
    One(u64),
    Several,
}

/// A sample of objects, with who got them.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Objects {
    #[serde(skip)]
    held: BTreeMap<u64, Holder>,
}

impl Objects {
    /// An object went to a principal.
    pub(super) fn add(&mut self, object: u64, principal: u64) {
        self.put(object, Holder::One(principal));
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (object, holder) in &other.held {
            self.put(*object, *holder);
        }
    }

    /// Objects looked at, and how many of them went to several principals.
    pub(super) fn shared(&self) -> (usize, usize) {
        let shared = self.held.values().filter(|holder| **holder == Holder::Several);
        (self.held.len(), shared.count())
    }

    fn put(&mut self, object: u64, holder: Holder) {
        let known = self.held.entry(object).or_insert(holder);
        if *known != holder {
            *known = Holder::Several;
        }
        if self.held.len() > MAX_OBJECTS {
            self.held.pop_last();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_parts_do_not_matter() {
        let given: Vec<(u64, u64)> = (0..500).map(|at| (at * 7919 % 211, at % 3)).collect();
        let of = |given: &[(u64, u64)]| {
            let mut objects = Objects::default();
            given.iter().for_each(|(object, who)| objects.add(*object, *who));
            objects
        };
        let whole = of(&given);
        let reversed: Vec<_> = given.iter().rev().copied().collect();
        assert_eq!(of(&reversed), whole);
        let mut parts = of(&given[..100]);
        parts.merge(&of(&given[100..]));
        assert_eq!(parts, whole);
        assert_eq!(whole.shared().0, MAX_OBJECTS);
    }

    #[test]
    fn an_object_of_one_principal_is_not_shared() {
        let mut objects = Objects::default();
        objects.add(1, 10);
        objects.add(1, 10);
        objects.add(2, 10);
        assert_eq!(objects.shared(), (2, 0));
        objects.add(2, 11);
        assert_eq!(objects.shared(), (2, 1));
    }
}
