//! The reading end of the store: works beside a running agent, after it was killed, and on a copy.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _};

use super::{Contents, Row, StoreError, Table, files, schema};
use crate::clock::Timestamp;

/// How long a reader waits while a writer recovers the log.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The reading end.
#[derive(Debug)]
pub struct Reader {
    pub(super) connection: Connection,
    directory: PathBuf,
    /// Format of the database: one that an older version wrote lacks tables.
    pub(super) version: u32,
}

impl Reader {
    /// Opens the store in `directory` without changing what it holds.
    ///
    /// # Errors
    /// There is no store, it may not be read, it is damaged, or a newer version wrote it.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        let path = files::database(directory);
        match path.try_exists() {
            Ok(true) => {}
            Ok(false) => return Err(StoreError::Missing(directory.display().to_string())),
            Err(error) => return Err(StoreError::io(directory, error)),
        }
        // SQLite reports a file that may not be opened without saying why.
        std::fs::File::open(&path).map_err(|error| StoreError::io(directory, error))?;
        let (connection, found) = match connect(&path, "mode=ro") {
            // On a medium that cannot be written there is no place for the log's index. Without a log none is needed.
            Err(error) if unopened(&error) && !files::log(directory).exists() => {
                connect(&path, "mode=ro&immutable=1")
            }
            other => other,
        }
        .map_err(|error| StoreError::database(directory, error))?;
        match found {
            0 => Err(StoreError::Missing(directory.display().to_string())),
            found if found > schema::VERSION => Err(StoreError::Newer {
                path: directory.display().to_string(),
                found,
                known: schema::VERSION,
            }),
            _ => Ok(Self {
                connection,
                directory: directory.to_owned(),
                version: found,
            }),
        }
    }

    /// Everything that is kept.
    ///
    /// # Errors
    /// The database refuses.
    pub fn load(&self) -> Result<Contents, StoreError> {
        contents(&self.connection, self.version).map_err(|error| StoreError::database(&self.directory, error))
    }

    /// The rows of one table, in order of id.
    ///
    /// # Errors
    /// The database refuses.
    pub fn table(&self, table: Table) -> Result<Vec<Row>, StoreError> {
        rows(&self.connection, table, self.version)
            .map_err(|error| StoreError::database(&self.directory, error))
    }

    /// What an error of the database means for this store.
    pub(super) fn failed(&self, error: rusqlite::Error) -> StoreError {
        StoreError::database(&self.directory, error)
    }

    /// The agent's health when it last wrote, as JSON.
    ///
    /// # Errors
    /// The database refuses.
    pub fn status(&self) -> Result<Option<Vec<u8>>, StoreError> {
        meta(&self.connection, "status").map_err(|error| StoreError::database(&self.directory, error))
    }
}

fn connect(path: &Path, parameters: &str) -> rusqlite::Result<(Connection, u32)> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(uri(path, parameters), flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    let version = schema::version(&connection)?;
    Ok((connection, version))
}

fn unopened(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly)
    )
}

/// A file name as a URI (sqlite.org/uri.html): what has a meaning there is escaped.
fn uri(path: &Path, parameters: &str) -> String {
    let path = path
        .to_string_lossy()
        .replace('%', "%25")
        .replace('?', "%3f")
        .replace('#', "%23");
    // Two slashes would begin an authority.
    let path = match path.strip_prefix("//") {
        Some(rest) => format!("/{}", rest.trim_start_matches('/')),
        None => path,
    };
    format!("file:{path}?{parameters}")
}

/// Reads all tables in one snapshot.
pub(super) fn contents(connection: &Connection, version: u32) -> rusqlite::Result<Contents> {
    let snapshot = connection.unchecked_transaction()?;
    let all = |table| rows(&snapshot, table, version);
    Ok(Contents {
        endpoints: all(Table::Endpoints)?,
        workloads: all(Table::Workloads)?,
        alerts: all(Table::Alerts)?,
        anomalies: all(Table::Anomalies)?,
        findings: all(Table::Findings)?,
        baselines: all(Table::Baselines)?,
        status: meta(&snapshot, "status")?,
    })
}

pub(super) fn meta(connection: &Connection, key: &str) -> rusqlite::Result<Option<Vec<u8>>> {
    connection
        .query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0))
        .optional()
}

fn rows(connection: &Connection, table: Table, version: u32) -> rusqlite::Result<Vec<Row>> {
    if version < schema::since(table) {
        return Ok(Vec::new());
    }
    connection
        .prepare(&select(table, ""))?
        .query_map([], row)?
        .collect()
}

/// The rows of a table that satisfy a condition, in order of id.
pub(super) fn select(table: Table, condition: &str) -> String {
    format!(
        "SELECT id, workload, last_seen, record FROM {} {condition} ORDER BY id",
        table.name()
    )
}

/// One row as [`select`] gives it.
pub(super) fn row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    Ok(Row {
        id: row.get(0)?,
        workload: row.get(1)?,
        last_seen: Timestamp(u64::try_from(row.get::<_, i64>(2)?).unwrap_or(0)),
        record: row.get(3)?,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::store::{Batch, Store};

    fn fill(directory: &Path) -> Store {
        let mut store = Store::open(directory, 16 * 1024 * 1024, Timestamp(0))
            .unwrap()
            .store;
        let row = Row {
            id: "a".into(),
            workload: "w".into(),
            last_seen: Timestamp(1),
            record: b"1".to_vec(),
        };
        store
            .save(&Batch {
                endpoints: vec![row],
                ..Batch::default()
            })
            .unwrap();
        store
    }

    #[test]
    fn what_was_only_in_the_log_is_read_after_a_kill() {
        let dir = tempfile::tempdir().unwrap();
        let live = dir.path().join("live");
        let store = fill(&live);
        // The files as they are while the writer lives: what SIGKILL would leave.
        let killed = dir.path().join("killed");
        fs::create_dir(&killed).unwrap();
        for name in ["apiarist.db", "apiarist.db-wal"] {
            fs::copy(live.join(name), killed.join(name)).unwrap();
        }
        drop(store);
        assert!(fs::metadata(files::log(&killed)).unwrap().len() > 0);
        assert_eq!(Reader::open(&killed).unwrap().load().unwrap().endpoints.len(), 1);
    }

    #[test]
    fn reading_leaves_the_database_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        drop(fill(dir.path()));
        let before = fs::read(files::database(dir.path())).unwrap();
        Reader::open(dir.path()).unwrap().load().unwrap();
        assert_eq!(fs::read(files::database(dir.path())).unwrap(), before);
    }

    #[test]
    fn odd_names_are_names() {
        let dir = tempfile::tempdir().unwrap();
        let odd = dir.path().join("50%3f off? #1");
        drop(fill(&odd));
        assert_eq!(Reader::open(&odd).unwrap().load().unwrap().endpoints.len(), 1);
    }

    #[test]
    fn what_is_no_store_is_said_so() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(Reader::open(dir.path()), Err(StoreError::Missing(_))));
        assert!(matches!(
            Reader::open(Path::new("/nonexistent")),
            Err(StoreError::Missing(_))
        ));
        fs::write(
            files::database(dir.path()),
            "no database, only a text that is long enough for one",
        )
        .unwrap();
        assert!(matches!(Reader::open(dir.path()), Err(StoreError::Damaged(_))));
    }
}
