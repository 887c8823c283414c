//! The tables, and how an older database becomes a current one.
//!
//! `user_version` counts the migrations that were applied. Append to [`MIGRATIONS`]; never change an entry that
//! was released.

use rusqlite::{Connection, Transaction};

const MIGRATIONS: [&str; 1] = ["
    CREATE TABLE endpoints (
        id        TEXT PRIMARY KEY,
        workload  TEXT NOT NULL,
        last_seen INTEGER NOT NULL,
        record    BLOB NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX endpoints_by_age ON endpoints (last_seen);
    CREATE TABLE workloads (
        id        TEXT PRIMARY KEY,
        workload  TEXT NOT NULL,
        last_seen INTEGER NOT NULL,
        record    BLOB NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX workloads_by_age ON workloads (last_seen);
    CREATE TABLE meta (
        key   TEXT PRIMARY KEY,
        value BLOB NOT NULL
    ) WITHOUT ROWID;
"];

/// The format this version writes.
pub(super) const VERSION: u32 = MIGRATIONS.len() as u32;

/// Format of a database; 0 when it is new.
pub(super) fn version(connection: &Connection) -> rusqlite::Result<u32> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// Brings a database to [`VERSION`] in one transaction. One that is newer is left as it is.
pub(super) fn migrate(transaction: &Transaction<'_>, from: u32) -> rusqlite::Result<()> {
    for migration in MIGRATIONS.iter().skip(from as usize) {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "user_version", VERSION)
}
