//! A share with its confidence interval (Wilson, JASA 1927): what few observations say is said with wide bounds.

use serde::{Deserialize, Serialize};

/// Quantile of the normal distribution: a two-sided error of 1 in 10,000.
const Z: f64 = 3.89;

/// Hits among observations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Ratio {
    pub(crate) hits: u64,
    pub(crate) n: u64,
}

impl Ratio {
    pub(crate) fn add(&mut self, hit: bool) {
        self.n += 1;
        self.hits += u64::from(hit);
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.n += other.n;
        self.hits += other.hits;
    }

    /// The share itself; 0 without observations.
    pub(crate) fn share(self) -> f64 {
        if self.n == 0 {
            0.0
        } else {
            self.hits as f64 / self.n as f64
        }
    }

    /// Bounds of the true share.
    pub(crate) fn bounds(self) -> (f64, f64) {
        if self.n == 0 {
            return (0.0, 1.0);
        }
        let (n, share) = (self.n as f64, self.share());
        let squared = Z * Z / n;
        let centre = share + squared / 2.0;
        let spread = Z * (share * (1.0 - share) / n + squared / (4.0 * n)).sqrt();
        (
            ((centre - spread) / (1.0 + squared)).max(0.0),
            ((centre + spread) / (1.0 + squared)).min(1.0),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_observations_say_little() {
        let few = Ratio { hits: 3, n: 3 }.bounds();
        let many = Ratio { hits: 300, n: 300 }.bounds();
        assert!(few.0 < 0.2 && many.0 > 0.94, "{few:?} {many:?}");
        assert_eq!(Ratio::default().bounds(), (0.0, 1.0));
    }
}
