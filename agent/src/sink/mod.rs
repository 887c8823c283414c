//! Where incidents go: collectors that people already have.
//!
//! In: [`Event`]s from the core. Out: records at [`target`]s, each in its [`mod@format`]. Every event is first appended to
//! a [`spool`] on disk; each sink is a thread that reads it from its own position, delivers in order and remembers how far it came.
//! So delivery is at least once, in order, over crashes of the agent and absences of a collector; a record that comes
//! twice has the same id. Databases, and collectors that ask for it, are also sent reports of all else that changed, by a
//! spool of their own: reports never push out events. Refuses to wait: the core only appends, and a spool at its bound drops the oldest and counts.

mod clickhouse;
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
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    fleet::{Delta, Snapshot},
    status::{SinkStatus, Status},
    verdict::{Alert, AlertKind, Finding},
};
use clickhouse::ClickHouse;
use otlp::{Otlp, metrics::Meter};
use spool::{Bounds, Spool};
use target::{Events, Place, Target};
use worker::{Handle, Worker};

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

/// Batches of reports for databases, which like few and large ones.
const REPORT_BOUNDS: Bounds = Bounds {
    lines: 20_000,
    bytes: 8 * 1024 * 1024,
};

/// Share of the spool's bytes that is for reports, where there are any.
const REPORT_SHARE: u64 = 4;

/// All sinks at work. Dropping it stops them; what is left is delivered by the next run.
#[derive(Debug)]
pub struct Sinks {
    directory: PathBuf,
    /// Absent as long as there was no sink.
    spool: Option<Arc<Spool>>,
    workers: Vec<(Worker, Target)>,
    reports: Option<Reports>,
    meters: Vec<Meter>,
    /// Dismissed, with something left to deliver.
    leaving: Vec<Worker>,
    failures: u64,
}

/// What is reported to databases and the like: all that changed, as rows.
#[derive(Debug)]
struct Reports {
    targets: Vec<Target>,
    delta: Delta,
    spool: Arc<Spool>,
    workers: Vec<Worker>,
    /// Rows that were dropped when it last looked.
    dropped: u64,
}

impl Sinks {
    /// Opens the spool in `directory` and starts a thread for each target.
    ///
    /// # Errors
    /// The spool cannot be used, or a thread cannot be started.
    pub fn start(targets: &[Target], directory: &Path, max_bytes: u64) -> Result<Self> {
        let mut sinks = Self {
            directory: directory.to_owned(),
            spool: None,
            workers: Vec::new(),
            reports: None,
            meters: Vec::new(),
            leaving: Vec::new(),
            failures: 0,
        };
        sinks.retarget(targets, max_bytes)?;
        Ok(sinks)
    }

    /// Delivers to these targets from now on. Those that are the same go on; others deliver what there is, and are not
    /// waited for.
    ///
    /// # Errors
    /// The spool cannot be used, or a thread cannot be started.
    pub fn retarget(&mut self, targets: &[Target], max_bytes: u64) -> Result<()> {
        if targets.is_empty() && self.spool.is_none() {
            return Ok(());
        }
        self.leaving.retain(|worker| !worker.has_ended());
        self.meters.retain(|meter| targets.contains(meter.target()));
        for target in targets {
            if !self.meters.iter().any(|meter| meter.target() == target) {
                self.meters.extend(Meter::start(target)?);
            }
        }
        let dismissed = Reports::retarget(
            &mut self.reports,
            targets,
            &self.directory.join("reports"),
            max_bytes / REPORT_SHARE,
        )?;
        self.leaving.extend(dismissed);
        let max_bytes = match self.reports {
            Some(_) => max_bytes - max_bytes / REPORT_SHARE,
            None => max_bytes,
        };
        let spool = open(self.spool.clone(), &self.directory, max_bytes, &names(targets))?;
        self.spool = Some(Arc::clone(&spool));
        let (kept, dismissed): (Vec<_>, Vec<_>) = std::mem::take(&mut self.workers)
            .into_iter()
            .partition(|(_, target)| targets.contains(target));
        self.workers = kept;
        for (worker, _) in dismissed {
            worker.dismiss();
            self.leaving.push(worker);
        }
        for target in targets {
            if self.workers.iter().any(|(_, known)| known == target) {
                continue;
            }
            let handle = handle_of_events(target);
            let worker = Worker::start(&target.name, &spool, Bounds::default(), handle)?;
            self.workers.push((worker, target.clone()));
        }
        Ok(())
    }

    /// Hands an event over; returns at once.
    pub fn send(&mut self, event: &Event) {
        let Some(spool) = &self.spool else {
            return;
        };
        let wants = |target: &Target| event.is_among(target.events);
        if !self.workers.iter().any(|(_, target)| wants(target)) {
            return;
        }
        let appended = serde_json::to_vec(event)
            .map_err(std::io::Error::from)
            .and_then(|line| spool.append(&line));
        self.note(appended);
    }

    /// Whether [`Self::measure`] wants to be called.
    pub fn wants_metrics(&self, now: Timestamp) -> bool {
        self.meters.iter().any(|meter| meter.is_due(now))
    }

    /// Sends the agent's own metrics to those who want them now; returns at once.
    pub fn measure(&mut self, status: &Status, now: Timestamp) {
        for meter in self.meters.iter_mut().filter(|meter| meter.is_due(now)) {
            meter.measure(status, now);
        }
    }

    /// Whether somebody is told of all that changes.
    pub fn reports(&self) -> bool {
        self.reports.is_some()
    }

    /// Whether [`Self::report`] wants to be called.
    pub fn wants_report(&self, now: Timestamp) -> bool {
        self.reports
            .as_ref()
            .is_some_and(|reports| reports.delta.is_due(now))
    }

    /// Hands over what changed since the last report; returns at once.
    pub fn report(&mut self, snapshot: &Snapshot<'_>) {
        let Some(reports) = &mut self.reports else {
            return;
        };
        let appended = reports.append(snapshot);
        self.note(appended);
    }

    fn note(&mut self, appended: std::io::Result<()>) {
        if let Err(error) = appended {
            if self.failures == 0 {
                tracing::warn!(%error, "an event could not be spooled: it is lost to the sinks");
            }
            self.failures += 1;
        }
    }

    /// State of each sink.
    pub fn status(&self) -> Vec<SinkStatus> {
        let of = |worker: &Worker, what: &str| {
            let counters = worker.counters();
            SinkStatus {
                name: format!("{}{what}", worker.name()),
                queued: worker.waiting(),
                sent: counters.sent.load(Ordering::Relaxed),
                dropped: counters.dropped.load(Ordering::Relaxed) + self.failures,
            }
        };
        let events = self.workers.iter().map(|(worker, _)| of(worker, ""));
        let reports = self.reports.iter().flat_map(|reports| &reports.workers);
        events
            .chain(reports.map(|worker| of(worker, " (reports)")))
            .collect()
    }
}

impl Reports {
    /// Reports to those of the targets that want any, from the beginning where they changed; gives the workers that are
    /// not needed any more.
    fn retarget(
        current: &mut Option<Self>,
        targets: &[Target],
        directory: &Path,
        max_bytes: u64,
    ) -> Result<Vec<Worker>> {
        let wanting: Vec<Target> = targets
            .iter()
            .filter(|target| target.reports().is_some())
            .cloned()
            .collect();
        if current.as_ref().map_or(&[][..], |reports| &reports.targets) == wanting {
            return Ok(Vec::new());
        }
        let (spool, dismissed) = match current.take() {
            Some(old) => (Some(old.spool), old.workers),
            None => (None, Vec::new()),
        };
        dismissed.iter().for_each(Worker::dismiss);
        let Some(every) = wanting.iter().filter_map(Target::reports).min() else {
            return Ok(dismissed);
        };
        let named = wanting.iter().find_map(|target| match &target.place {
            Place::ClickHouse(address) => address.node.clone(),
            _ => None,
        });
        let delta = Delta::new(named.unwrap_or_else(clickhouse::host_name), every);
        let spool = open(spool, directory, max_bytes, &names(&wanting))?;
        let workers = wanting.iter().filter_map(|target| {
            let (bounds, handle) = handle_of_reports(target)?;
            Some(Worker::start(&target.name, &spool, bounds, handle))
        });
        let workers = workers.collect::<Result<_>>()?;
        *current = Some(Self {
            targets: wanting,
            delta,
            spool,
            workers,
            dropped: 0,
        });
        Ok(dismissed)
    }

    fn append(&mut self, snapshot: &Snapshot<'_>) -> std::io::Result<()> {
        let dropped = |worker: &Worker| worker.counters().dropped.load(Ordering::Relaxed);
        let dropped = self.workers.iter().map(dropped).sum();
        if std::mem::replace(&mut self.dropped, dropped) != dropped {
            self.delta.forget();
        }
        for row in self.delta.rows(snapshot) {
            if let Err(error) = self.spool.append(row.line().as_bytes()) {
                self.delta.forget();
                return Err(error);
            }
        }
        Ok(())
    }
}

fn names(targets: &[Target]) -> Vec<&str> {
    targets.iter().map(|target| target.name.as_str()).collect()
}

/// The spool at hand with other readers, or that of the directory.
fn open(
    present: Option<Arc<Spool>>,
    directory: &Path,
    max_bytes: u64,
    readers: &[&str],
) -> Result<Arc<Spool>> {
    let opened = match present {
        Some(spool) => spool.reopen(max_bytes, readers).map(|()| spool),
        None => Spool::open(directory, max_bytes, readers).map(Arc::new),
    };
    opened.with_context(|| format!("cannot use the spool in {}", directory.display()))
}

/// Delivers reports, in batches of this size; `None` to a target that gets none.
fn handle_of_reports(target: &Target) -> Option<(Bounds, Handle)> {
    match &target.place {
        Place::ClickHouse(address) => {
            let database = ClickHouse::new(address.clone());
            Some((REPORT_BOUNDS, Box::new(move |lines| database.report(lines))))
        }
        Place::Otlp { url, grpc, .. } => {
            let mut collector = Otlp::new(url, *grpc, target.format);
            Some((Bounds::default(), Box::new(move |lines| collector.report(lines))))
        }
        _ => None,
    }
}

/// Delivers those events among lines that the target wants.
fn handle_of_events(target: &Target) -> Handle {
    let mut way = deliver::open(target);
    let wanted = target.events;
    Box::new(move |lines| {
        let events: Vec<Event> = lines
            .iter()
            // A line of a newer version that this one cannot read is nobody's loss to repeat for ever.
            .filter_map(|line| serde_json::from_slice(line).ok())
            .filter(|event: &Event| event.is_among(wanted))
            .collect();
        if !events.is_empty() {
            way.deliver(&events)?;
        }
        Ok(events.len() as u64)
    })
}
