//! Who comes most often: Space-Saving (Metwally, Agrawal, El Abbadi, ICDT 2005).
//!
//! In: names as hashes. Out: a count for each that is among the most frequent, at most so much too high as its error.

use serde::{Deserialize, Serialize};

/// Names counted. Overflow policy: the rarest gives way to a new one, which inherits its count as its error.
const MAX_NAMES: usize = 24;

/// The most frequent names.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Top(Vec<(u64, u32, u32)>);

impl Top {
    pub(crate) fn add(&mut self, name: u64) {
        self.add_many(name, 1, 0);
    }

    /// How often a name came at least.
    pub(crate) fn at_least(&self, name: u64) -> u64 {
        self.0
            .iter()
            .find(|(known, ..)| *known == name)
            .map_or(0, |(_, count, error)| u64::from(count - error))
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (name, count, error) in &other.0 {
            self.add_many(*name, *count, *error);
        }
    }

    /// Names and how often they came at least, the most frequent first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, u64)> {
        self.0
            .iter()
            .map(|(name, count, error)| (*name, u64::from(count - error)))
    }

    fn add_many(&mut self, name: u64, count: u32, error: u32) {
        if let Some((_, known, known_error)) = self.0.iter_mut().find(|(known, ..)| *known == name) {
            *known = known.saturating_add(count);
            *known_error = known_error.saturating_add(error);
        } else if self.0.len() < MAX_NAMES {
            self.0.push((name, count, error));
        } else if let Some(rarest) = self.0.iter_mut().min_by_key(|(_, count, _)| *count) {
            let before = rarest.1;
            *rarest = (name, before.saturating_add(count), before.saturating_add(error));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frequent_stay() {
        let mut top = Top::default();
        for round in 0..1_000_u64 {
            top.add(1);
            top.add(1_000 + round);
        }
        assert!(top.at_least(1) > 900, "{}", top.at_least(1));
        assert!(top.at_least(1_500) <= 1);
        assert!(top.iter().count() <= MAX_NAMES);
    }
}
