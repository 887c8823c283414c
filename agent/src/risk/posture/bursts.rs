//! How often one address asks within a minute.
//!
//! In: hashes of addresses, with times. Out: whether one has just asked so often that a limit should have met it. Looks
//! at the latest minutes and, of many addresses, at those with the largest hashes. Nothing of it is written to the store.

use std::collections::BTreeMap;

use crate::clock::Timestamp;

/// Requests of one address in one minute from which there seems to be no limit: five in a second, without a pause.
pub(super) const MANY: u32 = 300;

/// Pairs of a minute and an address that are counted. Overflow policy: the oldest minute's go, smallest hashes first.
const MAX_COUNTED: usize = 64;

const MINUTE_NS: u64 = 60_000_000_000;

/// Counts by minute and address.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Bursts(BTreeMap<(u64, u64), u32>);

impl Bursts {
    /// Counts a request; whether it is the one that makes them many.
    pub(super) fn add(&mut self, address: u64, at: Timestamp) -> bool {
        let count = self.0.entry((at.0 / MINUTE_NS, address)).or_default();
        *count = count.saturating_add(1);
        let is_reached = *count == MANY;
        self.bound();
        is_reached
    }

    /// Adds what another one counted.
    pub(super) fn merge(&mut self, other: &Self) {
        for (key, count) in &other.0 {
            let known = self.0.entry(*key).or_default();
            *known = known.saturating_add(*count);
            self.bound();
        }
    }

    fn bound(&mut self) {
        if self.0.len() > MAX_COUNTED {
            self.0.pop_first();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_NS: u64 = 1_000_000_000;

    /// How often it was too often, of an address that asks at these times, in seconds.
    fn reached(bursts: &mut Bursts, address: u64, seconds: impl Iterator<Item = u64>) -> usize {
        let times = seconds.map(|second| Timestamp(second * SECOND_NS));
        times.filter(|at| bursts.add(address, *at)).count()
    }

    #[test]
    fn many_within_a_minute_are_noticed_once() {
        let mut bursts = Bursts::default();
        let often = |times: u32| (0..times).map(|_| 5);
        assert_eq!(reached(&mut bursts, 1, often(MANY - 1)), 0);
        assert_eq!(reached(&mut bursts, 2, often(MANY + 50)), 1);
        // The same number over more than a minute.
        assert_eq!(reached(&mut bursts, 3, (0..u64::from(MANY)).map(|at| 60 + at)), 0);
    }

    #[test]
    fn memory_is_bounded_by_forgetting_the_oldest() {
        let mut bursts = Bursts::default();
        reached(&mut bursts, 1, 0..60 * 1000);
        assert_eq!(bursts.0.len(), MAX_COUNTED);
        let mut other = Bursts::default();
        reached(&mut other, 2, 0..60 * 1000);
        bursts.merge(&other);
        assert_eq!(bursts.0.len(), MAX_COUNTED);
        assert!(
            bursts.0.keys().all(|(minute, _)| *minute >= 1000 - 64),
            "{bursts:?}"
        );
    }
}
