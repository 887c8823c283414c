//! Keeps what the core knows: writes what changed every few seconds, and gets over a disk that is full.
//!
//! A write that fails costs one warning and a count, never capture. What was in it stays marked as changed; the next
//! tries come further and further apart, and the first that succeeds is followed by a write of everything. A store
//! that reached its own bound forgets what it has not seen for the longest time.

use std::time::Duration;

use crate::{
    analysis::{Analysis, Changes},
    clock::Timestamp,
    config,
    inventory::Inventory,
    status::Status,
    store::{Batch, Pending, Store, StoreError},
};

const NS_PER_DAY: u64 = 86_400_000_000_000;

/// The longest time between two tries on a store that cannot be written.
const MAX_RETRY: Duration = Duration::from_secs(60);

/// What is written to the store, and when.
pub(super) struct Keeper {
    store: Store,
    every: Duration,
    max_age_ns: u64,
    pending: Pending,
    next: Timestamp,
    next_expiry: Timestamp,
    /// Set while writes fail: time until the next try.
    retry: Option<Duration>,
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
            next: now.after(every),
            next_expiry: Timestamp(0),
            retry: None,
            failures: 0,
            evicted: 0,
        }
    }

    /// When [`Self::write`] wants to be called.
    pub(super) fn next(&self) -> Timestamp {
        self.next
    }

    /// Notes verdicts for the next write.
    pub(super) fn note(&mut self, changes: &Changes) {
        let mut batch = Batch::default();
        batch.add_changes(changes);
        self.pending.add(batch);
    }

    /// Writes what changed.
    pub(super) fn write(
        &mut self,
        now: Timestamp,
        inventory: &mut Inventory,
        analysis: &mut Analysis,
        status: &Status,
    ) {
        let mut first = Batch::of(&[], &[], Some(status));
        first.add_baselines(analysis.take_baselines());
        first.removed_endpoints = inventory.take_gone().iter().map(ToString::to_string).collect();
        let status = first.status.take();
        self.pending.add(first);
        let mut batch = self.pending.batch();
        batch.status = status;
        // While the store cannot be written the inventory keeps its marks: only what is here is tried.
        if self.retry.is_none() {
            let mut changed = Batch::of(&inventory.take_dirty(), &inventory.take_dirty_workloads(), None);
            batch.endpoints.append(&mut changed.endpoints);
            batch.workloads.append(&mut changed.workloads);
        }
        match self.save(&batch) {
            Ok(()) => {
                self.pending.written();
                match self.retry.take() {
                    // Once more at once, with everything.
                    Some(_) => {
                        tracing::info!("the store is written again");
                        inventory.mark_all_dirty();
                        self.next = now;
                    }
                    None => self.next = now.after(self.every),
                }
            }
            Err(error) => self.failed(&error, now, inventory),
        }
        self.expire(now);
    }

    /// Counters: name and value.
    pub(super) fn counters(&self) -> [(&'static str, u64); 3] {
        [
            ("store_failures", self.failures),
            ("store_rows_dropped", self.pending.dropped()),
            ("store_rows_evicted", self.evicted),
        ]
    }

    /// Saves, and makes room once if the store's own bound is in the way.
    fn save(&mut self, batch: &Batch) -> Result<(), StoreError> {
        match self.store.save(batch) {
            Err(full @ StoreError::Full(_)) if self.store.is_at_its_bound()? => {
                match self.store.make_room()? {
                    0 => return Err(full),
                    rows => self.evicted += rows as u64,
                }
                self.store.save(batch)
            }
            other => other,
        }
    }

    fn failed(&mut self, error: &StoreError, now: Timestamp, inventory: &mut Inventory) {
        self.failures += 1;
        let wait = match self.retry {
            None => {
                tracing::warn!(%error, "the store was not written; capture goes on");
                inventory.mark_all_dirty();
                self.every
            }
            Some(wait) => wait.saturating_mul(2).min(MAX_RETRY.max(self.every)),
        };
        self.retry = Some(wait);
        self.next = now.after(wait);
    }

    /// Removes what is too old, once a day.
    fn expire(&mut self, now: Timestamp) {
        if now < self.next_expiry || self.retry.is_some() {
            return;
        }
        self.next_expiry = now.after(Duration::from_nanos(NS_PER_DAY));
        let limit = Timestamp(now.0.saturating_sub(self.max_age_ns));
        if let Err(error) = self.store.remove_older(limit) {
            self.failures += 1;
            tracing::warn!(%error, "what is too old was not removed from the store");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{path::Path, sync::Arc};

    use super::*;
    use crate::{
        inventory::{Limits, fixture::call},
        store::Reader,
        verdict::fixture::alert,
        workload::{Workload, WorkloadKind},
    };

    const SECOND: Duration = Duration::from_secs(1);

    struct Fixture {
        directory: tempfile::TempDir,
        keeper: Keeper,
        inventory: Inventory,
        analysis: Analysis,
        now: Timestamp,
    }

    impl Fixture {
        fn new(max_bytes: u64) -> Self {
            let directory = tempfile::tempdir().unwrap();
            let store = Store::open(directory.path(), max_bytes, Timestamp(0))
                .unwrap()
                .store;
            let settings = config::Store {
                flush_seconds: 1,
                // The fixtures are of another year.
                max_age_days: 36_500,
                ..config::Store::default()
            };
            let now = Timestamp(1_800_000_000_000_000_000);
            Self {
                keeper: Keeper::new(store, &settings, now),
                inventory: Inventory::new(Limits::default()),
                analysis: Analysis::default(),
                directory,
                now,
            }
        }

        fn observe(&mut self, target: &str) {
            let workload = Arc::new(Workload {
                id: "w1".into(),
                name: "shop".into(),
                kind: WorkloadKind::Process,
                executable: None,
                script: None,
                unit: None,
                container: None,
                cgroup: None,
            });
            self.inventory
                .observe(&call("GET", target).exchange(), &workload, None);
        }

        fn write(&mut self) {
            self.now = self.now.max(self.keeper.next());
            let Self {
                keeper,
                inventory,
                analysis,
                now,
                ..
            } = self;
            keeper.write(*now, inventory, analysis, &Status::default());
        }

        fn counter(&self, name: &str) -> u64 {
            let counters = self.keeper.counters();
            counters.iter().find(|(known, _)| *known == name).unwrap().1
        }
    }

    fn stored(directory: &Path) -> (usize, usize) {
        let contents = Reader::open(directory).unwrap().load().unwrap();
        (contents.endpoints.len(), contents.alerts.len())
    }

    #[test]
    fn what_changed_is_written_in_its_turn() {
        let mut fixture = Fixture::new(1 << 24);
        fixture.observe("/v1/users");
        fixture.keeper.note(&Changes {
            alerts: vec![alert("a1")],
            ..Changes::default()
        });
        let before = fixture.keeper.next();
        assert_eq!(before, fixture.now.after(SECOND));
        fixture.write();
        assert_eq!(stored(fixture.directory.path()), (1, 1));
        assert_eq!(fixture.keeper.next(), before.after(SECOND));
    }

    #[test]
    fn after_a_time_without_a_store_everything_is_written() {
        let mut fixture = Fixture::new(1 << 24);
        fixture.observe("/v1/users");
        fixture.write();
        fixture.keeper.store.refuse_writes(true);
        fixture.observe("/v1/orders");
        fixture.write();
        fixture.keeper.note(&Changes {
            alerts: vec![alert("a1")],
            ..Changes::default()
        });
        fixture.observe("/v1/bills");
        let tried = fixture.now;
        for _ in 0..8 {
            fixture.write();
        }
        assert_eq!(fixture.keeper.retry, Some(MAX_RETRY));
        assert!(fixture.now.since(tried) > 3 * MAX_RETRY);
        assert_eq!(fixture.counter("store_failures"), 9);
        assert_eq!(stored(fixture.directory.path()), (1, 0));
        fixture.keeper.store.refuse_writes(false);
        fixture.write();
        assert_eq!(stored(fixture.directory.path()), (1, 1));
        assert_eq!(fixture.keeper.next(), fixture.now, "the rest follows at once");
        fixture.write();
        assert_eq!(stored(fixture.directory.path()), (3, 1));
        assert_eq!(fixture.keeper.next(), fixture.now.after(SECOND));
    }

    #[test]
    fn a_store_at_its_bound_forgets_the_oldest_and_goes_on() {
        let mut fixture = Fixture::new(256 * 1024);
        for number in 0..400 {
            let mut newer = alert(&format!("{number:04}"));
            newer.updated = fixture.now.rfc3339();
            fixture.keeper.note(&Changes {
                alerts: vec![newer],
                ..Changes::default()
            });
            fixture.write();
        }
        assert!(fixture.counter("store_rows_evicted") > 0);
        assert_eq!(fixture.counter("store_failures"), 0);
        let left = Reader::open(fixture.directory.path()).unwrap().load().unwrap();
        assert_eq!(left.alerts.last().unwrap().id, "0399");
        assert_ne!(left.alerts.first().unwrap().id, "0000");
    }
}
