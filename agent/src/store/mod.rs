//! What survives a restart: a SQLite database in one directory.
//!
//! In: rows with opaque records (JSON bytes that their owners encode), in batches. Out: the same rows. One agent
//! writes ([`Store`]); any number of readers ([`Reader`]) look at it meanwhile, or after the writer was killed. The
//! journal is a write-ahead log and a batch is one transaction, so a crash costs at most the last batch.
//! The tables know nothing of what a record holds; [`records`] does. Refuses to overwrite a database that a newer
//! version wrote.

mod check;
mod checkpoint;
mod files;
mod listed;
mod pending;
mod reader;
mod records;
mod salvage;
mod schema;
mod writer;

use std::{io, path::Path};

use rusqlite::ErrorCode;

pub use check::{Checked, check};
pub use listed::{Found, Listed};
pub use pending::Pending;
pub use reader::Reader;
pub use records::Restored;
pub use writer::{Opened, Store};

use crate::clock::Timestamp;

/// Name of the database in the store's directory.
const DATABASE: &str = "apiarist.db";

/// One thing that is kept: what the database must know about it, and the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Stable id, unique among its kind.
    pub id: String,
    /// Id of the workload it belongs to; its own for a workload.
    pub workload: String,
    /// When it was last seen: decides when it is too old to keep.
    pub last_seen: Timestamp,
    /// The record, encoded by its owner.
    pub record: Vec<u8>,
}

/// The tables: they have one shape and differ in what their records are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    /// Endpoints, with all that was learned of them.
    Endpoints,
    /// Workloads, with the paths that their templates are learned from.
    Workloads,
    /// Incidents.
    Alerts,
    /// Anomalies.
    Anomalies,
    /// Findings that rest on behaviour.
    Findings,
    /// Baselines.
    Baselines,
    /// The rows that lists show of the endpoints: what a list of many endpoints is read from.
    Summaries,
    /// The rows that lists show of what is wrong with endpoints.
    Risks,
    /// Snapshots of the inventory, one a day.
    Snapshots,
}

impl Table {
    /// Every table.
    const ALL: [Self; 9] = [
        Self::Endpoints,
        Self::Workloads,
        Self::Alerts,
        Self::Anomalies,
        Self::Findings,
        Self::Baselines,
        Self::Summaries,
        Self::Risks,
        Self::Snapshots,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Endpoints => "endpoints",
            Self::Workloads => "workloads",
            Self::Alerts => "alerts",
            Self::Anomalies => "anomalies",
            Self::Findings => "findings",
            Self::Baselines => "baselines",
            Self::Summaries => "summaries",
            Self::Risks => "risks",
            Self::Snapshots => "snapshots",
        }
    }
}

/// What changed since the last batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// Endpoints that are new or changed.
    pub endpoints: Vec<Row>,
    /// Ids of endpoints that are no more (merged, or evicted).
    pub removed_endpoints: Vec<String>,
    /// Workloads that are new or changed.
    pub workloads: Vec<Row>,
    /// Incidents that are new or changed.
    pub alerts: Vec<Row>,
    /// Anomalies that are new or changed.
    pub anomalies: Vec<Row>,
    /// Findings that are new or changed.
    pub findings: Vec<Row>,
    /// Baselines that are new or changed.
    pub baselines: Vec<Row>,
    /// Rows of the list of endpoints that are new or changed.
    pub summaries: Vec<Listed>,
    /// Rows of the list of risks that are new or changed.
    pub risks: Vec<Listed>,
    /// Ids of endpoints with which nothing is wrong any more.
    pub removed_risks: Vec<String>,
    /// The snapshot of a day.
    pub snapshots: Vec<Row>,
    /// Names what the rows of lists were judged by.
    pub judged_by: Option<String>,
    /// The agent's health as JSON, for readers that come after it.
    pub status: Option<Vec<u8>>,
}

impl Batch {
    /// How many rows there are.
    fn len(&self) -> usize {
        let rows = Table::ALL.iter().map(|table| self.rows(*table).len());
        rows.sum::<usize>() + self.summaries.len() + self.risks.len()
    }

    /// The rows for one table; those of lists are not among them.
    fn rows(&self, table: Table) -> &[Row] {
        match table {
            Table::Endpoints => &self.endpoints,
            Table::Workloads => &self.workloads,
            Table::Alerts => &self.alerts,
            Table::Anomalies => &self.anomalies,
            Table::Findings => &self.findings,
            Table::Baselines => &self.baselines,
            Table::Summaries | Table::Risks => &[],
            Table::Snapshots => &self.snapshots,
        }
    }
}

/// Everything that is kept, in order of id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contents {
    /// Endpoints.
    pub endpoints: Vec<Row>,
    /// Workloads.
    pub workloads: Vec<Row>,
    /// Incidents.
    pub alerts: Vec<Row>,
    /// Anomalies.
    pub anomalies: Vec<Row>,
    /// Findings.
    pub findings: Vec<Row>,
    /// Baselines.
    pub baselines: Vec<Row>,
    /// The agent's health when it last wrote.
    pub status: Option<Vec<u8>>,
}

/// Why the store could not be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is none.
    #[error("there is no store in {0}: name the directory that `run` or `replay` wrote with --store")]
    Missing(String),
    /// Another process writes to it.
    #[error("another agent writes to the store {0}: stop it, or choose another --store")]
    Locked(String),
    /// A newer version wrote it.
    #[error(
        "the store {path} has format {found}, this version reads up to {known}: use a newer apiarist, or another --store"
    )]
    Newer {
        /// The directory.
        path: String,
        /// Format found.
        found: u32,
        /// Newest format known.
        known: u32,
    },
    /// The disk, or the store's own bound, is full. Nothing of the batch was written; the next one may succeed.
    #[error("the store {0} is full: free disk space or raise store.max_bytes")]
    Full(String),
    /// This user may not.
    #[error("no permission to use the store {0}: run this as the user the agent runs as")]
    Denied(String),
    /// Its content is damaged.
    #[error(
        "the store {0} is damaged: the next `apiarist run` puts it aside and saves what can be read of it"
    )]
    Damaged(String),
    /// A file could not be used.
    #[error("cannot use the store {path}: {source}")]
    Io {
        /// The directory.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// The database refused.
    #[error("cannot use the store {path}: {source}")]
    Database {
        /// The directory.
        path: String,
        /// What SQLite said.
        source: rusqlite::Error,
    },
}

impl StoreError {
    fn database(directory: &Path, source: rusqlite::Error) -> Self {
        let path = directory.display().to_string();
        match source.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full(path),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged(path),
            Some(ErrorCode::PermissionDenied | ErrorCode::ReadOnly) => Self::Denied(path),
            _ => Self::Database { path, source },
        }
    }

    fn io(directory: &Path, source: io::Error) -> Self {
        let path = directory.display().to_string();
        match source.kind() {
            io::ErrorKind::PermissionDenied => Self::Denied(path),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full(path),
            _ => Self::Io { path, source },
        }
    }
}
