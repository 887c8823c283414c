//! Counts by name, of a bounded number of names.
//!
//! In: names. Out: how often each came. Refuses to grow: names beyond the bound are counted together.

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::FixedState;
use serde::{Deserialize, Serialize, Serializer};

/// Longest name kept, in bytes. Overflow policy: counted as if there was no room.
const MAX_NAME_BYTES: usize = 255;

/// Counts by name. Which names have room depends on the order they come in; the counts do not.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Asked with every exchange, listed seldom: in no order.
    #[serde(serialize_with = "in_order")]
    names: HashMap<Box<str>, u64, FixedState>,
    overflow: u64,
}

/// Whether a name had room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Room {
    /// It has a count of its own.
    Kept,
    /// It was counted with the others beyond the bound.
    Overflow,
}

impl Counts {
    /// Counts a name, keeping at most `limit` different ones.
    pub fn add(&mut self, name: &str, limit: usize) -> Room {
        self.add_many(name, 1, limit)
    }

    /// Adds all counts of another, keeping at most `limit` different names.
    pub fn merge(&mut self, other: &Self, limit: usize) {
        self.overflow += other.overflow;
        for (name, count) in other.iter() {
            // What has no room is in `overflow`.
            let (Room::Kept | Room::Overflow) = self.add_many(name, count, limit);
        }
    }

    /// Names and counts, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        let names = self.names.iter().map(|(name, count)| (name.as_ref(), *count));
        let ordered: BTreeMap<&str, u64> = names.collect();
        ordered.into_iter()
    }

    /// Names, the most frequent first, then by name.
    pub fn by_frequency(&self) -> Vec<String> {
        let mut names: Vec<_> = self.iter().collect();
        names.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), *name));
        names.into_iter().map(|(name, _)| name.to_owned()).collect()
    }

    /// How many different names were kept.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.overflow == 0
    }

    /// How often a name came that had no room.
    pub fn overflow(&self) -> u64 {
        self.overflow
    }

    fn add_many(&mut self, name: &str, count: u64, limit: usize) -> Room {
        if let Some(known) = self.names.get_mut(name) {
            *known += count;
            Room::Kept
        } else if self.names.len() < limit && name.len() <= MAX_NAME_BYTES {
            self.names.insert(name.into(), count);
            Room::Kept
        } else {
            self.overflow += count;
            Room::Overflow
        }
    }
}

/// Writes names in order, so that equal counts are written alike.
fn in_order<S: Serializer>(
    names: &HashMap<Box<str>, u64, FixedState>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(names.iter().collect::<BTreeMap<_, _>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounded_by_names() {
        let mut counts = Counts::default();
        assert!(counts.is_empty());
        for name in ["b", "a", "b", "c", "d"] {
            assert_eq!(counts.add(name, 2) == Room::Kept, ["a", "b"].contains(&name));
        }
        assert_eq!(counts.by_frequency(), ["b", "a"]);
        assert_eq!((counts.len(), counts.overflow()), (2, 2));
        assert_eq!(Counts::default().add(&"x".repeat(300), 2), Room::Overflow);
    }

    #[test]
    fn merging_adds() {
        let (mut left, mut right) = (Counts::default(), Counts::default());
        assert_eq!(left.add("a", 8), Room::Kept);
        assert_eq!(right.add("a", 8), Room::Kept);
        assert_eq!(right.add("b", 8), Room::Kept);
        left.merge(&right, 8);
        assert_eq!(left.iter().collect::<Vec<_>>(), [("a", 2), ("b", 1)]);
    }
}
