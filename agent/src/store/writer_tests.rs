//! What is written, what is refused, and what is saved of a damaged file.

use std::{fs, os::unix::fs::PermissionsExt as _};

use super::*;
use crate::store::Reader;

const ROOM: u64 = 16 * 1024 * 1024;

fn open(dir: &Path) -> Store {
    Store::open(dir, ROOM, Timestamp(0)).unwrap().store
}

fn row(id: &str, last_seen: u64, record: &str) -> Row {
    Row {
        id: id.into(),
        workload: "w".into(),
        last_seen: Timestamp(last_seen),
        record: record.into(),
    }
}

fn batch(endpoints: Vec<Row>) -> Batch {
    Batch {
        endpoints,
        ..Batch::default()
    }
}

fn ids(contents: &Contents) -> Vec<&str> {
    contents.endpoints.iter().map(|row| row.id.as_str()).collect()
}

#[test]
fn what_is_saved_is_loaded_again_in_order_of_id() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let saved = Batch {
        endpoints: vec![row("b", 2, "{}"), row("a", 1, "{\"x\":1}")],
        workloads: vec![row("w", 2, "[]")],
        alerts: vec![row("alert", 3, "{}")],
        anomalies: vec![row("odd", 3, "{}")],
        findings: vec![row("open", 3, "{}")],
        baselines: vec![row("a", 3, "{}")],
        status: Some(b"{}".to_vec()),
        ..Batch::default()
    };
    store.save(&saved).unwrap();
    store
        .save(&Batch {
            removed_endpoints: vec!["b".into()],
            ..batch(vec![row("c", 3, "1"), row("a", 5, "2")])
        })
        .unwrap();
    drop(store);
    let contents = open(dir.path()).load().unwrap();
    assert_eq!(contents.endpoints, [row("a", 5, "2"), row("c", 3, "1")]);
    assert_eq!(contents.workloads, [row("w", 2, "[]")]);
    assert_eq!(contents.alerts, [row("alert", 3, "{}")]);
    assert_eq!(contents.anomalies, [row("odd", 3, "{}")]);
    assert_eq!(contents.findings, [row("open", 3, "{}")]);
    assert_eq!(contents.baselines, [row("a", 3, "{}")]);
    assert_eq!(contents.status.as_deref(), Some(&b"{}"[..]));
}

#[test]
fn there_is_one_writer_and_readers_see_what_it_wrote() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    store.save(&batch(vec![row("a", 1, "1")])).unwrap();
    let second = Store::open(dir.path(), ROOM, Timestamp(0)).unwrap_err();
    assert!(matches!(second, StoreError::Locked(_)), "{second}");
    let reader = Reader::open(dir.path()).unwrap();
    store.save(&batch(vec![row("b", 1, "1")])).unwrap();
    assert_eq!(ids(&reader.load().unwrap()), ["a", "b"]);
}

#[test]
fn only_the_owner_may_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new/store");
    let mut store = open(&path);
    store.save(&batch(vec![row("a", 1, "1")])).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    for file in fs::read_dir(&path).unwrap() {
        assert_eq!(mode(&file.unwrap().path()), 0o600);
    }
}

#[test]
fn a_damaged_database_is_put_aside_once() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    fs::write(
        files::database(dir.path()),
        "this is not a database, it is a text of some length",
    )
    .unwrap();
    let opened = Store::open(dir.path(), ROOM, Timestamp(7_000_000_000)).unwrap();
    let aside = opened.damaged.unwrap();
    assert!(aside.ends_with("apiarist.db.damaged-7"), "{}", aside.display());
    assert!(fs::read_to_string(aside).unwrap().starts_with("this is not"));
    assert_eq!(opened.store.load().unwrap(), Contents::default());
    assert_eq!(opened.salvaged, 0);
}

#[test]
fn what_a_damaged_page_does_not_hold_is_saved() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let rows = (0..200)
        .map(|n| row(&format!("{n:03}"), 1, &format!("\"{}\"", "x".repeat(200))))
        .collect();
    store.save(&batch(rows)).unwrap();
    drop(store);
    let mut bytes = fs::read(files::database(dir.path())).unwrap();
    let inside = bytes.windows(4).position(|four| four == b"100w").unwrap();
    let page = inside / 4096 * 4096;
    bytes[page..page + 4096].fill(0xAA);
    fs::write(files::database(dir.path()), bytes).unwrap();
    let opened = Store::open(dir.path(), ROOM, Timestamp(0)).unwrap();
    assert!(opened.damaged.is_some());
    let saved = opened.store.load().unwrap();
    assert_eq!(saved.endpoints.len(), opened.salvaged);
    assert!((100..200).contains(&opened.salvaged), "{}", opened.salvaged);
    assert_eq!((ids(&saved)[0], *ids(&saved).last().unwrap()), ("000", "199"));
    drop(opened);
    assert!(
        Store::open(dir.path(), ROOM, Timestamp(0))
            .unwrap()
            .damaged
            .is_none()
    );
}

#[test]
fn two_damaged_pages_cost_what_is_in_them_and_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let id = |n: usize| format!("{:04x}", n * 64);
    let rows = (0..1000)
        .map(|n| row(&id(n), 1, &format!("\"{}\"", "x".repeat(200))))
        .collect();
    store.save(&batch(rows)).unwrap();
    drop(store);
    assert_eq!(
        Store::repair(dir.path(), ROOM, Timestamp(0)).unwrap().damaged,
        None
    );
    let mut bytes = fs::read(files::database(dir.path())).unwrap();
    for n in [300, 700] {
        let inside = id(n) + "w";
        let inside = bytes
            .windows(5)
            .position(|five| five == inside.as_bytes())
            .unwrap();
        let page = inside / 4096 * 4096;
        bytes[page..page + 4096].fill(0xAA);
    }
    fs::write(files::database(dir.path()), bytes).unwrap();
    assert!(!check(dir.path()).unwrap().is_whole());
    let repaired = Store::repair(dir.path(), ROOM, Timestamp(0)).unwrap();
    assert!(repaired.damaged.is_some());
    assert!(repaired.salvaged > 950, "{}", repaired.salvaged);
    assert!(ids(&repaired.store.load().unwrap()).contains(&id(500).as_str()));
    drop(repaired);
    assert!(check(dir.path()).unwrap().is_whole());
}

#[test]
fn there_is_nothing_to_repair_where_there_is_no_store() {
    let dir = tempfile::tempdir().unwrap();
    let error = Store::repair(dir.path(), ROOM, Timestamp(0)).unwrap_err();
    assert!(matches!(error, StoreError::Missing(_)), "{error}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_newer_format_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.connection.pragma_update(None, "user_version", 99).unwrap();
    drop(store);
    let error = Store::open(dir.path(), ROOM, Timestamp(0)).unwrap_err();
    assert!(matches!(error, StoreError::Newer { found: 99, .. }), "{error}");
    assert!(matches!(
        Reader::open(dir.path()),
        Err(StoreError::Newer { found: 99, .. })
    ));
}

#[test]
fn a_full_store_says_so_keeps_what_it_has_and_recovers() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), 256 * 1024, Timestamp(0)).unwrap().store;
    store.save(&batch(vec![row("a", 1, "1")])).unwrap();
    let error = store
        .save(&batch(vec![row("b", 1, &"x".repeat(1024 * 1024))]))
        .unwrap_err();
    assert!(matches!(error, StoreError::Full(_)), "{error}");
    store.save(&batch(vec![row("c", 1, "1")])).unwrap();
    assert_eq!(ids(&store.load().unwrap()), ["a", "c"]);
}

#[test]
fn what_is_too_old_goes() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    store
        .save(&batch(vec![row("old", 10, "1"), row("young", 20, "1")]))
        .unwrap();
    assert_eq!(store.remove_older(Timestamp(20)).unwrap(), 1);
    assert_eq!(ids(&store.load().unwrap()), ["young"]);
}

#[test]
fn a_store_at_its_bound_makes_room_by_forgetting_the_oldest() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), 1 << 20, Timestamp(0)).unwrap().store;
    let wide = "x".repeat(4096);
    let mut number = 0;
    let mut saved = || {
        number += 1;
        let result = store.save(&batch(vec![row(&format!("{number:04}"), number, &wide)]));
        (number, result)
    };
    let full_at = loop {
        if let (number, Err(error)) = saved() {
            assert!(matches!(error, StoreError::Full(_)), "{error}");
            break number;
        }
    };
    assert!(store.is_at_its_bound().unwrap());
    assert!(store.make_room().unwrap() as u64 >= full_at / 10);
    store.save(&batch(vec![row("9999", full_at, &wide)])).unwrap();
    let left = store.load().unwrap();
    assert!(!ids(&left).contains(&"0001"));
    assert!(ids(&left).contains(&"9999"));
}

#[test]
fn a_long_log_goes_into_the_database_beside_the_writer() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let log = || fs::metadata(files::log(dir.path())).unwrap().len();
    for round in 0..4 {
        // More than the log is to hold.
        let long = round.to_string().repeat(1 << 16);
        let rows = (0..80).map(|id| row(&id.to_string(), round, &long));
        store.begin().unwrap();
        store.part(&batch(rows.collect())).unwrap();
        assert!(!store.is_settling(), "before anything is kept");
        store.end().unwrap();
        assert!(log() > u64::from(LOG_BYTES));
        while store.is_settling() {
            std::thread::yield_now();
        }
        let database = fs::metadata(files::database(dir.path())).unwrap().len();
        assert!(database > u64::from(LOG_BYTES), "{database}");
    }
    // The next write begins the log anew, and cuts it.
    store.save(&batch(vec![row("little", 9, "{}")])).unwrap();
    assert_eq!(log(), u64::from(LOG_BYTES));
    drop(store);
    assert_eq!(
        Reader::open(dir.path()).unwrap().load().unwrap().endpoints.len(),
        81
    );
}
