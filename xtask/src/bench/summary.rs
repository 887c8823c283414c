//! Figures of all rounds of one work: minimum, median, maximum.

use serde_json::{Value, json};

use super::{
    Work,
    agent::{Figures, KernelTime},
    load::Round,
};

/// What all rounds of a work came to.
pub(super) struct Summary {
    work: Work,
    rates: Vec<f64>,
    ratios: Vec<f64>,
    p99_ratios: Vec<f64>,
    microseconds: Vec<f64>,
    completeness: Vec<f64>,
    lost: Vec<f64>,
    resident: Vec<f64>,
    peak: Vec<f64>,
    kernel: Option<KernelTime>,
}

impl Summary {
    pub(super) fn of(work: Work) -> Self {
        Self {
            work,
            rates: Vec::new(),
            ratios: Vec::new(),
            p99_ratios: Vec::new(),
            microseconds: Vec::new(),
            completeness: Vec::new(),
            lost: Vec::new(),
            resident: Vec::new(),
            peak: Vec::new(),
            kernel: None,
        }
    }

    /// Adds a pair of rounds.
    pub(super) fn add(&mut self, without: &Round, with: &Round, cost: &Figures) {
        self.rates.push(without.rate);
        self.ratios.push(with.rate / without.rate);
        if without.p99_ms > 0.0 {
            self.p99_ratios.push(with.p99_ms / without.p99_ms);
        }
        if self.work != Work::Files {
            self.microseconds.push(cost.microseconds_each());
            // wrk leaves the requests that were under way uncounted, the agent does not: at most 1.
            self.completeness.push((cost.exchanges / with.count).min(1.0));
        }
        self.lost.push(cost.lost);
        self.resident.push(cost.resident as f64);
        self.peak.push(cost.peak as f64);
    }

    pub(super) fn set_kernel(&mut self, kernel: KernelTime) {
        self.kernel = Some(kernel);
    }

    /// All figures.
    pub(super) fn json(&self) -> Value {
        json!({
            "work": self.work.name(),
            "rate_without": spread(&self.rates),
            "throughput_ratio": spread(&self.ratios),
            "p99_ratio": spread(&self.p99_ratios),
            "agent_us_per_exchange": spread(&self.microseconds),
            "completeness": spread(&self.completeness),
            "lost": spread(&self.lost),
            "resident_bytes": spread(&self.resident),
            "peak_bytes": spread(&self.peak),
            "kernel_ns_per_run": self.kernel.as_ref().map(|kernel| kernel.ns_each),
            "kernel_runs": self.kernel.as_ref().map(|kernel| kernel.runs),
        })
    }

    /// The medians, for people.
    pub(super) fn line(&self) -> String {
        let shown = |values: &[f64], digits: usize| match median(values) {
            Some(value) => format!("{value:.digits$}"),
            None => "-".to_owned(),
        };
        let kernel = self
            .kernel
            .as_ref()
            .map_or("-".to_owned(), |kernel| format!("{:.0}", kernel.ns_each));
        format!(
            "{}: throughput {} of {}/s, p99 {}, agent {} µs each, kernel {kernel} ns each, complete {}, lost {}, resident {} MB",
            self.work.name(),
            shown(&self.ratios, 3),
            shown(&self.rates, 0),
            shown(&self.p99_ratios, 2),
            shown(&self.microseconds, 2),
            shown(&self.completeness, 6),
            shown(&self.lost, 0),
            shown(
                &self.resident.iter().map(|bytes| bytes / 1e6).collect::<Vec<_>>(),
                1
            ),
        )
    }
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// The middle one, or the mean of the two in the middle.
pub(super) fn median(values: &[f64]) -> Option<f64> {
    let sorted = sorted(values);
    let middle = sorted.len() / 2;
    match sorted.len() % 2 {
        1 => sorted.get(middle).copied(),
        _ => Some((sorted.get(middle.checked_sub(1)?)? + sorted.get(middle)?) / 2.0),
    }
}

/// Minimum, median and maximum.
pub(super) fn spread(values: &[f64]) -> Value {
    let sorted = sorted(values);
    match (sorted.first(), median(values), sorted.last()) {
        (Some(min), Some(median), Some(max)) => json!({"min": min, "median": median, "max": max}),
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }
}
