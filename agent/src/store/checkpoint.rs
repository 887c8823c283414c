//! Moves what was written from the write-ahead log into the database: in a thread of its own, for that waits for the disk.
//!
//! Beside a checkpoint others read, and the writer may write on. One that fails, or is cut off by a crash, costs nothing: the
//! log holds what was written until a later one.

use std::{
    path::{Path, PathBuf},
    thread::JoinHandle,
};

use rusqlite::{Connection, OpenFlags};

use super::files;

/// The write-ahead log is cut back to this size after each checkpoint, which is made when it is larger.
pub(super) const LOG_BYTES: u32 = 4 * 1024 * 1024;

/// The checkpoint that is under way, if there is one. Dropped, it waits for its end.
#[derive(Debug, Default)]
pub(super) struct Checkpoint {
    thread: Option<JoinHandle<()>>,
}

impl Checkpoint {
    /// Whether one is under way: as long as it is, what is written makes the log longer.
    pub(super) fn is_under_way(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Begins one if the log of the store in `directory` is long, and none is under way.
    pub(super) fn begin_if_long(&mut self, directory: &Path) {
        let log = std::fs::metadata(files::log(directory));
        let is_long = log.is_ok_and(|log| log.len() > u64::from(LOG_BYTES));
        if !is_long || self.is_under_way() {
            return;
        }
        let database = files::database(directory);
        let thread = std::thread::Builder::new().name("apiarist-store".to_owned());
        match thread.spawn(move || make(database)) {
            Ok(thread) => self.thread = Some(thread),
            Err(error) => tracing::debug!(%error, "no checkpoint of the store: the next write tries again"),
        }
    }
}

impl Drop for Checkpoint {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            // It has nothing to tell.
            thread.join().unwrap_or_default();
        }
    }
}

fn make(database: PathBuf) {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let made = Connection::open_with_flags(database, flags).and_then(|connection| {
        // It writes the same as the writer would: not more often to the disk than that does.
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
    });
    if let Err(error) = made {
        tracing::debug!(%error, "no checkpoint of the store: the next write tries again");
    }
}
