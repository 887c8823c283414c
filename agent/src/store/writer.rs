//! The writing end of the store: one per directory.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, Transaction, params};

use super::{
    Batch, Contents, Row, StoreError, Table, check,
    checkpoint::{Checkpoint, LOG_BYTES},
    files::{self, WriterLock},
    listed, reader, salvage, schema,
};
use crate::clock::Timestamp;

/// How long a writer waits for a reader that blocks it.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The writing end.
#[derive(Debug)]
pub struct Store {
    /// Ends before the connection is closed.
    checkpoint: Checkpoint,
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
        let connected = connect(directory, max_bytes);
        Self::replace_damaged(lock, connected, directory, max_bytes, now)
    }

    /// Looks at all of the store in `directory`, and replaces it by what can be read of it if it is damaged.
    ///
    /// # Errors
    /// There is no store, another writer holds it, a newer version wrote it, or the file system refuses.
    pub fn repair(directory: &Path, max_bytes: u64, now: Timestamp) -> Result<Opened, StoreError> {
        if !files::database(directory).exists() {
            return Err(StoreError::Missing(directory.display().to_string()));
        }
        let lock = files::prepare(directory)?;
        let connected = match check(directory)?.is_whole() {
            true => connect(directory, max_bytes),
            false => Err(StoreError::Damaged(directory.display().to_string())),
        };
        Self::replace_damaged(lock, connected, directory, max_bytes, now)
    }

    /// The store that `connected` leads to; if that is damaged, a new one with what can be read of it.
    fn replace_damaged(
        lock: WriterLock,
        connected: Result<Connection, StoreError>,
        directory: &Path,
        max_bytes: u64,
        now: Timestamp,
    ) -> Result<Opened, StoreError> {
        let mut damaged = None;
        let connection = match connected {
            Err(StoreError::Damaged(_)) => {
                let failed = |error| StoreError::io(directory, error);
                damaged = Some(files::put_aside(directory, now).map_err(failed)?);
                files::create_database(directory).map_err(failed)?;
                connect(directory, max_bytes)?
            }
            other => other?,
        };
        let mut store = Self {
            checkpoint: Checkpoint::default(),
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
        self.transaction(|transaction| write(transaction, batch))
    }

    /// Begins a write of many batches: all of them are kept, or nothing. Others may read meanwhile, and the writer may do
    /// other things between two batches.
    ///
    /// # Errors
    /// The database refuses, or another such write has not ended.
    pub fn begin(&mut self) -> Result<(), StoreError> {
        self.execute("BEGIN")
    }

    /// Writes one of them. Gives back the number of rows.
    ///
    /// # Errors
    /// The disk is full, or the database refuses: then [`Self::give_up`].
    pub fn part(&mut self, batch: &Batch) -> Result<usize, StoreError> {
        let written = write(&self.connection, batch);
        written.map_err(|error| StoreError::database(&self.directory, error))?;
        Ok(batch.len())
    }

    /// Keeps what was written since it began, and no page of it in memory: the next write is seconds away, and reads what it
    /// needs from the page cache.
    ///
    /// # Errors
    /// As [`Self::part`].
    pub fn end(&mut self) -> Result<(), StoreError> {
        self.execute("COMMIT; PRAGMA shrink_memory")?;
        self.checkpoint.begin_if_long(&self.directory);
        Ok(())
    }

    /// Whether what was written last is still on its way from the log into the database. A write may begin all the same; it
    /// makes the log longer.
    pub fn is_settling(&self) -> bool {
        self.checkpoint.is_under_way()
    }

    /// Keeps nothing of what was written since it began.
    pub fn give_up(&mut self) {
        // A failure may have undone it already.
        if !self.connection.is_autocommit()
            && let Err(error) = self.execute("ROLLBACK")
        {
            tracing::warn!(%error, "a write of the store that failed was not undone");
        }
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

    /// Rows that were written since it was opened.
    #[cfg(test)]
    pub(super) fn changes(&self) -> u64 {
        self.connection.total_changes()
    }

    /// From now on every write fails, as on a full disk; or no longer.
    #[cfg(test)]
    pub(crate) fn refuse_writes(&self, refuse: bool) {
        self.connection.pragma_update(None, "query_only", refuse).unwrap();
    }

    fn execute(&self, sql: &str) -> Result<(), StoreError> {
        let done = self.connection.execute_batch(sql);
        done.map_err(|error| StoreError::database(&self.directory, error))
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
        let done = run(&mut self.connection).map_err(|error| StoreError::database(&self.directory, error));
        self.checkpoint.begin_if_long(&self.directory);
        done
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
        connection.pragma_update(None, "wal_autocheckpoint", 0)?;
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

fn write(connection: &Connection, batch: &Batch) -> rusqlite::Result<()> {
    // Removals first: an id that waited to be removed may be in use again.
    for table in [Table::Endpoints, Table::Summaries, Table::Risks] {
        remove(connection, table, &batch.removed_endpoints)?;
    }
    remove(connection, Table::Risks, &batch.removed_risks)?;
    for table in Table::ALL {
        upsert(connection, table, batch.rows(table))?;
    }
    listed::replace(connection, Table::Summaries, &batch.summaries)?;
    listed::replace(connection, Table::Risks, &batch.risks)?;
    let judged_by = batch.judged_by.as_ref().map(String::as_bytes);
    for (key, value) in [("status", batch.status.as_deref()), ("judged_by", judged_by)] {
        let Some(value) = value else { continue };
        connection.execute(
            "INSERT INTO meta (key, value) VALUES (?1, ?2)
             ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            params![key, value],
        )?;
    }
    Ok(())
}

fn remove(connection: &Connection, table: Table, ids: &[String]) -> rusqlite::Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    let mut remove = connection.prepare_cached(&format!("DELETE FROM {} WHERE id = ?1", table.name()))?;
    for id in ids {
        remove.execute([id])?;
    }
    Ok(())
}

/// Writes rows whose content differs from what is there, so that an unchanged row costs no page.
fn upsert(connection: &Connection, table: Table, rows: &[Row]) -> rusqlite::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut statement = connection.prepare_cached(&format!(
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
pub(super) fn integer(time: Timestamp) -> i64 {
    i64::try_from(time.0).unwrap_or(i64::MAX)
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
