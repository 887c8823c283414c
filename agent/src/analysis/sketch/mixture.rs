//! Shares of a few kinds (status codes), and how far two sets of shares are from each other.
//!
//! In: kinds as numbers. Out: counts, and the Jensen–Shannon divergence in bits, 0 to 1 (Lin, IEEE TIT 1991).

use serde::{Deserialize, Serialize};

/// Kinds told apart. Overflow policy: further ones count as the last.
const MAX_KINDS: usize = 16;

/// Counts by kind, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Mixture(Vec<(u16, u32)>);

impl Mixture {
    pub(crate) fn add(&mut self, kind: u16) {
        self.add_many(kind, 1);
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (kind, count) in &other.0 {
            self.add_many(*kind, *count);
        }
    }

    pub(crate) fn total(&self) -> u64 {
        self.0.iter().map(|(_, count)| u64::from(*count)).sum()
    }

    /// Whether a kind came at all.
    pub(crate) fn has(&self, kind: u16) -> bool {
        self.count(kind) > 0
    }

    /// How many of the kinds were failures of a server: 500 to 599.
    pub(crate) fn failed(&self) -> u64 {
        self.0
            .iter()
            .filter(|(kind, _)| (500..600).contains(kind))
            .map(|(_, count)| u64::from(*count))
            .sum()
    }

    /// Jensen–Shannon divergence of the shares, in bits.
    pub(crate) fn divergence(&self, other: &Self) -> f64 {
        let (left, right) = (self.total() as f64, other.total() as f64);
        if left == 0.0 || right == 0.0 {
            return 0.0;
        }
        let share = |mixture: &Self, kind: u16, total: f64| f64::from(mixture.count(kind)) / total;
        let part = |own: f64, mean: f64| if own > 0.0 { own * (own / mean).log2() } else { 0.0 };
        let kinds = self.0.iter().map(|(kind, _)| *kind);
        let others = other
            .0
            .iter()
            .map(|(kind, _)| *kind)
            .filter(|kind| self.count(*kind) == 0);
        kinds
            .chain(others)
            .map(|kind| {
                let (p, q) = (share(self, kind, left), share(other, kind, right));
                let mean = (p + q) / 2.0;
                (part(p, mean) + part(q, mean)) / 2.0
            })
            .sum()
    }

    fn count(&self, kind: u16) -> u32 {
        self.0
            .binary_search_by_key(&kind, |(known, _)| *known)
            .ok()
            .and_then(|at| self.0.get(at))
            .map_or(0, |(_, count)| *count)
    }

    fn add_many(&mut self, kind: u16, count: u32) {
        match self.0.binary_search_by_key(&kind, |(known, _)| *known) {
            Ok(at) => {
                if let Some((_, known)) = self.0.get_mut(at) {
                    *known = known.saturating_add(count);
                }
            }
            Err(at) if self.0.len() < MAX_KINDS => self.0.insert(at, (kind, count)),
            Err(_) => {
                if let Some((_, known)) = self.0.last_mut() {
                    *known = known.saturating_add(count);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mixture(counts: &[(u16, u32)]) -> Mixture {
        let mut mixture = Mixture::default();
        for (kind, count) in counts {
            mixture.add_many(*kind, *count);
        }
        mixture
    }

    #[test]
    fn divergence_is_0_of_the_same_and_1_of_what_shares_nothing() {
        let usual = mixture(&[(200, 950), (404, 50)]);
        assert!(usual.divergence(&mixture(&[(200, 95), (404, 5)])) < 1e-9);
        assert!((usual.divergence(&mixture(&[(500, 10)])) - 1.0).abs() < 1e-9);
        let failing = usual.divergence(&mixture(&[(200, 100), (500, 100)]));
        assert!(failing > 0.2 && failing < 0.6, "{failing}");
        assert!(usual.has(200) && !usual.has(201));
    }

    #[test]
    fn bounded() {
        let mut mixture = Mixture::default();
        (0..1000).for_each(|kind| mixture.add(kind));
        assert_eq!((mixture.0.len(), mixture.total()), (MAX_KINDS, 1000));
    }
}
