//! Where incidents go: collectors that people already have.
//!
//! In: [`Event`]s from the core. Out: records at [`target`]s, each in its [`mod@format`]. Every event is first appended to
//! a [`spool`] on disk; each sink is a thread that reads it from its own position, delivers in order and remembers how far it came.
//! So delivery is at least once, in order, over crashes of the agent and absences of a collector; a record that comes
//! twice has the same id. Refuses to wait: the core only appends, and a spool at its bound drops the oldest and counts.

mod deliver;
pub mod format;
mod journald;
mod lines;
mod otlp;
pub mod spool;
mod syslog;
pub mod target;
mod webhook;
mod worker;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::{
    status::SinkStatus,
    verdict::{Alert, AlertKind, Finding},
};
use spool::Spool;
use target::{Events, Target};
use worker::Worker;

/// What sinks carry. As JSON it is the alert or the finding itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Event {
    /// An incident or an anomaly.
    Alert(Box<Alert>),
    /// A finding.
    Finding(Box<Finding>),
}

impl Event {
    /// Whether a sink that was asked for `events` wants it.
    pub fn is_among(&self, events: Events) -> bool {
        match self {
            Self::Alert(alert) if alert.kind == AlertKind::Incident => events.incidents,
            Self::Alert(_) => events.anomalies,
            Self::Finding(_) => events.findings,
        }
    }
}

/// Counters of one sink.
#[derive(Debug, Default)]
struct Counters {
    sent: AtomicU64,
    dropped: AtomicU64,
}

/// All sinks at work. Dropping it stops them; what is left is delivered by the next run.
#[derive(Debug)]
pub struct Sinks {
    /// Absent without sinks.
    spool: Option<Arc<Spool>>,
    workers: Vec<Worker>,
    failures: u64,
}

impl Sinks {
    /// Opens the spool in `directory` and starts a thread for each target.
    ///
    /// # Errors
    /// The spool cannot be used, or a thread cannot be started.
    pub fn start(targets: &[Target], directory: &Path, max_bytes: u64) -> Result<Self> {
        if targets.is_empty() {
            return Ok(Self {
                spool: None,
                workers: Vec::new(),
                failures: 0,
            });
        }
        let names: Vec<&str> = targets.iter().map(|target| target.name.as_str()).collect();
        let spool = Spool::open(directory, max_bytes, &names)
            .with_context(|| format!("cannot use the spool in {}", directory.display()))?;
        let spool = Arc::new(spool);
        let workers = targets
            .iter()
            .map(|target| Worker::start(target.clone(), &spool))
            .collect::<Result<_>>()?;
        Ok(Self {
            spool: Some(spool),
            workers,
            failures: 0,
        })
    }

    /// Hands an event over; returns at once.
    pub fn send(&mut self, event: &Event) {
        let Some(spool) = &self.spool else {
            return;
        };
        if self.workers.iter().all(|worker| !event.is_among(worker.events())) {
            return;
        }
        let appended = serde_json::to_vec(event)
            .map_err(std::io::Error::from)
            .and_then(|line| spool.append(&line));
        if let Err(error) = appended {
            if self.failures == 0 {
                tracing::warn!(%error, "an event could not be spooled: it is lost to the sinks");
            }
            self.failures += 1;
        }
    }

    /// State of each sink.
    pub fn status(&self) -> Vec<SinkStatus> {
        self.workers
            .iter()
            .map(|worker| {
                let counters = worker.counters();
                SinkStatus {
                    name: worker.name().to_owned(),
                    queued: self
                        .spool
                        .as_ref()
                        .map_or(0, |spool| spool.waiting(worker.name())),
                    sent: counters.sent.load(Ordering::Relaxed),
                    dropped: counters.dropped.load(Ordering::Relaxed) + self.failures,
                }
            })
            .collect()
    }
}
