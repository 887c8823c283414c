//! What can still be read of a damaged database.
//!
//! In: the file that was put aside. Out: a batch. Each table is read from its beginning up to the damage, then from
//! its end; rows whose record is no JSON any more are left out. Changes nothing.

use std::{collections::BTreeMap, path::Path};

use rusqlite::{Connection, OpenFlags};
use serde::de::IgnoredAny;

use super::{Batch, Row, Table, reader, schema};

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
        for direction in ["ASC", "DESC"] {
            collect(&connection, table, direction, &mut found);
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

/// Adds rows until the first that cannot be read.
fn collect(connection: &Connection, table: Table, direction: &str, found: &mut BTreeMap<String, Row>) {
    let sql = format!("{} {direction}", reader::select(table));
    let Ok(mut statement) = connection.prepare(&sql) else {
        return;
    };
    let Ok(rows) = statement.query_map([], reader::row) else {
        return;
    };
    for row in rows {
        match row {
            Ok(row) if serde_json::from_slice::<IgnoredAny>(&row.record).is_ok() => {
                found.insert(row.id.clone(), row);
            }
            Ok(_) => {}
            Err(_) => return,
        }
    }
}
