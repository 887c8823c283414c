//! What can still be read of a damaged database.
//!
//! In: the file that was put aside. Out: a batch. Each table is read from its beginning up to the damage, then from
//! its end, and between these in many short stretches, each from both of its ends; rows whose record is no JSON any more
//! are left out. Changes nothing.

use std::{collections::BTreeMap, path::Path};

use rusqlite::{Connection, OpenFlags};
use serde::de::IgnoredAny;

use super::{Batch, Row, Table, reader, schema};

/// Stretches of a table: ids are hexadecimal digits, and two of them make so many.
const STRETCHES: u32 = 256;

/// Reads what is readable; nothing when the file is no database at all.
pub(super) fn salvage(database: &Path) -> Batch {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let Ok(connection) = Connection::open_with_flags(database, flags) else {
        return Batch::default();
    };
    let version = schema::version(&connection).unwrap_or(schema::VERSION);
    let rows = |table: Table| -> Vec<Row> {
        if version < schema::since(table) {
            return Vec::new();
        }
        let mut found = BTreeMap::new();
        let is_whole = collect(&connection, table, None, &mut found);
        for prefix in (0..STRETCHES).filter(|_| !is_whole) {
            collect(&connection, table, Some(prefix), &mut found);
        }
        found.into_values().collect()
    };
    Batch {
        endpoints: rows(Table::Endpoints),
        workloads: rows(Table::Workloads),
        alerts: rows(Table::Alerts),
        anomalies: rows(Table::Anomalies),
        findings: rows(Table::Findings),
        baselines: rows(Table::Baselines),
        snapshots: rows(Table::Snapshots),
        ..Batch::default()
    }
}

/// Adds rows until the first that cannot be read, then from the other end; of those whose ids begin with two hexadecimal
/// digits, if they are given. Whether all could be read.
fn collect(
    connection: &Connection,
    table: Table,
    prefix: Option<u32>,
    found: &mut BTreeMap<String, Row>,
) -> bool {
    let from = prefix.map(|prefix| format!("{prefix:02x}"));
    let to = prefix.map(|prefix| format!("{prefix:02x}g"));
    let select = reader::select(table, "WHERE id >= coalesce(?1, '') AND (?2 IS NULL OR id < ?2)");
    let mut read = |direction: &str| -> rusqlite::Result<()> {
        let mut statement = connection.prepare(&format!("{select} {direction}"))?;
        for row in statement.query_map([&from, &to], reader::row)? {
            let row = row?;
            if serde_json::from_slice::<IgnoredAny>(&row.record).is_ok() {
                found.insert(row.id.clone(), row);
            }
        }
        Ok(())
    };
    match read("ASC") {
        Ok(()) => true,
        Err(_) => {
            // As far as it goes.
            read("DESC").unwrap_or(());
            false
        }
    }
}
