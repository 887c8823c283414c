//! Keeps what the core knows: writes what changed every few seconds, and gets over a disk that is full.
//!
//! A write that fails costs one warning and a count, never capture. What was in it stays marked as changed; the next
//! tries come further and further apart, and the first that succeeds is followed by a write of everything. A store
//! that reached its own bound forgets what it has not seen for the longest time.

mod writing;

use std::{io, thread::JoinHandle, time::Duration};

pub(super) use self::writing::Known;
use self::writing::{MAX_DESCRIBED, PART, Writing};
use crate::{
    analysis::Changes,
    capture::memory,
    clock::Timestamp,
    config,
    status::Status,
    store::{Batch, Pending, Row, Store, StoreError},
};

const NS_PER_DAY: u64 = 86_400_000_000_000;

/// The longest time between two tries on a store that cannot be written.
const MAX_RETRY: Duration = Duration::from_secs(60);

/// Endpoints of a write that is done in one piece, and so is the state of one moment: what else there is waits for it some 0.1 s.
const LITTLE: usize = 2 * PART;

/// Rows of a write after which free memory goes back to the system: fewer leave little behind.
const MANY: usize = 8_192;

/// Rest after a write for each of its rows: who has very much to write has to handle exchanges, too. With the default
/// configuration it counts from 20,000 rows on.
const REST_PER_ROW: Duration = Duration::from_micros(500);

/// Longest rest for that reason: so much is lost at the most where the agent is killed.
const MAX_REST: Duration = Duration::from_secs(60);

/// How often it is looked whether the disk has taken in what was written.
const SETTLING: Duration = Duration::from_millis(100);

/// What is written to the store, and when.
pub(super) struct Keeper {
    store: Store,
    every: Duration,
    max_age_ns: u64,
    pending: Pending,
    /// What came while a write was under way.
    later: Pending,
    next: Timestamp,
    /// When what is done once a day is done next.
    next_day: Timestamp,
    /// Set while writes fail: time until the next try.
    retry: Option<Duration>,
    /// The write that is under way.
    writing: Option<Writing>,
    /// The snapshot of the day, while it is packed.
    packing: Option<JoinHandle<io::Result<Row>>>,
    failures: u64,
    evicted: u64,
}

impl Keeper {
    /// Writes as the configuration says, for the first time one interval after `now`.
    pub(super) fn new(store: Store, settings: &config::Store, now: Timestamp) -> Self {
        let every = Duration::from_secs(u64::from(settings.flush_seconds));
        Self {
            store,
            every,
            max_age_ns: u64::from(settings.max_age_days).saturating_mul(NS_PER_DAY),
            pending: Pending::default(),
            later: Pending::default(),
            next: now.after(every),
            next_day: Timestamp(0),
            retry: None,
            writing: None,
            packing: None,
            failures: 0,
            evicted: 0,
        }
    }

    /// When [`Self::begin`] wants to be called: not as long as the disk has not taken in what was written last.
    pub(super) fn next(&self, now: Timestamp) -> Timestamp {
        match self.store.is_settling() {
            true => self.next.max(now.after(SETTLING)),
            false => self.next,
        }
    }

    /// Waits from `now` on for what it waits for: the clock was set back.
    pub(super) fn start_over(&mut self, now: Timestamp) {
        self.next = self.next.min(now.after(self.retry.unwrap_or(self.every)));
        self.next_day = self.next_day.min(now);
    }

    /// Notes verdicts for the next write.
    pub(super) fn note(&mut self, changes: &Changes) {
        let mut batch = Batch::default();
        batch.add_changes(changes);
        match self.writing {
            None => self.pending.add(batch),
            Some(_) => self.later.add(batch),
        }
    }

    /// Whether a write is under way.
    pub(super) fn is_writing(&self) -> bool {
        self.writing.is_some()
    }

    /// Whether the write that has begun is so small that all of it may be done at once.
    pub(super) fn writes_little(&self) -> bool {
        self.writing
            .as_ref()
            .is_some_and(|writing| writing.left <= LITTLE)
    }

    /// Begins to write what changed: [`Self::go_on`] does it. What changes meanwhile is written the next time.
    pub(super) fn begin(&mut self, now: Timestamp, known: &mut Known<'_>, status: &Status) {
        known.inventory.hold(true);
        let mut waiting = self.gather(known);
        waiting.status = Batch::of(&[], &[], Some(status)).status;
        // A small write first: as long as not even that succeeds, the inventory is not copied.
        let begun = match self.retry {
            Some(_) => self.store.save(&waiting),
            None => Ok(()),
        };
        match begun.and_then(|()| self.store.begin()) {
            Ok(()) => {
                self.writing = Some(Writing::of(waiting, known, now));
            }
            Err(error) => {
                known.inventory.hold(false);
                self.failed(&error, now);
            }
        }
    }

    /// Verdicts that wait, and the ids of endpoints that became one with others. These and the endpoints that take their place
    /// belong into one write, and what has not settled into none: a name that is to become a parameter is not kept.
    fn gather(&mut self, known: &mut Known<'_>) -> Batch {
        known.inventory.settle();
        let mut waiting = Batch::default();
        let gone = known.inventory.take_gone();
        waiting.removed_endpoints = gone.iter().map(ToString::to_string).collect();
        self.pending.add(waiting);
        self.pending.batch()
    }

    /// Writes a part of it; whether there is more.
    pub(super) fn go_on(&mut self, now: Timestamp, known: &mut Known<'_>) -> bool {
        let Some(mut writing) = self.writing.take() else {
            return false;
        };
        let part = writing.next(known);
        let written = match &part {
            Some(batch) => self.store.part(batch).map(|rows| writing.rows += rows),
            None => self.store.end(),
        };
        match written {
            Ok(()) if part.is_some() => {
                self.writing = Some(writing);
                return true;
            }
            Ok(()) => self.written(writing.rows, now, known),
            Err(error) => {
                self.store.give_up();
                match self.make_room(&error, &writing) {
                    Ok(true) => {
                        known.take_again();
                        let mut waiting = self.gather(known);
                        waiting.status = writing.waiting.status;
                        let mut anew = Writing::of(waiting, known, now);
                        anew.has_made_room = true;
                        self.writing = Some(anew);
                        return true;
                    }
                    Ok(false) => {
                        known.put_back();
                        self.failed(&error, now);
                    }
                    Err(error) => {
                        known.put_back();
                        self.failed(&error, now);
                    }
                }
            }
        }
        known.inventory.hold(false);
        self.pending.add(self.later.batch());
        self.later.written();
        self.daily(now, known);
        false
    }

    fn written(&mut self, rows: usize, now: Timestamp, known: &mut Known<'_>) {
        known.kept();
        if rows > MANY {
            memory::release();
        }
        self.pending.written();
        if self.retry.take().is_some() {
            tracing::info!("the store is written again");
        }
        let rest = REST_PER_ROW.saturating_mul(u32::try_from(rows).unwrap_or(u32::MAX));
        self.next = now.after(self.every.max(rest.min(MAX_REST)));
    }

    /// Makes room, once in a write, if the store's own bound is in the way; and begins anew. Whether it did.
    fn make_room(&mut self, error: &StoreError, writing: &Writing) -> Result<bool, StoreError> {
        let is_full = matches!(error, StoreError::Full(_));
        if !is_full || writing.has_made_room || !self.store.is_at_its_bound()? {
            return Ok(false);
        }
        let rows = self.store.make_room()?;
        self.evicted += rows as u64;
        if rows == 0 {
            return Ok(false);
        }
        self.store.begin()?;
        Ok(true)
    }

    /// Counters: name and value.
    pub(super) fn counters(&self) -> [(&'static str, u64); 3] {
        [
            ("store_failures", self.failures),
            (
                "store_rows_dropped",
                self.pending.dropped() + self.later.dropped(),
            ),
            ("store_rows_evicted", self.evicted),
        ]
    }

    fn failed(&mut self, error: &StoreError, now: Timestamp) {
        self.failures += 1;
        let wait = match self.retry {
            None => {
                tracing::warn!(%error, "the store was not written; capture goes on");
                self.every
            }
            Some(wait) => wait.saturating_mul(2).min(MAX_RETRY.max(self.every)),
        };
        self.retry = Some(wait);
        self.next = now.after(wait);
    }

    /// Once a day: keeps a snapshot, and removes what is too old.
    fn daily(&mut self, now: Timestamp, known: &Known<'_>) {
        if self.retry.is_some() {
            return;
        }
        if now >= self.next_day {
            self.next_day = now.after(Duration::from_nanos(NS_PER_DAY));
            match known.snapshot(now) {
                Ok(packing) => self.packing = Some(packing),
                Err(error) => self.not_kept(&error.to_string()),
            }
            let limit = Timestamp(now.0.saturating_sub(self.max_age_ns));
            if let Err(error) = self.store.remove_older(limit) {
                self.failures += 1;
                tracing::warn!(%error, "what is too old was not removed from the store");
            }
        }
        let is_small = known.assessor.endpoints().len() <= MAX_DESCRIBED;
        if let Some(packing) = self.packing.take_if(|packing| is_small || packing.is_finished()) {
            self.keep_snapshot(packing);
        }
    }

    /// Keeps what is still being packed: nothing is written afterwards.
    pub(super) fn end(&mut self) {
        if let Some(packing) = self.packing.take() {
            self.keep_snapshot(packing);
        }
    }

    fn keep_snapshot(&mut self, packing: JoinHandle<io::Result<Row>>) {
        let packed = packing
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("it was not packed")));
        let saved = packed.map_err(|error| error.to_string()).and_then(|row| {
            let batch = Batch {
                snapshots: vec![row],
                ..Batch::default()
            };
            self.store.save(&batch).map_err(|error| error.to_string())
        });
        if let Err(error) = saved {
            self.not_kept(&error);
        }
    }

    fn not_kept(&mut self, error: &str) {
        self.failures += 1;
        tracing::warn!(error, "the snapshot of this day was not kept");
    }
}

#[cfg(test)]
#[path = "keeper_tests.rs"]
mod tests;
