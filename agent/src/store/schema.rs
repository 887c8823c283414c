//! The tables, and how an older database becomes a current one.
//!
//! `user_version` counts the migrations that were applied. Append to [`MIGRATIONS`]; never change an entry that
//! was released.

use rusqlite::{Connection, Transaction};

use super::Table;

const MIGRATIONS: [&str; 4] = [
    "
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
",
    "
    CREATE TABLE alerts (
        id        TEXT PRIMARY KEY,
        workload  TEXT NOT NULL,
        last_seen INTEGER NOT NULL,
        record    BLOB NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX alerts_by_age ON alerts (last_seen);
    CREATE TABLE anomalies (
        id        TEXT PRIMARY KEY,
        workload  TEXT NOT NULL,
        last_seen INTEGER NOT NULL,
        record    BLOB NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX anomalies_by_age ON anomalies (last_seen);
    CREATE TABLE findings (
        id        TEXT PRIMARY KEY,
        workload  TEXT NOT NULL,
        last_seen INTEGER NOT NULL,
        record    BLOB NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX findings_by_age ON findings (last_seen);
    CREATE TABLE baselines (
        id        TEXT PRIMARY KEY,
        workload  TEXT NOT NULL,
        last_seen INTEGER NOT NULL,
        record    BLOB NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX baselines_by_age ON baselines (last_seen);
",
    "
    CREATE TABLE summaries (
        id        TEXT PRIMARY KEY,
        workload  TEXT NOT NULL,
        last_seen INTEGER NOT NULL,
        record    BLOB NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX summaries_by_age ON summaries (last_seen);
    CREATE TABLE snapshots (
        id        TEXT PRIMARY KEY,
        workload  TEXT NOT NULL,
        last_seen INTEGER NOT NULL,
        record    BLOB NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX snapshots_by_age ON snapshots (last_seen);
",
    // Lists lie in the order they are shown in. What was there is written again by the next agent.
    "
    DROP TABLE summaries;
    CREATE TABLE summaries (
        place     BLOB PRIMARY KEY,
        id        TEXT NOT NULL UNIQUE,
        workload  TEXT NOT NULL,
        last_seen INTEGER NOT NULL,
        record    BLOB NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX summaries_by_age ON summaries (last_seen);
    CREATE TABLE risks (
        place     BLOB PRIMARY KEY,
        id        TEXT NOT NULL UNIQUE,
        workload  TEXT NOT NULL,
        last_seen INTEGER NOT NULL,
        record    BLOB NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX risks_by_age ON risks (last_seen);
    DELETE FROM meta WHERE key = 'judged_by';
",
];

/// The format this version writes.
pub(super) const VERSION: u32 = MIGRATIONS.len() as u32;

/// The format that brought a table.
pub(super) const fn since(table: Table) -> u32 {
    match table {
        Table::Endpoints | Table::Workloads => 1,
        Table::Alerts | Table::Anomalies | Table::Findings | Table::Baselines => 2,
        Table::Snapshots => 3,
        Table::Summaries | Table::Risks => 4,
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_leads_to_the_present_one() {
        let fresh = tables_from(0);
        for from in 0..VERSION {
            assert_eq!(tables_from(from), fresh, "from {from}");
        }
        for table in Table::ALL {
            assert!(fresh.contains(&table.name().to_owned()), "{table:?}");
        }
    }

    /// The tables of a database that was made at a format and brought to the present one.
    fn tables_from(format: u32) -> Vec<String> {
        let mut connection = Connection::open_in_memory().unwrap();
        for migration in MIGRATIONS.iter().take(format as usize) {
            connection.execute_batch(migration).unwrap();
        }
        let transaction = connection.transaction().unwrap();
        migrate(&transaction, format).unwrap();
        transaction.commit().unwrap();
        assert_eq!(version(&connection).unwrap(), VERSION);
        connection
            .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .collect::<rusqlite::Result<_>>()
            .unwrap()
    }
}
