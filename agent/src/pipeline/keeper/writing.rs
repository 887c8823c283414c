//! What a write is made of, part by part.
//!
//! In: what the core knows, as it is when a part is taken. Out: batches for the store. Writes nothing itself, and decides
//! nothing about when.

use std::{io, thread::JoinHandle};

use crate::{
    analysis::Analysis,
    clock::Timestamp,
    inventory::Inventory,
    risk::Assessor,
    snapshot::Snapshot,
    store::{Batch, Row},
    verdict::{Alert, Finding},
};

/// Endpoints whose records are held at a time while they are written.
pub(super) const PART: usize = 512;

/// Endpoints of an inventory whose daily snapshot tells the fields of their messages. Overflow policy: it tells the rest.
pub(super) const MAX_DESCRIBED: usize = 5_000;

/// How far a write has come.
#[derive(Default)]
pub(super) struct Writing {
    /// What waited when it began.
    pub(super) waiting: Batch,
    /// Endpoints that had changed then, and are still to be taken: those that change again come with the next write.
    pub(super) left: usize,
    /// What they are judged by.
    findings: Vec<Finding>,
    alerts: Vec<Alert>,
    at: Timestamp,
    step: Step,
    pub(super) rows: usize,
    /// There was no room, and some was made.
    pub(super) has_made_room: bool,
}

/// What is written next.
#[derive(Default)]
enum Step {
    #[default]
    Judging,
    Waiting,
    Workloads,
    Endpoints,
    Baselines,
    /// Rows of lists, as they were judged when it began; those that are first tell what they are judged by, when there are
    /// none, too.
    Lists {
        is_first: bool,
    },
}

/// What the core knows, as far as it is kept.
pub(in crate::pipeline) struct Known<'a> {
    /// Endpoints and workloads.
    pub(in crate::pipeline) inventory: &'a mut Inventory,
    /// Verdicts and baselines.
    pub(in crate::pipeline) analysis: &'a mut Analysis,
    /// The rows of lists.
    pub(in crate::pipeline) assessor: &'a mut Assessor,
}

impl Writing {
    /// What waits, and all that has changed by now.
    pub(super) fn of(waiting: Batch, known: &mut Known<'_>, now: Timestamp) -> Self {
        let (findings, alerts) = (known.analysis.findings(), known.analysis.alerts());
        known.assessor.collect(known.inventory, &findings, &alerts, now);
        Self {
            waiting,
            left: known.inventory.dirty(),
            findings,
            alerts,
            at: now,
            ..Self::default()
        }
    }

    /// What is written next: nothing as long as something has to be judged; then what waits, workloads, endpoints, baselines,
    /// and the rows that lists show of endpoints. A part of them at a time, for all of them are as large as the inventory.
    pub(super) fn next(&mut self, known: &mut Known<'_>) -> Option<Batch> {
        loop {
            match self.step {
                Step::Judging => {
                    let (findings, alerts) = (&self.findings, &self.alerts);
                    let inventory = &*known.inventory;
                    if known
                        .assessor
                        .judge_part(PART, inventory, findings, alerts, self.at)
                    {
                        return Some(Batch::default());
                    }
                    self.step = Step::Waiting;
                }
                Step::Waiting => {
                    self.step = Step::Workloads;
                    return Some(self.waiting.clone());
                }
                Step::Workloads => {
                    self.step = Step::Endpoints;
                    return Some(Batch::of(&[], &known.inventory.take_dirty_workloads(), None));
                }
                Step::Endpoints => {
                    let endpoints = known.inventory.take_dirty_part(self.left.min(PART));
                    self.left = self.left.saturating_sub(PART);
                    if !endpoints.is_empty() {
                        return Some(Batch::of(&endpoints, &[], None));
                    }
                    self.step = Step::Baselines;
                }
                Step::Baselines => {
                    let baselines = known.analysis.take_baselines(PART);
                    if !baselines.is_empty() {
                        let mut batch = Batch::default();
                        batch.add_baselines(baselines);
                        return Some(batch);
                    }
                    self.step = Step::Lists { is_first: true };
                }
                Step::Lists { is_first } => {
                    self.step = Step::Lists { is_first: false };
                    let mut batch = Batch::default();
                    batch.add_lists(known.assessor, PART);
                    return (is_first || !batch.summaries.is_empty()).then_some(batch);
                }
            }
        }
    }
}

impl Known<'_> {
    /// What was taken is kept.
    pub(super) fn kept(&mut self) {
        self.inventory.kept();
        self.analysis.kept_baselines();
        self.assessor.kept();
    }

    /// What was taken was not kept: it is given again.
    pub(super) fn take_again(&mut self) {
        self.inventory.take_again();
        self.analysis.take_baselines_again();
        self.assessor.take_again();
    }

    /// The snapshot of a day, of the rows as they were judged last. That of a large inventory is packed meanwhile, and taken
    /// without the fields of its messages: telling these takes longer than the core may be busy.
    pub(super) fn snapshot(&self, now: Timestamp) -> io::Result<JoinHandle<io::Result<Row>>> {
        let rows = self.assessor.endpoints();
        let documents = match rows.len() <= MAX_DESCRIBED {
            true => self.inventory.specifications(now),
            false => Vec::new(),
        };
        let pack = move || {
            let views = rows.iter();
            let views = views.filter_map(|row| serde_json::from_str(row.as_str()).ok());
            let taken = now.rfc3339();
            Ok(Row {
                id: taken.chars().take("2026-01-31".len()).collect(),
                workload: String::new(),
                last_seen: now,
                record: Snapshot::pack_rows(views, &documents, &taken)?,
            })
        };
        std::thread::Builder::new()
            .name("apiarist-daily".to_owned())
            .spawn(pack)
    }

    /// What was taken was not kept.
    pub(super) fn put_back(&mut self) {
        self.inventory.mark_all_dirty();
        self.analysis.take_baselines_again();
        self.assessor.mark_all_changed();
    }
}
