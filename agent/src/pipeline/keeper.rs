//! Keeps what the core knows: writes what changed every few seconds, and gets over a disk that is full.
//!
//! A write that fails costs one warning and a count, never capture. What was in it stays marked as changed; the next
//! tries come further and further apart, and the first that succeeds is followed by a write of everything. A store
//! that reached its own bound forgets what it has not seen for the longest time.

use std::time::Duration;

use crate::{
    analysis::{Analysis, Changes},
    capture::memory,
    clock::Timestamp,
    config,
    inventory::Inventory,
    risk::Assessor,
    snapshot::Snapshot,
    status::Status,
    store::{Batch, Pending, Row, Store, StoreError},
};

const NS_PER_DAY: u64 = 86_400_000_000_000;

/// The longest time between two tries on a store that cannot be written.
const MAX_RETRY: Duration = Duration::from_secs(60);

/// Endpoints of an inventory whose daily snapshot tells the fields of their messages. Overflow policy: it tells the rest.
const MAX_DESCRIBED: usize = 5_000;

/// Endpoints whose records are held at a time while they are written.
const PART: usize = 512;

/// Rows of a write after which free memory goes back to the system: fewer leave little behind.
const MANY: usize = 8_192;

/// What is written to the store, and when.
pub(super) struct Keeper {
    store: Store,
    every: Duration,
    max_age_ns: u64,
    pending: Pending,
    next: Timestamp,
    /// When what is done once a day is done next.
    next_day: Timestamp,
    /// Set while writes fail: time until the next try.
    retry: Option<Duration>,
    failures: u64,
    evicted: u64,
}

/// What the core knows, as far as it is kept.
pub(super) struct Known<'a> {
    /// Endpoints and workloads.
    pub(super) inventory: &'a mut Inventory,
    /// Verdicts and baselines.
    pub(super) analysis: &'a mut Analysis,
    /// The rows of lists.
    pub(super) assessor: &'a mut Assessor,
}

impl Known<'_> {
    /// Endpoints and workloads that changed, then the rows that lists show of them: a part of them at a time, for all
    /// of them are as large as the inventory.
    fn changed(&mut self, now: Timestamp) -> impl Iterator<Item = Batch> {
        let Self {
            inventory,
            analysis,
            assessor,
        } = self;
        let mut workloads = Some(inventory.take_dirty_workloads());
        let mut is_judged = false;
        std::iter::from_fn(move || {
            if let Some(workloads) = workloads.take() {
                return Some(Batch::of(&[], &workloads, None));
            }
            let endpoints = inventory.take_dirty_part(PART);
            if !endpoints.is_empty() {
                return Some(Batch::of(&endpoints, &[], None));
            }
            let is_first = !std::mem::replace(&mut is_judged, true);
            if is_first {
                assessor.refresh(inventory, &analysis.findings(), &analysis.alerts(), now);
            }
            // Also tells what the rows are judged by, when there are none.
            let mut batch = Batch::default();
            batch.add_lists(assessor, PART);
            (is_first || !batch.summaries.is_empty()).then_some(batch)
        })
    }

    /// What was taken is kept.
    fn kept(&mut self) {
        self.inventory.kept();
        self.assessor.kept();
    }

    /// What was taken was not kept: it is given again.
    fn take_again(&mut self) {
        self.inventory.take_again();
        self.assessor.take_again();
    }

    /// The snapshot of a day. Large inventories are taken without the fields of their messages: telling these takes
    /// longer than the core may be busy.
    fn snapshot(&self, now: Timestamp) -> std::io::Result<Row> {
        let inventory = &*self.inventory;
        let documents = match inventory.revised().count() <= MAX_DESCRIBED {
            true => inventory.specifications(now),
            false => Vec::new(),
        };
        let endpoints = inventory.revised();
        let endpoints = endpoints.filter_map(|revised| inventory.endpoint_view(revised.endpoint.id, now));
        let taken = now.rfc3339();
        Ok(Row {
            id: taken.chars().take("2026-01-31".len()).collect(),
            workload: String::new(),
            last_seen: now,
            record: Snapshot::of(endpoints, &documents, taken).pack()?,
        })
    }

    /// What was taken was not kept.
    fn put_back(&mut self) {
        self.inventory.mark_all_dirty();
        self.assessor.mark_all_changed();
    }
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
            next_day: Timestamp(0),
            retry: None,
            failures: 0,
            evicted: 0,
        }
    }

    /// When [`Self::write`] wants to be called.
    pub(super) fn next(&self) -> Timestamp {
        self.next
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
        self.pending.add(batch);
    }

    /// Writes what changed.
    pub(super) fn write(&mut self, now: Timestamp, mut known: Known<'_>, status: &Status) {
        // Ids that go and the endpoints that take their place belong into one write.
        known.inventory.settle();
        let mut waiting = Batch::default();
        waiting.add_baselines(known.analysis.take_baselines());
        let gone = known.inventory.take_gone();
        waiting.removed_endpoints = gone.iter().map(ToString::to_string).collect();
        self.pending.add(waiting);
        match self.try_to_write(now, &mut known, status) {
            Ok(()) => {
                self.pending.written();
                if self.retry.take().is_some() {
                    tracing::info!("the store is written again");
                }
                self.next = now.after(self.every);
            }
            Err(error) => self.failed(&error, now),
        }
        self.daily(now, &known);
    }

    fn try_to_write(
        &mut self,
        now: Timestamp,
        known: &mut Known<'_>,
        status: &Status,
    ) -> Result<(), StoreError> {
        let mut batch = self.pending.batch();
        batch.status = Batch::of(&[], &[], Some(status)).status;
        if self.retry.is_some() {
            // A small write first: as long as not even that succeeds, the inventory is not copied.
            self.store.save(&batch)?;
        }
        match self.save(&batch, known, now) {
            Ok(rows) => {
                known.kept();
                if rows > MANY {
                    memory::release();
                }
                Ok(())
            }
            Err(error) => {
                known.put_back();
                Err(error)
            }
        }
    }

    /// Counters: name and value.
    pub(super) fn counters(&self) -> [(&'static str, u64); 3] {
        [
            ("store_failures", self.failures),
            ("store_rows_dropped", self.pending.dropped()),
            ("store_rows_evicted", self.evicted),
        ]
    }

    /// Saves what waits and what changed, and makes room once if the store's own bound is in the way. How many rows it was.
    fn save(&mut self, waiting: &Batch, known: &mut Known<'_>, now: Timestamp) -> Result<usize, StoreError> {
        match self.store.save_all(waiting, known.changed(now)) {
            Err(full @ StoreError::Full(_)) if self.store.is_at_its_bound()? => {
                match self.store.make_room()? {
                    0 => return Err(full),
                    rows => self.evicted += rows as u64,
                }
                known.take_again();
                self.store.save_all(waiting, known.changed(now))
            }
            other => other,
        }
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
        if now < self.next_day || self.retry.is_some() {
            return;
        }
        self.next_day = now.after(Duration::from_nanos(NS_PER_DAY));
        let saved = known
            .snapshot(now)
            .map_err(|error| error.to_string())
            .and_then(|row| {
                let batch = Batch {
                    snapshots: vec![row],
                    ..Batch::default()
                };
                self.store.save(&batch).map_err(|error| error.to_string())
            });
        if let Err(error) = saved {
            self.failures += 1;
            tracing::warn!(error, "the snapshot of this day was not kept");
        }
        let limit = Timestamp(now.0.saturating_sub(self.max_age_ns));
        if let Err(error) = self.store.remove_older(limit) {
            self.failures += 1;
            tracing::warn!(%error, "what is too old was not removed from the store");
        }
        // A snapshot is as large as the inventory while it is packed.
        memory::release();
    }
}

#[cfg(test)]
mod tests {
    use std::{ops::ControlFlow, path::Path, sync::Arc};

    use super::*;
    use crate::{
        inventory::{Limits, fixture::call},
        risk::Criteria,
        store::{Found, Reader, Table},
        verdict::fixture::alert,
        workload::{Workload, WorkloadKind},
    };

    const SECOND: Duration = Duration::from_secs(1);

    struct Fixture {
        /// Where the store is, as long as it is needed.
        directory: Option<tempfile::TempDir>,
        keeper: Keeper,
        inventory: Inventory,
        analysis: Analysis,
        assessor: Assessor,
        now: Timestamp,
    }

    impl Fixture {
        fn new(max_bytes: u64) -> Self {
            let directory = tempfile::tempdir().unwrap();
            let mut fixture = Self::at(directory.path(), max_bytes);
            fixture.directory = Some(directory);
            fixture
        }

        fn stored(&self) -> (usize, usize) {
            stored(self.directory.as_ref().unwrap().path())
        }

        fn at(directory: &Path, max_bytes: u64) -> Self {
            let store = Store::open(directory, max_bytes, Timestamp(0)).unwrap().store;
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
                assessor: Assessor::default(),
                directory: None,
                now,
            }
        }

        fn observe(&mut self, target: &str) {
            let workload = Arc::new(Workload {
                id: "w1".into(),
                ..Workload::named(WorkloadKind::Process, "shop")
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
                assessor,
                now,
                ..
            } = self;
            let known = Known {
                inventory,
                analysis,
                assessor,
            };
            keeper.write(*now, known, &Status::default());
        }

        fn counter(&self, name: &str) -> u64 {
            let counters = self.keeper.counters();
            counters.iter().find(|(known, _)| *known == name).unwrap().1
        }
    }

    fn stored(directory: &Path) -> (usize, usize) {
        let contents = Reader::open(directory).unwrap().load().unwrap();
        let reader = Reader::open(directory).unwrap();
        let mut listed = 0;
        let count = |_: Found<'_>| {
            listed += 1;
            ControlFlow::Continue(())
        };
        let judged_by = Criteria::default().fingerprint();
        reader.list(Table::Summaries, &judged_by, count).unwrap();
        assert_eq!(listed, contents.endpoints.len());
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
        assert_eq!(fixture.stored(), (1, 1));
        assert_eq!(fixture.keeper.next(), before.after(SECOND));
    }

    #[test]
    fn a_snapshot_is_kept_each_day() {
        let mut fixture = Fixture::new(1 << 24);
        fixture.observe("/v1/users");
        fixture.write();
        fixture.write();
        fixture.now = fixture.now.after(Duration::from_nanos(NS_PER_DAY));
        fixture.observe("/v1/orders");
        fixture.write();
        let reader = Reader::open(fixture.directory.as_ref().unwrap().path()).unwrap();
        let kept = reader.table(Table::Snapshots).unwrap();
        let endpoints = |row: &Row| Snapshot::unpack(&row.record).unwrap().endpoints.len();
        assert_eq!(kept.iter().map(endpoints).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(kept[0].id, "2027-01-15");
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
        assert_eq!(fixture.stored(), (1, 0));
        fixture.keeper.store.refuse_writes(false);
        fixture.write();
        assert_eq!(fixture.stored(), (3, 1));
        assert_eq!(fixture.keeper.next(), fixture.now.after(SECOND));
    }

    #[test]
    fn a_clock_that_is_set_back_stops_no_writes() {
        let mut fixture = Fixture::new(1 << 24);
        fixture.write();
        let back = Timestamp(fixture.now.0 - NS_PER_DAY);
        assert!(fixture.keeper.next() > fixture.now);
        fixture.keeper.start_over(back);
        assert_eq!(fixture.keeper.next(), back.after(SECOND));
    }

    /// A file system of 4 MiB; `None` where this user may not mount one.
    struct SmallDisk(tempfile::TempDir);

    impl SmallDisk {
        fn mount() -> Option<Self> {
            let place = tempfile::tempdir().unwrap();
            let mounted = std::process::Command::new("mount")
                .args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"])
                .arg(place.path())
                .output();
            match mounted.is_ok_and(|output| output.status.success()) {
                true => Some(Self(place)),
                false => {
                    eprintln!("skipped: may not mount a file system here");
                    None
                }
            }
        }
    }

    impl Drop for SmallDisk {
        fn drop(&mut self) {
            let unmounted = std::process::Command::new("umount").arg(self.0.path()).status();
            assert!(unmounted.is_ok_and(|status| status.success()));
        }
    }

    #[derive(Clone, Default)]
    struct Log(Arc<std::sync::Mutex<Vec<u8>>>);

    impl std::io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_disk_costs_one_warning_and_a_count() {
        let Some(disk) = SmallDisk::mount() else {
            return;
        };
        let log = Log::default();
        let written = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::WARN)
            .with_writer(move || written.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            let mut fixture = Fixture::at(&disk.0.path().join("store"), 1 << 30);
            fixture.observe("/v1/users");
            fixture.write();
            let filler = disk.0.path().join("filler");
            let mut file = std::fs::File::create(&filler).unwrap();
            let full = std::io::copy(&mut std::io::repeat(b'x'), &mut file).unwrap_err();
            assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
            for number in 0..40 {
                fixture.observe(&format!("/v1/orders/list{number}/{}", "x".repeat(900)));
                fixture.write();
            }
            assert!(
                fixture.counter("store_failures") > 10,
                "{}",
                fixture.counter("store_failures")
            );
            drop(file);
            std::fs::remove_file(filler).unwrap();
            fixture.write();
            let known = fixture.inventory.endpoint_views(fixture.now).len();
            assert_eq!(stored(&disk.0.path().join("store")).0, known);
            assert_eq!(fixture.keeper.retry, None);
        });
        let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        assert_eq!(log.lines().count(), 1, "{log}");
        assert!(log.contains("capture goes on"), "{log}");
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
        let left = Reader::open(fixture.directory.as_ref().unwrap().path())
            .unwrap()
            .load()
            .unwrap();
        assert_eq!(left.alerts.last().unwrap().id, "0399");
        assert_ne!(left.alerts.first().unwrap().id, "0000");
    }
}
