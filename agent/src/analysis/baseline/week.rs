//! How much is usual at this hour of the week.
//!
//! In: a count for each hour that has passed. Out: what to expect of an hour, with its usual deviation. Young hours of
//! the week are shrunk towards the same hour of all days. Medians and deviations are running ones: a step towards each
//! count, so that one odd hour moves them little.

use serde::{Deserialize, Serialize};

const HOURS: usize = 168;
const DAY: usize = 24;

/// Weeks after which an hour of the week stands for itself.
const GROWN: f32 = 4.0;

/// Expectation of one hour.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Usual {
    /// Middle.
    pub(crate) median: f32,
    /// Mean distance from it.
    pub(crate) deviation: f32,
    /// Hours seen.
    pub(crate) seen: f32,
}

impl Usual {
    fn learn(&mut self, count: f32) {
        self.seen += 1.0;
        let step = 1.0 / self.seen.min(12.0);
        // Winsorised: one hour counts for at most five deviations.
        let most = self.median + 5.0 * self.deviation.max(1.0);
        let count = if self.seen > 3.0 { count.min(most) } else { count };
        let distance = count - self.median;
        self.median += step * distance;
        self.deviation += step * (distance.abs() - self.deviation);
    }
}

/// Expectations by hour of the week and of the day.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Week {
    hours: Vec<Usual>,
    days: Vec<Usual>,
    hour: u32,
    count: u32,
}

impl Week {
    /// Counts one exchange of an hour since the epoch.
    pub(crate) fn add(&mut self, hour: u32) {
        if hour > self.hour {
            self.close(hour);
        }
        self.count = self.count.saturating_add(1);
    }

    /// What to expect of an hour since the epoch; `None` if no such hour was seen.
    pub(crate) fn usual(&self, hour: u32) -> Option<Usual> {
        let day = self.days.get(hour as usize % DAY).copied().unwrap_or_default();
        let own = self.hours.get(hour as usize % HOURS).copied().unwrap_or_default();
        if day.seen < 1.0 {
            return None;
        }
        let weight = (own.seen / GROWN).min(1.0);
        Some(Usual {
            median: weight * own.median + (1.0 - weight) * day.median,
            deviation: (weight * own.deviation + (1.0 - weight) * day.deviation).max(day.deviation / 2.0),
            seen: day.seen,
        })
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        if self.days.iter().map(|day| day.seen).sum::<f32>() < other.days.iter().map(|day| day.seen).sum() {
            self.days.clone_from(&other.days);
            self.hours.clone_from(&other.hours);
        }
        self.hour = self.hour.max(other.hour);
    }

    /// Bytes on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        (self.hours.capacity() + self.days.capacity()) * size_of::<Usual>()
    }

    /// Takes the hour at hand up; hours without exchanges in between count as empty, a week of them at most.
    fn close(&mut self, next: u32) {
        if self.hour > 0 {
            self.hours.resize(HOURS, Usual::default());
            self.days.resize(DAY, Usual::default());
            let gone = (next - self.hour).min(HOURS as u32);
            for at in 0..gone {
                let (hour, count) = (self.hour + at, if at == 0 { self.count as f32 } else { 0.0 });
                for usual in [
                    self.hours.get_mut(hour as usize % HOURS),
                    self.days.get_mut(hour as usize % DAY),
                ]
                .into_iter()
                .flatten()
                {
                    usual.learn(count);
                }
            }
        }
        self.hour = next;
        self.count = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nights_and_days_differ() {
        let mut week = Week::default();
        for hour in 1000..1000 + 24 * 14 {
            let count = if hour % 24 == 3 { 5 } else { 100 };
            (0..count).for_each(|_| week.add(hour));
        }
        let night = week.usual(24 * 60 + 3).expect("seen");
        let day = week.usual(24 * 60 + 12).expect("seen");
        assert!((night.median - 5.0).abs() < 1.0, "{night:?}");
        assert!((day.median - 100.0).abs() < 5.0, "{day:?}");
        assert_eq!(Week::default().usual(3), None);
    }

    #[test]
    fn one_odd_hour_moves_little() {
        let mut usual = Usual::default();
        (0..20).for_each(|_| usual.learn(100.0));
        usual.learn(1_000_000.0);
        assert!(usual.median < 110.0, "{usual:?}");
    }
}
