//! The only place that asks the system for the time.
//!
//! Out: [`Timestamp`], wall-clock time in nanoseconds since the Unix epoch, the one time type of the project.
//! Kernel events carry `CLOCK_MONOTONIC`; [`Clock`] maps them with an offset taken at start, so that a clock
//! step afterwards neither reorders nor stretches anything. Refuses to be called from sans-IO code: there, time
//! is an argument.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Wall-clock time: nanoseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// From seconds since the epoch; negative and non-finite values become the epoch.
    pub fn from_secs_f64(seconds: f64) -> Self {
        // Casts from f64 saturate and map NaN to 0. Seconds and fraction apart keep what the number had.
        let whole = seconds.max(0.0).trunc();
        let ns = ((seconds - whole).max(0.0) * 1e9).round() as u64;
        Self((whole as u64).saturating_mul(1_000_000_000).saturating_add(ns))
    }

    /// Seconds since the epoch, with microsecond precision for present dates.
    pub fn as_secs_f64(self) -> f64 {
        let (seconds, ns) = (self.0 / 1_000_000_000, self.0 % 1_000_000_000);
        seconds as f64 + ns as f64 / 1e9
    }

    /// Time since `earlier`; zero if that is in the future.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// This time plus `span`, saturating.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)),
        )
    }

    /// As RFC 3339 writes it, in UTC with milliseconds: `2023-11-14T22:13:20.250Z`.
    pub fn rfc3339(self) -> String {
        // Every u64 of nanoseconds lies before the year 2555, which jiff can hold.
        jiff::Timestamp::from_nanosecond(i128::from(self.0))
            .map(|time| format!("{time:.3}"))
            .unwrap_or_default()
    }

    /// From RFC 3339 text with any offset; `None` if it is none, or before the epoch.
    pub fn from_rfc3339(text: &str) -> Option<Self> {
        let time: jiff::Timestamp = text.parse().ok()?;
        u64::try_from(time.as_nanosecond()).ok().map(Self)
    }
}

/// Maps the kernel's monotonic time to wall-clock time.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    wall_minus_monotonic_ns: u64,
}

impl Clock {
    /// Reads both clocks once.
    pub fn start() -> Self {
        Self {
            wall_minus_monotonic_ns: now().0.saturating_sub(monotonic_ns()),
        }
    }

    /// A fixed mapping, for recordings and tests.
    pub const fn fixed(wall_minus_monotonic_ns: u64) -> Self {
        Self {
            wall_minus_monotonic_ns,
        }
    }

    /// Wall-clock time of a `CLOCK_MONOTONIC` reading in nanoseconds.
    pub fn wall(&self, monotonic_ns: u64) -> Timestamp {
        Timestamp(monotonic_ns.saturating_add(self.wall_minus_monotonic_ns))
    }
}

/// The present wall-clock time. For the edges only.
#[expect(clippy::disallowed_methods, reason = "the one place")]
pub fn now() -> Timestamp {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

/// `CLOCK_MONOTONIC` in nanoseconds, the clock of `bpf_ktime_get_ns`. For the edges only.
pub fn monotonic_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
}

/// CPU time of this process so far, in seconds.
pub fn process_cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_round_trip() {
        let time = Timestamp::from_secs_f64(1_700_000_000.25);
        assert_eq!(time, Timestamp(1_700_000_000_250_000_000));
        assert_eq!(time.as_secs_f64(), 1_700_000_000.25);
        for micros in 0..1_000 {
            let seconds = 1_700_000_000.0 + f64::from(micros * 997) / 1e6;
            assert_eq!(Timestamp::from_secs_f64(seconds).as_secs_f64(), seconds);
        }
        assert_eq!(Timestamp::from_secs_f64(f64::INFINITY), Timestamp(u64::MAX));
        assert_eq!(Timestamp::from_secs_f64(f64::NAN), Timestamp(0));
        assert_eq!(Timestamp::from_secs_f64(-1.0), Timestamp(0));
    }

    #[test]
    fn dates_as_rfc_3339_writes_them() {
        for (seconds, text) in [
            (0.0, "1970-01-01T00:00:00.000Z"),
            (951_782_399.0, "2000-02-28T23:59:59.000Z"),
            (1_700_000_000.25, "2023-11-14T22:13:20.250Z"),
        ] {
            assert_eq!(Timestamp::from_secs_f64(seconds).rfc3339(), text);
            assert_eq!(
                Timestamp::from_rfc3339(text),
                Some(Timestamp::from_secs_f64(seconds))
            );
        }
        assert_eq!(Timestamp(u64::MAX).rfc3339(), "2554-07-21T23:34:33.709Z");
    }
}
