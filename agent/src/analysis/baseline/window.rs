//! Five minutes of one endpoint, compared with what is usual.
//!
//! In: exchanges. Out, when a window ends: what was odd in it ([`Odd`]), if the same was odd in two of the last three
//! windows. Shares are compared by the bounds of their confidence intervals, mixes by divergence, rates with the same
//! hour of the week. Too few observations say nothing.

use serde::{Deserialize, Serialize};

use super::Baseline;
use crate::analysis::{
    look::{Look, Outcome},
    sketch::{Mixture, Ratio},
};

/// Seconds of a window.
pub(crate) const SECONDS: u64 = 300;

/// Observations below which a share says nothing.
const MIN_SHARE: u64 = 30;

/// Observations below which a mix says nothing.
const MIN_MIX: u64 = 200;

/// Divergence, in bits, from which a mix is another one.
const OTHER_MIX: f64 = 0.12;

/// Share of answers slower than 19 in 20 usually are, from which a window is slow.
const SLOW: f64 = 0.25;

/// What may be odd about a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measure {
    Errors,
    Latency,
    Mix,
    Rate,
    Drift,
}

impl Measure {
    const ALL: [Self; 5] = [Self::Errors, Self::Latency, Self::Mix, Self::Rate, Self::Drift];

    /// Class of the anomaly.
    pub(crate) const fn class(self) -> &'static str {
        match self {
            Self::Errors => "error_rate",
            Self::Latency => "latency",
            Self::Mix => "status_mix",
            Self::Rate => "request_rate",
            Self::Drift => "latency_drift",
        }
    }

    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Errors => "more requests fail than usual",
            Self::Latency => "answers take longer than usual",
            Self::Mix => "statuses are mixed otherwise than usual",
            Self::Rate => "far more requests than usual at this hour",
            Self::Drift => "answers take longer and longer",
        }
    }
}

/// Something odd about a window.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Odd {
    pub(crate) measure: Measure,
    pub(crate) observed: f64,
    pub(crate) expected: f64,
    pub(crate) n: u64,
}

/// The window at hand.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Window {
    /// Number of the window since the epoch.
    slot: u64,
    n: u64,
    failed: Ratio,
    slow: Ratio,
    status: Mixture,
    log_latency: f64,
    /// Of each measure: was it odd in the windows before, the last one lowest.
    history: [u8; 5],
}

impl Window {
    fn add(&mut self, look: &Look<'_>, slow: Option<f64>) {
        self.n += 1;
        if look.outcome != Outcome::Unknown {
            self.failed.add(look.outcome == Outcome::Failed);
        }
        if let Some(response) = &look.exchange.response {
            self.status.add(response.status);
        }
        if let Some((latency, limit)) = look.exchange.latency.zip(slow) {
            let micros = latency.as_micros() as f64;
            self.slow.add(micros > limit);
            self.log_latency += micros.ln_1p();
        }
    }
}

impl Baseline {
    /// Counts an exchange; at the end of a window, what was odd about it.
    pub(in crate::analysis) fn pass(&mut self, look: &Look<'_>) -> smallvec::SmallVec<[Odd; 2]> {
        let slot = look.second() / SECONDS;
        let odd = match slot > self.window.slot {
            true => self.close(slot),
            false => smallvec::SmallVec::new(),
        };
        let slow = self.is_active().then(|| self.slow_limit()).flatten();
        self.window.add(look, slow);
        self.week.add(look.hour());
        odd
    }

    fn slow_limit(&self) -> Option<f64> {
        (self.latency_us.n() >= MIN_MIX).then_some(self.latency_us.limit_95())
    }

    fn close(&mut self, slot: u64) -> smallvec::SmallVec<[Odd; 2]> {
        let mut odd = smallvec::SmallVec::new();
        if self.is_active() {
            for (at, measure) in Measure::ALL.into_iter().enumerate() {
                let found = self.judge(measure);
                let Some(history) = self.window.history.get_mut(at) else {
                    continue;
                };
                *history = *history << 1 | u8::from(found.is_some());
                // Two of the last three; a drift has taken its time already.
                if (*history & 0b111).count_ones() >= 2 || measure == Measure::Drift {
                    odd.extend(found);
                }
            }
        }
        let history = self.window.history;
        self.window = Window {
            slot,
            history,
            ..Window::default()
        };
        odd
    }

    fn judge(&mut self, measure: Measure) -> Option<Odd> {
        let window = &self.window;
        let odd = |observed, expected, n| {
            Some(Odd {
                measure,
                observed,
                expected,
                n,
            })
        };
        match measure {
            Measure::Errors if window.failed.n >= MIN_SHARE => {
                let usual = self.usual_failures();
                let (_, most) = usual.bounds();
                let (least, _) = window.failed.bounds();
                (least > most + 0.02).then(|| odd(window.failed.share(), usual.share(), window.failed.n))?
            }
            Measure::Latency if window.slow.n >= MIN_SHARE => {
                let (least, _) = window.slow.bounds();
                (least > SLOW).then(|| odd(window.slow.share(), 0.05, window.slow.n))?
            }
            Measure::Mix if window.status.total() >= MIN_MIX && self.status.total() >= MIN_MIX => {
                let divergence = window.status.divergence(&self.status);
                (divergence > OTHER_MIX).then(|| odd(divergence, 0.0, window.status.total()))?
            }
            Measure::Rate if window.n >= 100 => {
                let hour = (window.slot * SECONDS / 3600) as u32;
                let usual = self.week.usual(hour)?;
                let windows = (3600 / SECONDS) as f32;
                let expected = usual.median / windows;
                let most = expected + 8.0 * (usual.deviation / windows).max(expected.sqrt());
                let observed = window.n as f32;
                (observed > most.max(3.0 * expected))
                    .then(|| odd(f64::from(observed), f64::from(expected), usual.seen as u64))?
            }
            Measure::Drift if window.slow.n >= MIN_SHARE => {
                let count = window.slow.n;
                let middle = self.latency_us.quantile(0.5)?.ln_1p();
                let spread = (self.latency_us.quantile(0.84)?.ln_1p() - middle).max(0.05);
                let mean = window.log_latency / count as f64;
                // The mean of a skewed quantity lies over its median.
                let z = ((mean - middle) / spread - 0.25).clamp(-3.0, 3.0);
                let drifted = self.latency_us.drifts(z)?;
                odd(drifted, 8.0, count)
            }
            _ => None,
        }
    }

    fn usual_failures(&self) -> Ratio {
        Ratio {
            hits: self.status.failed(),
            n: self.status.total(),
        }
    }
}
