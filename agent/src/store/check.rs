//! Whether a store is whole.
//!
//! In: the directory of a store, also one that an agent writes to. Out: what is wrong with it, and how many rows it has.
//! Changes nothing: [`super::Store::repair`] does.

use std::path::Path;

use rusqlite::Connection;

use super::{Reader, StoreError, Table, schema};

/// Faults that are told. Overflow policy: the rest is not looked for, one is enough to repair.
const MAX_FAULTS: u32 = 10;

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    /// What is wrong, one sentence each; none when the store is whole.
    pub faults: Vec<String>,
    /// Rows that were counted, of all tables; none when the file cannot be opened.
    pub rows: u64,
}

impl Checked {
    /// Nothing is wrong.
    pub fn is_whole(&self) -> bool {
        self.faults.is_empty()
    }
}

/// Looks at every page, every index and every record of the store in `directory`.
///
/// # Errors
/// There is no store, it may not be read, or a newer version wrote it. Damage is no error here.
pub fn check(directory: &Path) -> Result<Checked, StoreError> {
    let checked = Reader::open(directory)
        .and_then(|reader| pages(&reader.connection, reader.version).map_err(|error| reader.failed(error)));
    match checked {
        Err(StoreError::Damaged(_)) => Ok(Checked {
            faults: vec!["it is no database any more".to_owned()],
            rows: 0,
        }),
        other => other,
    }
}

fn pages(connection: &Connection, version: u32) -> rusqlite::Result<Checked> {
    let snapshot = connection.unchecked_transaction()?;
    let mut checked = Checked::default();
    let told: Vec<String> = snapshot
        .prepare(&format!("PRAGMA integrity_check({MAX_FAULTS})"))?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    if told != ["ok"] {
        checked.faults = told;
        return Ok(checked);
    }
    for table in Table::ALL
        .into_iter()
        .filter(|table| version >= schema::since(*table))
    {
        let name = table.name();
        let (rows, readable): (i64, i64) = snapshot.query_row(
            &format!("SELECT count(*), coalesce(sum(json_valid(CAST(record AS TEXT))), 0) FROM {name}"),
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        checked.rows += rows.unsigned_abs();
        if readable < rows {
            let unreadable = rows - readable;
            checked
                .faults
                .push(format!("{unreadable} of {rows} records in {name} are cut off"));
        }
    }
    Ok(checked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::Timestamp,
        store::{Batch, Row, Store},
    };

    fn filled(directory: &Path, records: &[&str]) -> Store {
        let mut store = Store::open(directory, 1 << 24, Timestamp(0)).unwrap().store;
        let row = |(number, record): (usize, &&str)| Row {
            id: number.to_string(),
            workload: "w".into(),
            last_seen: Timestamp(1),
            record: record.as_bytes().to_vec(),
        };
        let endpoints = records.iter().enumerate().map(row).collect();
        store
            .save(&Batch {
                endpoints,
                ..Batch::default()
            })
            .unwrap();
        store
    }

    #[test]
    fn a_whole_store_is_found_whole_while_it_is_written() {
        let directory = tempfile::tempdir().unwrap();
        let _store = filled(directory.path(), &["{}", "{\"a\":1}"]);
        let checked = check(directory.path()).unwrap();
        assert_eq!((checked.is_whole(), checked.rows), (true, 2));
    }

    #[test]
    fn records_that_are_cut_off_are_told() {
        let directory = tempfile::tempdir().unwrap();
        let _store = filled(directory.path(), &["{}", "{\"a\":"]);
        let checked = check(directory.path()).unwrap();
        assert_eq!(checked.faults, ["1 of 2 records in endpoints are cut off"]);
    }

    #[test]
    fn what_is_no_store_is_refused_and_what_is_no_database_is_damaged() {
        let directory = tempfile::tempdir().unwrap();
        assert!(matches!(check(directory.path()), Err(StoreError::Missing(_))));
        let text = "a text, and no database at all, of some length";
        std::fs::write(directory.path().join("apiarist.db"), text).unwrap();
        assert_eq!(
            check(directory.path()).unwrap().faults,
            ["it is no database any more"]
        );
    }
}
