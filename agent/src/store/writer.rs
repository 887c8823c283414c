//! The writing end of the store: one per directory.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, Transaction, params};

use super::{
    Batch, Contents, Row, StoreError, Table,
    files::{self, WriterLock},
    reader, salvage, schema,
};
use crate::clock::Timestamp;

/// How long a writer waits for a reader that blocks it.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The write-ahead log is cut back to this size after each checkpoint.
const LOG_BYTES: u32 = 4 * 1024 * 1024;

/// The writing end.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    directory: PathBuf,
    _lock: WriterLock,
}

/// A store, and what happened when it was opened.
#[derive(Debug)]
pub struct Opened {
    /// The store.
    pub store: Store,
    /// Where a damaged database was put, if there was one.
    pub damaged: Option<PathBuf>,
    /// Rows that could be read of a damaged database: the store starts with them.
    pub salvaged: usize,
}

impl Store {
    /// Opens the store in `directory`, making it if need be. Its database will not grow beyond `max_bytes`.
    /// `now` names a damaged database that is put aside.
    ///
    /// # Errors
    /// Another writer holds it, a newer version wrote it, or the file system refuses.
    pub fn open(directory: &Path, max_bytes: u64, now: Timestamp) -> Result<Opened, StoreError> {
        let lock = files::prepare(directory)?;
        let mut damaged = None;
        let connection = match connect(directory, max_bytes) {
            Err(StoreError::Damaged(_)) => {
                let failed = |error| StoreError::io(directory, error);
                damaged = Some(files::put_aside(directory, now).map_err(failed)?);
                files::create_database(directory).map_err(failed)?;
                connect(directory, max_bytes)?
            }
            other => other?,
        };
        let mut store = Self {
            connection,
            directory: directory.to_owned(),
            _lock: lock,
        };
        let mut salvaged = 0;
        if let Some(aside) = &damaged {
            let batch = salvage::salvage(aside);
            store.save(&batch)?;
            salvaged = Table::ALL.iter().map(|table| batch.rows(*table).len()).sum();
        }
        Ok(Opened {
            store,
            damaged,
            salvaged,
        })
    }

    /// Writes a batch in one transaction: all of it is kept, or nothing.
    ///
    /// # Errors
    /// The disk is full, or the database refuses. The store stays usable.
    pub fn save(&mut self, batch: &Batch) -> Result<(), StoreError> {
        self.transaction(|transaction| {
            // Removals first: an id that waited to be removed may be in use again.
            for table in [Table::Endpoints, Table::Summaries] {
                let sql = format!("DELETE FROM {} WHERE id = ?1", table.name());
                let mut remove = transaction.prepare_cached(&sql)?;
                for id in &batch.removed_endpoints {
                    remove.execute([id])?;
                }
            }
            for table in Table::ALL {
                upsert(transaction, table, batch.rows(table))?;
            }
            let judged_by = batch.judged_by.as_ref().map(String::as_bytes);
            for (key, value) in [("status", batch.status.as_deref()), ("judged_by", judged_by)] {
                let Some(value) = value else { continue };
                transaction.execute(
                    "INSERT INTO meta (key, value) VALUES (?1, ?2)
                     ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                    params![key, value],
                )?;
            }
            Ok(())
        })
    }

    /// Everything that is kept.
    ///
    /// # Errors
    /// The database refuses.
    pub fn load(&self) -> Result<Contents, StoreError> {
        reader::contents(&self.connection, schema::VERSION)
            .map_err(|error| StoreError::database(&self.directory, error))
    }

    /// Removes what was last seen before `limit`; returns the number of rows removed.
    ///
    /// # Errors
    /// The database refuses.
    pub fn remove_older(&mut self, limit: Timestamp) -> Result<usize, StoreError> {
        self.transaction(|transaction| {
            let mut removed = 0;
            for table in Table::ALL {
                let delete = format!("DELETE FROM {} WHERE last_seen < ?1", table.name());
                removed += transaction.execute(&delete, [integer(limit)])?;
            }
            Ok(removed)
        })
    }

    /// Whether the store's own bound, not the disk, is what keeps it from growing.
    ///
    /// # Errors
    /// The database refuses.
    pub fn is_at_its_bound(&self) -> Result<bool, StoreError> {
        let pragma = |name: &str| {
            let sql = format!("PRAGMA {name}");
            self.connection.query_row(&sql, [], |row| row.get::<_, i64>(0))
        };
        let read = || Ok((pragma("page_count")?, pragma("max_page_count")?));
        let (pages, bound) = read().map_err(|error| StoreError::database(&self.directory, error))?;
        Ok(pages >= bound - bound / 8)
    }

    /// Removes the tenth of each table that was not seen for the longest time; returns the number of rows removed.
    ///
    /// # Errors
    /// The database refuses.
    pub fn make_room(&mut self) -> Result<usize, StoreError> {
        self.transaction(|transaction| {
            let mut removed = 0;
            for table in Table::ALL {
                let table = table.name();
                removed += transaction.execute(
                    &format!(
                        "DELETE FROM {table} WHERE id IN (SELECT id FROM {table} ORDER BY last_seen
                         LIMIT (SELECT (count(*) + 9) / 10 FROM {table}))"
                    ),
                    [],
                )?;
            }
            Ok(removed)
        })
    }

    /// From now on every write fails, as on a full disk; or no longer.
    #[cfg(test)]
    pub(crate) fn refuse_writes(&self, refuse: bool) {
        self.connection.pragma_update(None, "query_only", refuse).unwrap();
    }

    fn transaction<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let run = |connection: &mut Connection| {
            let transaction = connection.transaction()?;
            let result = work(&transaction)?;
            transaction.commit()?;
            Ok(result)
        };
        run(&mut self.connection).map_err(|error| StoreError::database(&self.directory, error))
    }
}

fn connect(directory: &Path, max_bytes: u64) -> Result<Connection, StoreError> {
    let open = || -> rusqlite::Result<(Connection, u32)> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(files::database(directory), flags)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        let found = schema::version(&connection)?;
        if found > schema::VERSION {
            return Ok((connection, found));
        }
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.pragma_update(None, "journal_size_limit", LOG_BYTES)?;
        let page_bytes: u32 = connection.query_row("PRAGMA page_size", [], |row| row.get(0))?;
        let pages = (max_bytes / u64::from(page_bytes.max(1))).clamp(1, u64::from(u32::MAX - 1));
        connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))?;
        let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if verdict != "ok" {
            let damage = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
            return Err(rusqlite::Error::SqliteFailure(damage, Some(verdict)));
        }
        let transaction = connection.transaction()?;
        schema::migrate(&transaction, found)?;
        transaction.commit()?;
        Ok((connection, found))
    };
    let (connection, found) = open().map_err(|error| StoreError::database(directory, error))?;
    match found > schema::VERSION {
        true => Err(StoreError::Newer {
            path: directory.display().to_string(),
            found,
            known: schema::VERSION,
        }),
        false => Ok(connection),
    }
}

/// Writes rows whose content differs from what is there, so that an unchanged row costs no page.
fn upsert(transaction: &Transaction<'_>, table: Table, rows: &[Row]) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached(&format!(
        "INSERT INTO {} (id, workload, last_seen, record) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (id) DO UPDATE SET workload = excluded.workload, last_seen = excluded.last_seen,
             record = excluded.record
         WHERE record IS NOT excluded.record OR last_seen IS NOT excluded.last_seen",
        table.name()
    ))?;
    for row in rows {
        statement.execute(params![row.id, row.workload, integer(row.last_seen), row.record])?;
    }
    Ok(())
}

/// SQLite's integers are signed; times beyond the year 2262 are kept as that.
fn integer(time: Timestamp) -> i64 {
    i64::try_from(time.0).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
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
}
