//! A step of a usual order that was left out (API6:2023).
//!
//! In: exchanges of one actor in their order. Out: a sequence signal when an endpoint is reached without the one that
//! nearly always comes before. Learned to the first order. An actor who was never seen before says nothing.

use super::{Memory, Scene, signal};
use crate::{
    analysis::{baseline::Baseline, hash::mix},
    clock::Timestamp,
    verdict::{Group, Signal},
};

/// Actors remembered. Overflow policy: the one not seen for the longest is forgotten.
const MAX_REMEMBERED: usize = 16_384;

/// Steps remembered of one actor.
const TRAIL: usize = 8;

/// Seconds after which an actor begins anew.
const PAUSE: u64 = 3600;

/// Times that an endpoint was reached from which its order is known.
const MIN: u64 = 100;

/// Share of the times with the step before, from which it belongs there.
const ALWAYS: f64 = 0.98;

/// The last steps of one actor.
#[derive(Debug, Default, Clone)]
struct Trail {
    steps: smallvec::SmallVec<[u64; TRAIL]>,
    last: Timestamp,
}

/// The last steps of all actors.
#[derive(Debug)]
pub(in crate::analysis) struct Sequences {
    trails: Memory<Trail>,
    /// Steps before the exchange at hand, newest last.
    before: smallvec::SmallVec<[u64; TRAIL]>,
}

impl Default for Sequences {
    fn default() -> Self {
        Self {
            trails: Memory::new(MAX_REMEMBERED),
            before: smallvec::SmallVec::new(),
        }
    }
}

impl Sequences {
    pub(super) fn inspect(&mut self, scene: &Scene<'_>, signals: &mut Vec<Signal>) {
        let look = scene.look;
        self.before.clear();
        let Some(endpoint) = look.endpoint.filter(|_| look.is_success()) else {
            return;
        };
        let trail = self.trails.of(mix(look.workload, look.actor));
        if look.at.since(trail.last).as_secs() > PAUSE {
            trail.steps.clear();
        }
        trail.last = look.at;
        self.before.extend(trail.steps.iter().copied());
        trail.steps.retain(|step| *step != endpoint.0);
        if trail.steps.len() >= TRAIL {
            trail.steps.remove(0);
        }
        trail.steps.push(endpoint.0);
        let Some(usual) = scene.usual.filter(|usual| usual.preceded >= MIN) else {
            return;
        };
        if self.before.is_empty() {
            return;
        }
        let skipped = usual.before.iter().find(|(step, count)| {
            *count as f64 >= ALWAYS * usual.preceded as f64
                && !self.before.contains(step)
                && *step != endpoint.0
        });
        if let Some((_, count)) = skipped {
            let text = "a step that nearly always comes before was left out";
            signals.push(
                signal("sequence", "step_skipped", Group::Sequence, 0.6, text)
                    .seen("without it", format!("{count} of {} with it", usual.preceded))
                    .of(usual.preceded),
            );
        }
    }

    /// Adds what came before the last exchange to what is usual.
    pub(in crate::analysis) fn teach(&self, baseline: &mut Baseline) {
        if self.before.is_empty() {
            return;
        }
        baseline.preceded += 1;
        for step in &self.before {
            baseline.before.add(*step);
        }
    }
}
