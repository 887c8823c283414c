//! A mergeable sketch of a distribution of times or sizes.
//!
//! In: whole numbers. Out: quantiles within [`RELATIVE_ERROR`]. Buckets grow geometrically, as in DDSketch (Masson,
//! Rim, Lee, VLDB 2019), and only those in use are kept. Refuses to depend on order: the same numbers in any order,
//! or merged from parts, give the same sketch.

use serde::{Deserialize, Serialize};

/// How far a quantile may be from the true one, relative to it.
const RELATIVE_ERROR: f64 = 0.02;

/// Largest number told apart. Overflow policy: larger ones count as this one. With [`RELATIVE_ERROR`] it bounds a
/// sketch to 691 buckets of 8 bytes.
const MAX_VALUE: u64 = 1_000_000_000_000;

const GAMMA: f64 = (1.0 + RELATIVE_ERROR) / (1.0 - RELATIVE_ERROR);

/// A distribution of whole numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sketch {
    /// How many were 0.
    zeros: u32,
    /// Bucket and how many fell into it, by bucket. Bucket k holds γ^k up to γ^(k+1).
    buckets: Vec<(u16, u32)>,
}

impl Sketch {
    /// Adds a number.
    pub fn add(&mut self, value: u64) {
        if value == 0 {
            self.zeros = self.zeros.saturating_add(1);
        } else {
            // At most 691: fits.
            self.add_to((value.min(MAX_VALUE) as f64).log(GAMMA) as u16, 1);
        }
    }

    /// Adds all numbers of another sketch.
    pub fn merge(&mut self, other: &Self) {
        self.zeros = self.zeros.saturating_add(other.zeros);
        for (bucket, count) in &other.buckets {
            self.add_to(*bucket, *count);
        }
    }

    /// How many numbers were added.
    pub fn count(&self) -> u64 {
        u64::from(self.zeros)
            + self
                .buckets
                .iter()
                .map(|(_, count)| u64::from(*count))
                .sum::<u64>()
    }

    /// The `q` quantile, 0 to 1; `None` without numbers.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let last = self.count().checked_sub(1)?;
        let rank = (q.clamp(0.0, 1.0) * last as f64) as u64;
        let mut seen = u64::from(self.zeros);
        if rank < seen {
            return Some(0.0);
        }
        self.buckets.iter().find_map(|(bucket, count)| {
            seen += u64::from(*count);
            // The point whose relative distance to both ends of the bucket is the same.
            (rank < seen).then(|| 2.0 * GAMMA.powi(i32::from(*bucket) + 1) / (1.0 + GAMMA))
        })
    }

    /// Makes the lowest buckets one until at most `limit` are left: the upper quantiles stay as they are.
    pub(crate) fn collapse(&mut self, limit: usize) {
        let extra = self.buckets.len().saturating_sub(limit);
        if extra == 0 {
            return;
        }
        let merged: u32 = self
            .buckets
            .drain(..extra)
            .fold(0, |sum, (_, count)| sum.saturating_add(count));
        if let Some((_, lowest)) = self.buckets.first_mut() {
            *lowest = lowest.saturating_add(merged);
        }
    }

    /// Bytes it holds beside itself.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.buckets.capacity() * size_of::<(u16, u32)>()
    }

    fn add_to(&mut self, bucket: u16, count: u32) {
        match self.buckets.binary_search_by_key(&bucket, |(key, _)| *key) {
            Ok(at) => {
                if let Some((_, known)) = self.buckets.get_mut(at) {
                    *known = known.saturating_add(count);
                }
            }
            Err(at) => self.buckets.insert(at, (bucket, count)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_the_error() {
        let mut sketch = Sketch::default();
        assert_eq!(sketch.quantile(0.5), None);
        for value in 1..=10_000 {
            sketch.add(value);
        }
        for (q, truth) in [
            (0.0, 1.0),
            (0.5, 5000.0),
            (0.9, 9000.0),
            (0.99, 9900.0),
            (1.0, 10_000.0),
        ] {
            let found = sketch.quantile(q).expect("numbers");
            assert!(
                (found - truth).abs() <= truth * (RELATIVE_ERROR + 1e-3),
                "{q}: {found}"
            );
        }
        assert_eq!(sketch.count(), 10_000);
    }

    #[test]
    fn order_and_parts_do_not_matter() {
        let values = [0, 5, 1_000_000, 5, 0, 77, u64::MAX, 1];
        let mut forward = Sketch::default();
        values.iter().for_each(|value| forward.add(*value));
        let mut backward = Sketch::default();
        values.iter().rev().for_each(|value| backward.add(*value));
        assert_eq!(forward, backward);

        let (mut left, mut right) = (Sketch::default(), Sketch::default());
        values[..3].iter().for_each(|value| left.add(*value));
        values[3..].iter().for_each(|value| right.add(*value));
        left.merge(&right);
        assert_eq!(left, forward);
        assert_eq!(left.quantile(0.0), Some(0.0));
    }

    #[test]
    fn collapsing_keeps_what_is_large() {
        let mut sketch = Sketch::default();
        (1..=10_000).for_each(|value| sketch.add(value));
        let before = sketch.quantile(0.99);
        sketch.collapse(20);
        assert_eq!((sketch.buckets.len(), sketch.count()), (20, 10_000));
        assert_eq!(sketch.quantile(0.99), before);
    }

    #[test]
    fn bounded() {
        let mut sketch = Sketch::default();
        let mut value = 1_u64;
        while value < MAX_VALUE * 10 {
            sketch.add(value);
            value += value / 100 + 1;
        }
        assert!(sketch.buckets.len() <= 691, "{}", sketch.buckets.len());
    }
}
