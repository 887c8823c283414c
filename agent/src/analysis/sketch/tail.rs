//! How large a value may be before it is extreme: the upper tail as a generalised Pareto distribution over a
//! threshold (SPOT: Siffer et al., KDD 2017), fitted by moments (Hosking, Wallis, Technometrics 1987).
//!
//! In: logarithms of values, and the threshold over which they are peaks. Out: the value that is exceeded with a
//! given probability. Keeps moments, not peaks.

use serde::{Deserialize, Serialize};

/// Peaks from which a tail is fitted.
const MIN_PEAKS: u32 = 10;

/// Moments of the peaks over a threshold.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Tail {
    peaks: u32,
    n: u64,
    sum: f64,
    squares: f64,
}

impl Tail {
    /// Counts a value; `excess` is how far it lies over the threshold, if it does.
    pub(crate) fn add(&mut self, excess: Option<f64>) {
        self.n += 1;
        if let Some(excess) = excess {
            self.peaks = self.peaks.saturating_add(1);
            self.sum += excess;
            self.squares += excess * excess;
        }
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.peaks = self.peaks.saturating_add(other.peaks);
        self.n += other.n;
        self.sum += other.sum;
        self.squares += other.squares;
    }

    /// How far over the threshold a value lies that is exceeded with probability `q`; `None` while too little is
    /// known.
    pub(crate) fn quantile(&self, q: f64) -> Option<f64> {
        if self.peaks < MIN_PEAKS {
            return None;
        }
        let count = f64::from(self.peaks);
        let mean = self.sum / count;
        let variance = (self.squares / count - mean * mean).max(1e-12);
        let ratio = mean * mean / variance;
        // Shapes beyond one half have no variance to fit.
        let shape = (0.5 * (1.0 - ratio)).clamp(-0.5, 0.45);
        let scale = (mean * (1.0 - shape)).max(1e-9);
        let expected = q * self.n as f64 / count;
        Some(if shape.abs() < 1e-6 {
            -scale * expected.ln()
        } else {
            scale / shape * (expected.powf(-shape) - 1.0)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exponential_tail_is_found() {
        // Excesses at the quantiles of an exponential distribution with mean 0.3, one value in fifty.
        let mut tail = Tail::default();
        assert_eq!(tail.quantile(1e-6), None);
        for at in 0..1000 {
            let u = (f64::from(at) + 0.5) / 1000.0;
            tail.add(Some(-0.3 * (1.0 - u).ln()));
            (0..49).for_each(|_| tail.add(None));
        }
        let truth = -0.3 * (1e-6_f64 * 50.0).ln();
        let found = tail.quantile(1e-6).expect("peaks");
        assert!((found - truth).abs() < truth * 0.1, "{found} {truth}");
    }
}
