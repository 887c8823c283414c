//! Whether an endpoint asks who calls.
//!
//! In: how many of the requests that were served carried a credential. Out: an [`AuthVerdict`], from the bounds that
//! the true share lies between (Wilson score interval, 95 %). Judged on answers with 2xx alone: a redirect to a
//! login page is no access. Refuses to judge on a few.

/// The normal quantile of a two-sided interval of 95 %.
const Z: f64 = 1.96;

/// Share of exceptions that may be noise: heads of which a part was lost.
const NOISE: f64 = 0.01;

/// Whether requests that are served carry credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthVerdict {
    /// All do.
    Consistent,
    /// Some do.
    Mixed,
    /// None does.
    Missing,
    /// Too few were seen.
    Unknown,
}

impl AuthVerdict {
    /// The name used in JSON and tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            AuthVerdict::Consistent => "consistent",
            AuthVerdict::Mixed => "mixed",
            AuthVerdict::Missing => "missing",
            AuthVerdict::Unknown => "unknown",
        }
    }

    /// The verdict on so many requests served, of which so many carried no credential.
    pub fn of(served: u64, anonymous: u64) -> Self {
        let anonymous = anonymous.min(served);
        let (low, high) = wilson(served - anonymous, served);
        if anonymous > 0 && anonymous < served && low < 1.0 - NOISE && high > NOISE {
            AuthVerdict::Mixed
        } else if low >= 0.5 {
            AuthVerdict::Consistent
        } else if high <= 0.5 {
            AuthVerdict::Missing
        } else {
            AuthVerdict::Unknown
        }
    }
}

/// Bounds of the true share (Wilson 1927).
fn wilson(hits: u64, all: u64) -> (f64, f64) {
    if all == 0 {
        return (0.0, 1.0);
    }
    let (count, share) = (all as f64, hits as f64 / all as f64);
    let squared = Z * Z / count;
    let centre = share + squared / 2.0;
    let spread = Z * (share * (1.0 - share) / count + squared / (4.0 * count)).sqrt();
    (
        (centre - spread) / (1.0 + squared),
        (centre + spread) / (1.0 + squared),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_need_enough_requests() {
        for (served, anonymous, verdict) in [
            (0, 0, AuthVerdict::Unknown),
            (3, 0, AuthVerdict::Unknown),
            (4, 0, AuthVerdict::Consistent),
            (3, 3, AuthVerdict::Unknown),
            (4, 4, AuthVerdict::Missing),
            (10, 1, AuthVerdict::Mixed),
            (2, 1, AuthVerdict::Mixed),
            (100_000, 5, AuthVerdict::Consistent),
            (100_000, 99_995, AuthVerdict::Missing),
        ] {
            assert_eq!(
                AuthVerdict::of(served, anonymous),
                verdict,
                "{anonymous} of {served}"
            );
        }
    }

    #[test]
    fn bounds_close_in() {
        let (low, high) = wilson(50, 100);
        assert!((low - 0.404).abs() < 0.001 && (high - 0.596).abs() < 0.001);
    }
}
