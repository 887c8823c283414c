//! How much is copied when the agent costs too much or loses events: bodies first, heads never.
//!
//! In: CPU use and losses since the last look, once a second. Out: a [`Control`] for the kernel programs when something is
//! to change. A ladder: smaller body budgets, then bodies of fewer messages. Goes down a step after a few bad seconds, up
//! again after a longer good time, so that it does not swing. Pure: knows no clock and no kernel.

use apiarist_common::control::Control;

/// Bad seconds before a step down.
const PATIENCE: u32 = 3;

/// Good seconds before a step up.
const RECOVERY: u32 = 30;

/// Share of the CPU limit below which a second is good.
const COMFORT: f64 = 0.7;

/// Steps of the ladder: budgets as a power of two of the configured one, and which messages are sampled.
const STEPS: [(u32, u32); 7] = [(0, 0), (1, 0), (2, 0), (2, 1), (2, 3), (2, 7), (2, 15)];

/// What happened in the last second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Second {
    /// CPU seconds of the agent per second.
    pub(super) cpu: f64,
    /// Events lost because rings were full or quotas used up.
    pub(super) lost: u64,
}

/// The governor's memory.
#[derive(Debug)]
pub(super) struct Governor {
    full: Control,
    cpu_limit: f64,
    step: usize,
    bad: u32,
    good: u32,
}

impl Governor {
    /// `full` is what holds while all is well; `cpu_limit` is in CPU seconds per second.
    pub(super) fn new(full: Control, cpu_limit: f64) -> Self {
        Self {
            full,
            cpu_limit,
            step: 0,
            bad: 0,
            good: 0,
        }
    }

    /// Takes over another full control and another limit; gives what holds now.
    pub(super) fn configure(&mut self, full: Control, cpu_limit: f64) -> Control {
        self.full = full;
        self.cpu_limit = cpu_limit;
        self.control()
    }

    /// Looks at a second; gives the new control if there is to be one.
    pub(super) fn second(&mut self, second: Second) -> Option<Control> {
        let before = self.step;
        if second.cpu > self.cpu_limit || second.lost > 0 {
            self.good = 0;
            self.bad += 1;
            if self.bad >= PATIENCE {
                self.bad = 0;
                self.step = (self.step + 1).min(STEPS.len() - 1);
            }
        } else {
            self.bad = 0;
            self.good = if second.cpu <= self.cpu_limit * COMFORT {
                self.good + 1
            } else {
                0
            };
            if self.good >= RECOVERY {
                self.good = 0;
                self.step = self.step.saturating_sub(1);
            }
        }
        (self.step != before).then(|| self.control())
    }

    /// Steps down from the full budget.
    pub(super) fn step(&self) -> usize {
        self.step
    }

    /// What holds now.
    pub(super) fn control(&self) -> Control {
        let (halvings, sample_mask) = STEPS.get(self.step).copied().unwrap_or((0, 0));
        Control {
            budget_bytes: (self.full.budget_bytes >> halvings).max(self.full.floor_bytes),
            sample_mask,
            ..self.full
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: Control = Control {
        budget_bytes: 8192,
        floor_bytes: 2048,
        sample_mask: 0,
        quota_bytes: 1,
    };
    const GOOD: Second = Second { cpu: 0.1, lost: 0 };
    const BUSY: Second = Second { cpu: 1.5, lost: 0 };
    const LOSSY: Second = Second { cpu: 0.1, lost: 7 };

    #[test]
    fn one_bad_second_changes_nothing() {
        let mut governor = Governor::new(FULL, 1.0);
        for _ in 0..100 {
            assert_eq!(governor.second(BUSY), None);
            assert_eq!(governor.second(GOOD), None);
        }
    }

    #[test]
    fn bodies_shrink_before_they_are_sampled_and_heads_stay() {
        let mut governor = Governor::new(FULL, 1.0);
        let steps: Vec<_> = (0..60).filter_map(|_| governor.second(LOSSY)).collect();
        let seen: Vec<_> = steps.iter().map(|c| (c.budget_bytes, c.sample_mask)).collect();
        assert_eq!(
            seen,
            [(4096, 0), (2048, 0), (2048, 1), (2048, 3), (2048, 7), (2048, 15)]
        );
        assert!(steps.iter().all(|control| control.floor_bytes == 2048));
    }

    #[test]
    fn it_recovers_slowly_and_completely() {
        let mut governor = Governor::new(FULL, 1.0);
        for _ in 0..6 {
            governor.second(BUSY);
        }
        assert_eq!(governor.step(), 2);
        for _ in 0..2 * RECOVERY {
            governor.second(GOOD);
        }
        assert_eq!((governor.step(), governor.control()), (0, FULL));
    }

    #[test]
    fn another_budget_counts_at_the_same_step() {
        let mut governor = Governor::new(FULL, 1.0);
        for _ in 0..3 {
            governor.second(BUSY);
        }
        let full = Control {
            budget_bytes: 16_384,
            ..FULL
        };
        assert_eq!(governor.configure(full, 2.0).budget_bytes, 8192);
        for _ in 0..10 {
            assert_eq!(governor.second(BUSY), None);
        }
    }

    #[test]
    fn between_comfort_and_limit_it_stays() {
        let mut governor = Governor::new(FULL, 1.0);
        for _ in 0..3 {
            governor.second(BUSY);
        }
        for _ in 0..200 {
            assert_eq!(governor.second(Second { cpu: 0.9, lost: 0 }), None);
        }
    }
}
