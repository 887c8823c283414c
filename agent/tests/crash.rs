//! A writer that is killed at any moment: the store opens again, and holds what was written last.
//!
//! The test starts itself as a child that writes batches as fast as it can and says so after each. A batch writes
//! every row anew with its number, so that rows of two batches beside each other show a write that was cut in two.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may be blunt"
)]

use std::{
    env,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{RecvTimeoutError, sync_channel},
    time::Duration,
};

use apiarist::{
    clock::{Timestamp, monotonic_ns},
    store::{Batch, Reader, Row, Store},
};
use serde_json::{Value, json};

/// How often the writer is killed.
const KILLS: u64 = 200;

/// Rows of each table.
const ROWS: u64 = 200;

/// Tells a child where to write.
const DIRECTORY: &str = "APIARIST_TEST_CRASH_STORE";

const ROOM: u64 = 1 << 30;

fn row(number: u64, id: u64) -> Row {
    // Of different lengths, so that pages split and overflow.
    let filling = "x".repeat(((number * 31 + id * 17) % 6000) as usize);
    let record = json!({"number": number, "id": id, "filling": filling, "length": filling.len()});
    Row {
        id: format!("{id:04}"),
        workload: "w".into(),
        last_seen: Timestamp(number),
        record: record.to_string().into_bytes(),
    }
}

fn batch(number: u64) -> Batch {
    let rows = || (0..ROWS).map(|id| row(number, id)).collect();
    Batch {
        endpoints: rows(),
        alerts: rows(),
        status: Some(number.to_string().into_bytes()),
        ..Batch::default()
    }
}

/// The number of the last batch; fails if rows are damaged, missing, or of different batches.
fn last_batch(store: &Store) -> u64 {
    let contents = store.load().unwrap();
    let Some(status) = contents.status else {
        assert!(contents.endpoints.is_empty() && contents.alerts.is_empty());
        return 0;
    };
    let number: u64 = std::str::from_utf8(&status).unwrap().parse().unwrap();
    for rows in [&contents.endpoints, &contents.alerts] {
        assert_eq!(rows.len() as u64, ROWS);
        for row in rows {
            let record: Value = serde_json::from_slice(&row.record).unwrap();
            assert_eq!(record["number"], number, "a batch was written by halves");
            assert_eq!(record["filling"].as_str().unwrap().len(), record["length"]);
        }
    }
    number
}

/// The child. In an ordinary run of the tests there is nothing to write.
#[test]
fn writer() {
    let Some(directory) = env::var_os(DIRECTORY) else {
        return;
    };
    let mut store = Store::open(Path::new(&directory), ROOM, Timestamp(0))
        .unwrap()
        .store;
    let mut out = std::io::stdout();
    for number in last_batch(&store) + 1.. {
        store.save(&batch(number)).unwrap();
        writeln!(out, "saved {number}").unwrap();
        out.flush().unwrap();
    }
}

/// Starts a writer, kills it after `patience`, and returns the last batch that it said was saved.
fn write_and_kill(directory: &Path, patience: Duration) -> u64 {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["writer", "--exact", "--nocapture", "--test-threads=1"])
        .env(DIRECTORY, directory)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let (said, heard) = sync_channel(4096);
    let reader = std::thread::spawn(move || {
        for line in output.lines().map_while(Result::ok) {
            let number = line
                .rsplit_once("saved ")
                .map(|(_, number)| number.parse().unwrap());
            if number.is_some_and(|number: u64| said.send(number).is_err()) {
                return;
            }
        }
    });
    // The first batch shows that it is at work; then it is killed at any moment.
    let mut last = heard.recv_timeout(Duration::from_secs(30)).unwrap();
    let until = monotonic_ns() + patience.as_nanos() as u64;
    loop {
        let left = Duration::from_nanos(until.saturating_sub(monotonic_ns()));
        match heard.recv_timeout(left) {
            Ok(number) => last = number,
            Err(RecvTimeoutError::Timeout) => break,
            Err(RecvTimeoutError::Disconnected) => panic!("the writer ended by itself"),
        }
    }
    kill(&mut child);
    reader.join().unwrap();
    heard.try_iter().last().unwrap_or(last)
}

fn kill(child: &mut Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn nothing_that_was_saved_is_lost_when_the_writer_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let mut random: u64 = 0x9e37_79b9_7f4a_7c15;
    for _ in 0..KILLS {
        // xorshift64: any moment within 40 ms, the same ones at each run as far as the machine allows.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let said = write_and_kill(directory.path(), Duration::from_micros(random % 40_000));
        // A reader comes first, as after a crash nobody may have repaired anything.
        Reader::open(directory.path()).unwrap().load().unwrap();
        let opened = Store::open(directory.path(), ROOM, Timestamp(0)).unwrap();
        assert_eq!(opened.damaged, None);
        let found = last_batch(&opened.store);
        assert!(found == said || found == said + 1, "said {said}, found {found}");
    }
}
