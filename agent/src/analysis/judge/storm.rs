//! How many alerts are sent: a token bucket per rule, and one for all.
//!
//! In: rules that want to tell something. Out: whether they may, and how many could not before. Nothing is lost by
//! silence: alerts go on being counted and listed.

use std::collections::BTreeMap;

use crate::{analysis::settings::Settings, clock::Timestamp};

/// Rules with a bucket of their own. Overflow policy: those beyond have only the bucket of all.
const MAX_RULES: usize = 256;

const NS_PER_HOUR: f64 = 3.6e12;

/// A token bucket that holds an hour's alerts.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: f64,
    filled: Timestamp,
}

impl Bucket {
    fn full(per_hour: u32, now: Timestamp) -> Self {
        Self {
            tokens: f64::from(per_hour),
            filled: now,
        }
    }

    fn fill(&mut self, per_hour: u32, now: Timestamp) {
        let size = f64::from(per_hour);
        let passed = now.since(self.filled).as_nanos() as f64 / NS_PER_HOUR;
        self.tokens = (self.tokens + passed * size).min(size);
        self.filled = self.filled.max(now);
    }
}

/// The buckets.
#[derive(Debug, Default)]
pub(super) struct Storm {
    all: Option<Bucket>,
    rules: BTreeMap<String, Bucket>,
    suppressed: BTreeMap<String, u64>,
}

impl Storm {
    /// Whether an alert of this rule may be sent now, and if so how many of it were held back before.
    pub(super) fn pass(&mut self, rule: &str, settings: &Settings, now: Timestamp) -> Option<u64> {
        let all = self
            .all
            .get_or_insert_with(|| Bucket::full(settings.alerts_in_all, now));
        all.fill(settings.alerts_in_all, now);
        let room = self.rules.len() < MAX_RULES;
        let own = match self.rules.get_mut(rule) {
            Some(bucket) => Some(bucket),
            None if room => Some(
                self.rules
                    .entry(rule.to_owned())
                    .or_insert_with(|| Bucket::full(settings.alerts_per_rule, now)),
            ),
            None => None,
        };
        let own_passes = own.is_none_or(|bucket| {
            bucket.fill(settings.alerts_per_rule, now);
            let passes = bucket.tokens >= 1.0 && all.tokens >= 1.0;
            if passes {
                bucket.tokens -= 1.0;
            }
            passes
        });
        if !own_passes || all.tokens < 1.0 {
            if room || self.suppressed.contains_key(rule) {
                *self.suppressed.entry(rule.to_owned()).or_default() += 1;
            }
            return None;
        }
        all.tokens -= 1.0;
        Some(self.suppressed.remove(rule).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_storm_is_told_of_and_counted() {
        let settings = Settings {
            alerts_per_rule: 3,
            alerts_in_all: 5,
            ..Settings::default()
        };
        let mut storm = Storm::default();
        let now = Timestamp(1_700_000_000_000_000_000);
        let mut passed = |rule: &str, now| storm.pass(rule, &settings, now);
        let first: Vec<_> = (0..10).map(|_| passed("a", now)).collect();
        assert_eq!(first.iter().flatten().count(), 3);
        assert_eq!(
            (0..10).filter_map(|_| passed("b", now)).count(),
            2,
            "the ceiling of all"
        );
        let later = now.after(Duration::from_secs(1200));
        assert_eq!(passed("a", later), Some(7));
        assert_eq!(passed("a", later), None);
    }
}
