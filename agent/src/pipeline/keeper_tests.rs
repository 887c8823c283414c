//! What is written when, and what becomes of it where a store fails, is full, or is not there for a while.

use std::{ops::ControlFlow, path::Path, sync::Arc};

use super::*;
use crate::{
    analysis::Analysis,
    inventory::{Inventory, Limits, fixture::call},
    risk::{Assessor, Criteria},
    snapshot::Snapshot,
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
        self.observe_at("w1", target);
    }

    fn observe_at(&mut self, workload: &str, target: &str) {
        let workload = Arc::new(Workload {
            id: workload.into(),
            ..Workload::named(WorkloadKind::Process, "shop")
        });
        self.inventory
            .observe(&call("GET", target).exchange(), &workload, None);
    }

    fn write(&mut self) {
        self.begin();
        while self.go_on() {}
    }

    fn begin(&mut self) {
        self.now = self.now.max(self.keeper.next(self.now));
        let (keeper, mut known, now) = self.parts();
        keeper.begin(now, &mut known, &Status::default());
    }

    fn go_on(&mut self) -> bool {
        let (keeper, mut known, now) = self.parts();
        keeper.go_on(now, &mut known)
    }

    fn parts(&mut self) -> (&mut Keeper, Known<'_>, Timestamp) {
        let known = Known {
            inventory: &mut self.inventory,
            analysis: &mut self.analysis,
            assessor: &mut self.assessor,
        };
        (&mut self.keeper, known, self.now)
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
    let before = fixture.keeper.next(fixture.now);
    assert_eq!(before, fixture.now.after(SECOND));
    fixture.write();
    assert_eq!(fixture.stored(), (1, 1));
    assert_eq!(fixture.keeper.next(fixture.now), before.after(SECOND));
}

#[test]
fn a_write_goes_in_parts_and_is_kept_as_one() {
    let mut fixture = Fixture::new(1 << 24);
    fixture.observe("/v1/users");
    fixture.write();
    fixture.observe("/v1/orders");
    let (now, status) = (fixture.keeper.next(fixture.now), Status::default());
    let mut known = Known {
        inventory: &mut fixture.inventory,
        analysis: &mut fixture.analysis,
        assessor: &mut fixture.assessor,
    };
    fixture.keeper.begin(now, &mut known, &status);
    assert!(fixture.keeper.writes_little());
    let path = fixture.directory.as_ref().unwrap().path();
    let mut parts = 0;
    while fixture.keeper.go_on(now, &mut known) {
        parts += 1;
        assert_eq!(stored(path), (1, 0), "part {parts}");
        // Whoever asks meanwhile has everything judged.
        known.assessor.refresh(known.inventory, &[], &[], now);
    }
    assert_eq!((parts, stored(path)), (4, (2, 0)));
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
fn a_snapshot_that_is_being_packed_at_the_end_is_kept() {
    let mut fixture = Fixture::new(1 << 24);
    fixture.observe("/v1/users");
    fixture.write();
    let (go, wait) = std::sync::mpsc::sync_channel::<()>(1);
    let row = Row {
        id: "2027-01-16".to_owned(),
        workload: String::new(),
        last_seen: fixture.now,
        record: vec![7],
    };
    fixture.keeper.packing = Some(std::thread::spawn(move || {
        wait.recv().map_err(io::Error::other)?;
        Ok(row)
    }));
    go.send(()).unwrap();
    fixture.keeper.end();
    let reader = Reader::open(fixture.directory.as_ref().unwrap().path()).unwrap();
    let kept = reader.table(Table::Snapshots).unwrap();
    let ids: Vec<_> = kept.iter().map(|row| row.id.as_str()).collect();
    assert_eq!(ids, ["2027-01-15", "2027-01-16"]);
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
    assert_eq!(fixture.keeper.next(fixture.now), fixture.now.after(SECOND));
}

#[test]
fn a_clock_that_is_set_back_stops_no_writes() {
    let mut fixture = Fixture::new(1 << 24);
    fixture.write();
    let back = Timestamp(fixture.now.0 - NS_PER_DAY);
    assert!(fixture.keeper.next(fixture.now) > fixture.now);
    fixture.keeper.start_over(back);
    assert_eq!(fixture.keeper.next(fixture.now), back.after(SECOND));
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

#[test]
fn what_comes_during_a_write_is_written_by_the_next() {
    let mut fixture = Fixture::new(1 << 24);
    fixture.observe("/v1/users");
    fixture.observe("/v1/carts");
    fixture.begin();
    fixture.observe("/v1/returns");
    let mut parts = 0;
    while fixture.go_on() {
        parts += 1;
        assert!(parts < 10, "it does not end while endpoints change");
        fixture.observe("/v1/users");
        fixture.observe("/v1/orders");
        fixture.keeper.note(&Changes {
            alerts: vec![alert("a1")],
            ..Changes::default()
        });
    }
    assert_eq!(fixture.stored(), (2, 0));
    assert!(!fixture.keeper.is_writing());
    fixture.write();
    assert_eq!(fixture.stored(), (4, 1));
}

#[test]
fn a_write_of_much_is_no_little_one() {
    let mut fixture = Fixture::new(1 << 26);
    for number in 0..LITTLE {
        fixture.observe_at(&format!("w{number}"), "/v1/users");
    }
    fixture.begin();
    assert!(fixture.keeper.writes_little());
    while fixture.go_on() {}
    for number in 0..=LITTLE {
        fixture.observe_at(&format!("w{number}"), "/v1/users");
    }
    fixture.begin();
    assert!(!fixture.keeper.writes_little());
}

#[test]
fn who_has_much_to_write_writes_less_often() {
    let mut fixture = Fixture::new(1 << 24);
    for (rows, seconds) in [(0, 1), (2_000, 1), (10_000, 5), (10_000_000, 60)] {
        let (keeper, mut known, now) = fixture.parts();
        keeper.written(rows, now, &mut known);
        assert_eq!(keeper.next(now), now.after(seconds * SECOND), "{rows}");
    }
}
