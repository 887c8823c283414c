//! One quantity of an endpoint: its distribution, how large is extreme, and whether it drifts.
//!
//! In: numbers, in order of time. Out: quantiles, and the size beyond which a number is one in a million. What is
//! learned is winsorised: an extreme number counts as the smallest of the upper tail.

use serde::{Deserialize, Serialize};

use super::{Quantiles, tail::Tail};

/// Numbers from which there is a tail.
const MIN_NUMBERS: u64 = 200;

/// Probability of a number that is extreme.
const EXTREME: f64 = 1e-6;

/// Quantile over which a number is a peak.
const PEAK: f64 = 0.98;

/// Numbers between two looks at the limits.
const REFRESH: u64 = 64;

/// A quantity.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Metric {
    values: Quantiles,
    tail: Tail,
    /// Logarithm of the value over which a number is a peak; 0 while unknown.
    peak: f64,
    /// Logarithm of the value over which a number is extreme; 0 while unknown.
    extreme: f64,
    /// The 95th percentile when it was last looked at.
    high: f64,
    n: u64,
    /// Numbers below are neither; 0 while unknown, and again after a restart.
    #[serde(skip)]
    usual_below: u64,
    /// Cumulative sums of Page (Biometrika 1954) of the logarithm, up and down, in standard deviations.
    drift: (f64, f64),
}

impl Metric {
    /// Learns a number; an extreme one as the smallest of the upper tail.
    pub(crate) fn add(&mut self, value: u64) {
        if value < self.usual_below {
            self.values.add(value);
            self.tail.add(None);
        } else {
            self.add_large(value);
        }
        self.n += 1;
        if self.n.is_multiple_of(REFRESH) && self.n >= MIN_NUMBERS {
            self.refresh();
        }
    }

    /// Learns a number that may be a peak.
    fn add_large(&mut self, value: u64) {
        let mut log = ln(value);
        let mut value = value;
        if self.extreme > 0.0 && log > self.extreme {
            // Else enough of them would raise the limit.
            log = self.peak;
            value = log.exp_m1() as u64;
        }
        self.values.add(value);
        if self.peak > 0.0 {
            self.tail.add((log > self.peak).then_some(log - self.peak));
        }
    }

    /// The limit that a number exceeds by being extreme.
    pub(crate) fn is_extreme(&self, value: u64) -> Option<f64> {
        (value >= self.usual_below && self.extreme > 0.0 && ln(value) > self.extreme)
            .then(|| self.extreme.exp_m1())
    }

    /// The `q` quantile; `None` without numbers.
    pub(crate) fn quantile(&self, q: f64) -> Option<f64> {
        self.values.at(q)
    }

    /// The 95th percentile, when it was last looked at.
    pub(crate) const fn limit_95(&self) -> f64 {
        self.high
    }

    /// Numbers learned.
    pub(crate) const fn n(&self) -> u64 {
        self.n
    }

    /// Adds the mean of a window, `z` standard deviations from usual; how far it has drifted, if that is too far.
    pub(crate) fn drifts(&mut self, z: f64) -> Option<f64> {
        // Slack of a half and a limit of 8: a mean that is off by one is found in 16 windows, chance alone in 10^6.
        let (up, down) = self.drift;
        self.drift = ((up + z - 0.5).max(0.0), (down - z - 0.5).max(0.0));
        let most = self.drift.0.max(self.drift.1);
        (most > 8.0).then(|| {
            self.drift = (0.0, 0.0);
            most
        })
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.values.merge(&other.values);
        self.n += other.n;
        if self.peak == 0.0 || other.n > self.n / 2 {
            (self.peak, self.tail) = (other.peak, other.tail);
        } else if (self.peak - other.peak).abs() < 0.05 {
            self.tail.merge(other.tail);
        }
        self.refresh();
    }

    /// Bytes on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.values.heap_bytes()
    }

    fn refresh(&mut self) {
        if self.peak == 0.0 {
            self.peak = self.values.at(PEAK).map_or(0.0, |value| value.ln_1p());
        }
        self.high = self.values.at(0.95).unwrap_or(0.0);
        let top = self.values.at(1.0).unwrap_or(0.0).ln_1p();
        if let Some(over) = self.tail.quantile(EXTREME) {
            // Never nearer than double the 99th percentile, whatever the fit says.
            let least = self.values.at(0.99).unwrap_or(0.0).ln_1p() + 2_f64.ln();
            self.extreme = (self.peak + over).max(least).min(top + 6.0);
        }
        let usual = match self.extreme > 0.0 {
            true => self.peak.min(self.extreme),
            false => self.peak,
        };
        // Rounded down: what is near a limit is compared with the limit itself.
        self.usual_below = (usual.exp_m1() * 0.999) as u64;
    }
}

fn ln(value: u64) -> f64 {
    (value as f64).ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers between 900 and 1100, in an order that looks random.
    fn usual() -> impl Iterator<Item = u64> {
        (0..20_000_u64).map(|at| 900 + at.wrapping_mul(7_919) % 200)
    }

    #[test]
    fn extremes_are_far_out_and_are_not_learned() {
        let mut metric = Metric::default();
        usual().for_each(|value| metric.add(value));
        assert_eq!(metric.is_extreme(1_100), None);
        assert!(metric.is_extreme(100_000).is_some());
        (0..2_000).for_each(|_| metric.add(100_000_000));
        assert!(
            metric.is_extreme(100_000_000).is_some(),
            "what is extreme stays so"
        );
    }

    #[test]
    fn what_is_usual_is_learned_the_same_after_a_restart() {
        let mut metric = Metric::default();
        usual().for_each(|value| metric.add(value));
        let mut restarted = Metric {
            usual_below: 0,
            ..metric.clone()
        };
        assert!((900..1_100).contains(&metric.usual_below));
        for value in usual().chain([5_000, 100_000_000]).take(63) {
            metric.add(value);
            restarted.add(value);
            assert_eq!(metric.is_extreme(value), restarted.is_extreme(value));
        }
        restarted.usual_below = metric.usual_below;
        assert_eq!(metric, restarted);
    }

    #[test]
    fn drift_is_slow_and_found() {
        let mut metric = Metric::default();
        for at in 0..1000 {
            assert_eq!(metric.drifts(if at % 2 == 0 { 0.4 } else { -0.4 }), None);
        }
        assert!((0..30).any(|_| metric.drifts(1.0).is_some()));
    }
}
