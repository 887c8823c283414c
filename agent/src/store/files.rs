//! The files of a store: who may read them, who may write, and what happens to a damaged one.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, flock};

use super::{DATABASE, StoreError};
use crate::clock::Timestamp;

/// Held as long as a writer lives; the system releases it with the process, however that ends.
#[derive(Debug)]
pub(super) struct WriterLock {
    _file: File,
}

/// The database file of a store.
pub(super) fn database(directory: &Path) -> PathBuf {
    directory.join(DATABASE)
}

/// The database's write-ahead log.
pub(super) fn log(directory: &Path) -> PathBuf {
    directory.join(format!("{DATABASE}-wal"))
}

/// Makes the directory (mode 0700, if it is not there) and the database file (0600; the files that SQLite puts
/// beside it take its mode).
pub(super) fn prepare(directory: &Path) -> Result<WriterLock, StoreError> {
    let failed = |source| StoreError::io(directory, source);
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(failed)?;
    let lock = private(&directory.join("lock")).map_err(failed)?;
    match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            return Err(StoreError::Locked(directory.display().to_string()));
        }
        Err(other) => return Err(failed(other.into())),
    }
    create_database(directory).map_err(failed)?;
    Ok(WriterLock { _file: lock })
}

/// Makes the database file if it is not there.
pub(super) fn create_database(directory: &Path) -> io::Result<()> {
    private(&database(directory)).map(drop)
}

fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

/// Renames a damaged database and its companions; returns the new name.
pub(super) fn put_aside(directory: &Path, now: Timestamp) -> io::Result<PathBuf> {
    let mark = format!("damaged-{}", now.0 / 1_000_000_000);
    let aside = directory.join(format!("{DATABASE}.{mark}"));
    fs::rename(database(directory), &aside)?;
    for companion in ["wal", "shm"] {
        let from = directory.join(format!("{DATABASE}-{companion}"));
        match fs::rename(&from, directory.join(format!("{DATABASE}.{mark}-{companion}"))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(aside)
}
