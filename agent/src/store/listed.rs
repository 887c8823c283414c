//! Rows of lists, kept in the order they are shown in: a page is read without the rest.
//!
//! In: rows with their place. Out: the same rows, place by place, for as long as somebody wants more. They are only given
//! to those who would have judged as their writer did: by the same criteria, in the same version.

use std::ops::ControlFlow;

use rusqlite::{Connection, params};

use super::{Reader, Row, StoreError, Table, reader::meta, schema, writer::integer};

/// A row of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Rows are shown in the order of these bytes; different rows have different ones.
    pub place: Vec<u8>,
    /// The row.
    pub row: Row,
}

/// A row of a list while it is read: what nobody asks for is not taken from the database.
#[derive(Debug)]
pub struct Found<'a>(&'a rusqlite::Row<'a>);

impl Found<'_> {
    /// Its place.
    pub fn place(&self) -> &[u8] {
        self.bytes(0)
    }

    /// Id of its workload.
    pub fn workload(&self) -> &str {
        std::str::from_utf8(self.bytes(1)).unwrap_or_default()
    }

    /// The record, if it is text.
    pub fn record(&self) -> Option<&str> {
        std::str::from_utf8(self.bytes(2)).ok()
    }

    fn bytes(&self, column: usize) -> &[u8] {
        let value = self.0.get_ref(column).ok();
        value.and_then(|value| value.as_bytes().ok()).unwrap_or_default()
    }
}

impl Reader {
    /// Gives the rows of a list one by one, in order, until `take` has enough. Whether there is such a list: not if it
    /// was judged by something else.
    ///
    /// # Errors
    /// The database refuses.
    pub fn list(
        &self,
        table: Table,
        judged_by: &str,
        mut take: impl FnMut(Found<'_>) -> ControlFlow<()>,
    ) -> Result<bool, StoreError> {
        let mut read = || -> rusqlite::Result<bool> {
            let snapshot = self.connection.unchecked_transaction()?;
            let is_alike = meta(&snapshot, "judged_by")?.is_some_and(|known| known == judged_by.as_bytes());
            if !is_alike || self.version < schema::since(table) {
                return Ok(false);
            }
            let name = table.name();
            let select = format!("SELECT place, workload, record FROM {name} ORDER BY place");
            let mut statement = snapshot.prepare(&select)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                if take(Found(row)).is_break() {
                    break;
                }
            }
            Ok(true)
        };
        read().map_err(|error| self.failed(error))
    }

    /// How many endpoints each workload has, by its id.
    ///
    /// # Errors
    /// The database refuses.
    pub fn endpoints_of_workloads(&self) -> Result<Vec<(String, u64)>, StoreError> {
        let read = || -> rusqlite::Result<_> {
            self.connection
                .prepare("SELECT workload, count(*) FROM endpoints GROUP BY workload ORDER BY workload")?
                .query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs())))?
                .collect()
        };
        read().map_err(|error| self.failed(error))
    }
}

/// Puts rows into a list, each in the place of the one with its id, wherever that was. A row that is there already is not
/// written: whoever starts anew has all of them, and most are as they were left.
pub(super) fn replace(connection: &Connection, table: Table, rows: &[Listed]) -> rusqlite::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut is_there = connection.prepare_cached(&format!(
        "SELECT 1 FROM {} WHERE place = ?1 AND id = ?2 AND workload = ?3 AND last_seen = ?4 AND record = ?5",
        table.name()
    ))?;
    let mut statement = connection.prepare_cached(&format!(
        "INSERT OR REPLACE INTO {} (place, id, workload, last_seen, record) VALUES (?1, ?2, ?3, ?4, ?5)",
        table.name()
    ))?;
    for Listed { place, row } in rows {
        let last_seen = integer(row.last_seen);
        let columns = params![place, row.id, row.workload, last_seen, row.record];
        if !is_there.exists(columns)? {
            statement.execute(columns)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{
        clock::Timestamp,
        store::{Batch, Store},
    };

    fn listed(place: &str, id: &str) -> Listed {
        Listed {
            place: place.into(),
            row: Row {
                id: id.into(),
                workload: "w".into(),
                last_seen: Timestamp(1),
                record: id.into(),
            },
        }
    }

    fn ids(directory: &Path, table: Table, judged_by: &str, most: usize) -> Option<String> {
        let mut ids: Vec<String> = Vec::new();
        let reader = Reader::open(directory).unwrap();
        let take = |found: Found<'_>| {
            ids.push(found.record().unwrap().to_owned());
            assert_eq!((found.place().len(), found.workload()), (1, "w"));
            match ids.len() < most {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        };
        let is_there = reader.list(table, judged_by, take).unwrap();
        is_there.then(|| ids.join(" "))
    }

    #[test]
    fn rows_come_in_the_order_of_their_places_until_there_are_enough() {
        let directory = tempfile::tempdir().unwrap();
        let mut store = Store::open(directory.path(), 1 << 24, Timestamp(0))
            .unwrap()
            .store;
        let mut save = |summaries: Vec<Listed>, risks: Vec<Listed>, removed_risks: Vec<String>| {
            let batch = Batch {
                summaries,
                risks,
                removed_risks,
                judged_by: Some("me".into()),
                ..Batch::default()
            };
            store.save(&batch).unwrap();
        };
        save(
            vec![listed("2", "a"), listed("1", "b"), listed("3", "c")],
            vec![listed("1", "a"), listed("2", "c")],
            Vec::new(),
        );
        let ids = |table, judged_by, most| ids(directory.path(), table, judged_by, most);
        assert_eq!(ids(Table::Summaries, "me", 9).unwrap(), "b a c");
        assert_eq!(ids(Table::Summaries, "me", 2).unwrap(), "b a");
        assert_eq!(ids(Table::Risks, "me", 9).unwrap(), "a c");
        assert_eq!(ids(Table::Risks, "somebody else", 9), None);
        // One moves, one goes.
        save(vec![listed("4", "b")], vec![listed("0", "c")], vec!["a".into()]);
        assert_eq!(ids(Table::Summaries, "me", 9).unwrap(), "a c b");
        assert_eq!(ids(Table::Risks, "me", 9).unwrap(), "c");
    }

    #[test]
    fn a_row_that_is_there_is_not_written_again() {
        let directory = tempfile::tempdir().unwrap();
        let mut store = Store::open(directory.path(), 1 << 24, Timestamp(0))
            .unwrap()
            .store;
        let batch = Batch {
            summaries: vec![listed("1", "a")],
            risks: vec![listed("1", "a")],
            ..Batch::default()
        };
        let mut changes = |batch: &Batch| {
            let before = store.changes();
            store.save(batch).unwrap();
            store.changes() - before
        };
        assert_eq!((changes(&batch), changes(&batch)), (2, 0));
        let mut later = batch.clone();
        later.summaries[0].row.last_seen = Timestamp(2);
        assert_eq!(changes(&later), 1);
        later.risks[0].place = b"2".to_vec();
        assert!(changes(&later) > 0);
    }

    #[test]
    fn what_is_no_endpoint_any_more_is_in_no_list() {
        let directory = tempfile::tempdir().unwrap();
        let mut store = Store::open(directory.path(), 1 << 24, Timestamp(0))
            .unwrap()
            .store;
        let batch = |removed: &[&str], endpoints: Vec<Listed>| Batch {
            removed_endpoints: removed.iter().map(ToString::to_string).collect(),
            endpoints: endpoints.iter().map(|listed| listed.row.clone()).collect(),
            summaries: endpoints.clone(),
            risks: endpoints,
            judged_by: Some("me".into()),
            ..Batch::default()
        };
        store
            .save(&batch(&[], vec![listed("1", "a"), listed("2", "b")]))
            .unwrap();
        store.save(&batch(&["a"], Vec::new())).unwrap();
        for table in [Table::Summaries, Table::Risks] {
            assert_eq!(ids(directory.path(), table, "me", 9).unwrap(), "b");
        }
        let reader = Reader::open(directory.path()).unwrap();
        assert_eq!(reader.endpoints_of_workloads().unwrap(), [("w".to_owned(), 1)]);
    }
}
