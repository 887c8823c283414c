//! A distribution whose size is bounded: the sketch of the inventory, with its lowest buckets collapsed (DDSketch §3,
//! Masson, Rim, Lee, VLDB 2019).

use serde::{Deserialize, Serialize};

use crate::inventory::Sketch;

/// Buckets of one distribution, 8 bytes each. Overflow policy: the lowest become one, which leaves the upper
/// quantiles as they are.
const MAX_BUCKETS: usize = 48;

/// A bounded distribution of whole numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Quantiles(Sketch);

impl Quantiles {
    pub(crate) fn add(&mut self, value: u64) {
        self.0.add(value);
        self.0.collapse(MAX_BUCKETS);
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.0.merge(&other.0);
        self.0.collapse(MAX_BUCKETS);
    }

    /// How many numbers were added.
    pub(crate) fn count(&self) -> u64 {
        self.0.count()
    }

    /// The `q` quantile; `None` without numbers.
    pub(crate) fn at(&self, q: f64) -> Option<f64> {
        self.0.quantile(q)
    }

    /// Bytes on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.0.heap_bytes()
    }
}
