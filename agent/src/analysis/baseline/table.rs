//! All baselines, by endpoint.
//!
//! In: endpoints. Out: their baselines, made on first sight. Bounded: the one not seen for the longest gives way.

use std::{collections::HashMap, time::Duration};

use super::{Baseline, BaselineRecord, BaselineSummary, Stage};
use crate::{analysis::settings::Gate, clock::Timestamp, inventory::EndpointId};

/// Baselines kept. Overflow policy: the eighth not seen for the longest is forgotten and counted; their records stay in
/// the store.
const MAX_BASELINES: usize = 16_384;

/// Time between two records of one baseline: what a crash can cost.
const RECORD_EVERY: Duration = Duration::from_secs(60);

#[derive(Debug)]
struct Slot {
    workload: String,
    baseline: Box<Baseline>,
    recorded: Timestamp,
    is_dirty: bool,
}

/// Baselines by endpoint.
#[derive(Debug, Default)]
pub(in crate::analysis) struct Baselines {
    slots: HashMap<EndpointId, Slot, foldhash::fast::FixedState>,
    pub(in crate::analysis) gate: Gate,
    /// Taken, and not said to be kept yet.
    taken: Vec<EndpointId>,
    /// Baselines forgotten for lack of room.
    pub(in crate::analysis) forgotten: u64,
    /// Records that could not be read.
    pub(in crate::analysis) skipped: u64,
}

impl Baselines {
    /// The baseline of an endpoint, if there is one.
    pub(in crate::analysis) fn get(&self, id: EndpointId) -> Option<&Baseline> {
        self.slots.get(&id).map(|slot| &*slot.baseline)
    }

    /// The baseline of an endpoint, to be changed; made if there is none.
    pub(in crate::analysis) fn entry(&mut self, id: EndpointId, workload: &str) -> &mut Baseline {
        if self.slots.len() >= MAX_BASELINES && !self.slots.contains_key(&id) {
            self.make_room();
        }
        let slot = self.slots.entry(id).or_insert_with(|| Slot {
            workload: workload.to_owned(),
            baseline: Box::default(),
            recorded: Timestamp(0),
            is_dirty: true,
        });
        slot.is_dirty = true;
        &mut slot.baseline
    }

    /// The endpoint has another id now, or has become one with another. Endpoints that have become one may have what it
    /// takes together: they are believed from here on, and not only after what comes next.
    pub(in crate::analysis) fn moved(&mut self, from: EndpointId, to: EndpointId) {
        let Some(old) = self.slots.remove(&from) else {
            return;
        };
        let gate = self.gate;
        let baseline = self.entry(to, &old.workload);
        baseline.merge(&old.baseline);
        let now = baseline.last;
        baseline.promote(&gate, now);
    }

    /// Learning is over: the operator says so.
    pub(in crate::analysis) fn trust(&mut self) {
        for slot in self.slots.values_mut() {
            slot.baseline.trust();
        }
    }

    /// Records of what changed and was not recorded lately: at most so many of them, in order of id. When nothing is given,
    /// there are none left.
    pub(in crate::analysis) fn take_dirty(&mut self, most: usize, now: Timestamp) -> Vec<BaselineRecord> {
        let mut records: Vec<BaselineRecord> = self
            .slots
            .iter_mut()
            .filter(|(_, slot)| slot.is_dirty && now.since(slot.recorded) >= RECORD_EVERY)
            .filter_map(|(id, slot)| {
                slot.is_dirty = false;
                slot.recorded = now;
                self.taken.push(*id);
                BaselineRecord::of(*id, &slot.workload, &slot.baseline)
            })
            .take(most)
            .collect();
        records.sort_by(|left, right| left.id.cmp(&right.id));
        records
    }

    /// What was taken is kept.
    pub(in crate::analysis) fn kept(&mut self) {
        self.taken = Vec::new();
    }

    /// What was taken was not kept: it is given again.
    pub(in crate::analysis) fn take_again(&mut self) {
        for id in std::mem::take(&mut self.taken) {
            if let Some(slot) = self.slots.get_mut(&id) {
                (slot.is_dirty, slot.recorded) = (true, Timestamp(0));
            }
        }
    }

    /// All of them in a few numbers, in order of id.
    pub(in crate::analysis) fn summaries(&self) -> Vec<BaselineSummary> {
        let mut summaries: Vec<BaselineSummary> = self
            .slots
            .iter()
            .map(|(id, slot)| BaselineSummary::of(*id, &slot.workload, &slot.baseline))
            .collect();
        summaries.sort_by_key(|summary| summary.endpoint);
        summaries
    }

    /// Takes baselines back; what is there already is kept.
    pub(in crate::analysis) fn restore(&mut self, records: impl IntoIterator<Item = BaselineRecord>) {
        for record in records {
            match record.id.parse().ok().zip(record.read()) {
                Some((id, baseline)) if self.slots.len() < MAX_BASELINES => {
                    self.slots.entry(id).or_insert_with(|| Slot {
                        workload: record.workload,
                        baseline: Box::new(baseline),
                        recorded: Timestamp(0),
                        is_dirty: false,
                    });
                }
                _ => self.skipped += 1,
            }
        }
    }

    /// How many there are, by stage: new, learning, active, stale.
    pub(in crate::analysis) fn stages(&self) -> [u64; 4] {
        let mut stages = [0; 4];
        for slot in self.slots.values() {
            let at = match slot.baseline.stage {
                Stage::New => 0,
                Stage::Learning => 1,
                Stage::Active => 2,
                Stage::Stale => 3,
            };
            if let Some(count) = stages.get_mut(at) {
                *count += 1;
            }
        }
        stages
    }

    /// The bytes of all, and of the largest.
    pub(in crate::analysis) fn bytes(&self) -> (u64, u64) {
        let sizes = self.slots.values().map(|slot| slot.baseline.bytes() as u64);
        (sizes.clone().sum(), sizes.max().unwrap_or(0))
    }

    fn make_room(&mut self) {
        let mut ages: Vec<(Timestamp, EndpointId)> = self
            .slots
            .iter()
            .map(|(id, slot)| (slot.baseline.last, *id))
            .collect();
        ages.sort_unstable();
        for (_, id) in ages.into_iter().take(MAX_BASELINES / 8) {
            self.slots.remove(&id);
            self.forgotten += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_taken_in_parts_and_again_if_they_were_not_kept() {
        let now = Timestamp(1_700_000_000_000_000_000);
        let mut baselines = Baselines::default();
        for id in 1..=3 {
            baselines.entry(EndpointId(id), "w1");
        }
        let three = |baselines: &mut Baselines| [2, 2, 2].map(|most| baselines.take_dirty(most, now).len());
        assert_eq!(three(&mut baselines), [2, 1, 0]);
        baselines.take_again();
        assert_eq!(three(&mut baselines), [2, 1, 0]);
        baselines.kept();
        baselines.take_again();
        assert_eq!(three(&mut baselines), [0, 0, 0]);
        // What changes again is recorded in its time.
        baselines.entry(EndpointId(2), "w1");
        assert!(baselines.take_dirty(9, now).is_empty());
        assert_eq!(baselines.take_dirty(9, now.after(RECORD_EVERY)).len(), 1);
    }
}
