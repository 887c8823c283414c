//! All that is known, typed: for what shows more than one list.

use serde::de::DeserializeOwned;

use super::{
    Failure,
    source::{Settled, Topic},
};
use crate::{
    inventory::{EndpointView, WorkloadView},
    risk::{Assessment, RiskView},
    status::Status,
    verdict::{Alert, Finding},
};

/// The answers to all queries.
#[derive(Debug, Default)]
pub(super) struct Everything {
    pub(super) endpoints: Vec<EndpointView>,
    pub(super) workloads: Vec<WorkloadView>,
    pub(super) alerts: Vec<Alert>,
    pub(super) anomalies: Vec<Alert>,
    pub(super) findings: Vec<Finding>,
    pub(super) risks: Vec<RiskView>,
    /// Absent in the store of an agent that was killed before its first write.
    pub(super) status: Option<Status>,
}

impl Everything {
    /// Asks the agent, or reads the store once.
    pub(super) fn of(source: &Settled) -> Result<Self, Failure> {
        let Some(store) = source.opened()? else {
            let now = Now::of(source)?;
            return Ok(Self {
                endpoints: now.endpoints,
                workloads: now.workloads,
                alerts: now.alerts,
                anomalies: now.anomalies,
                findings: list(source, Topic::Findings)?,
                risks: list(source, Topic::Risks)?,
                status: now.status,
            });
        };
        let Assessment {
            endpoints,
            findings,
            risks,
        } = store.assess();
        let latest_first = |mut alerts: Vec<Alert>| {
            alerts.sort_by(|a, b| b.updated.cmp(&a.updated).then_with(|| a.id.cmp(&b.id)));
            alerts
        };
        Ok(Self {
            endpoints,
            findings,
            risks,
            workloads: store.inventory.workload_views(),
            alerts: latest_first(store.kept.alerts),
            anomalies: latest_first(store.kept.anomalies),
            status: store.status,
        })
    }
}

/// What happens now: all that is known, without what is wrong with it.
#[derive(Debug, Default)]
pub(super) struct Now {
    pub(super) endpoints: Vec<EndpointView>,
    pub(super) workloads: Vec<WorkloadView>,
    pub(super) alerts: Vec<Alert>,
    pub(super) anomalies: Vec<Alert>,
    /// Absent in the store of an agent that was killed before its first write.
    pub(super) status: Option<Status>,
}

impl Now {
    /// Asks the agent or the store for no more than this.
    pub(super) fn of(source: &Settled) -> Result<Self, Failure> {
        let status = match source.object(Topic::Status) {
            Ok(answer) => Some(serde_json::from_value(answer).map_err(unreadable)?),
            Err(_) if matches!(source, Settled::Store { .. }) => None,
            Err(failure) => return Err(failure),
        };
        Ok(Self {
            endpoints: list(source, Topic::Endpoints)?,
            workloads: list(source, Topic::Workloads)?,
            alerts: list(source, Topic::Alerts)?,
            anomalies: list(source, Topic::Anomalies)?,
            status,
        })
    }
}

/// The typed rows of a list.
pub(super) fn list<T: DeserializeOwned>(source: &Settled, topic: Topic) -> Result<Vec<T>, Failure> {
    let lines = source.lines(topic)?;
    let rows = lines.iter().map(|line| serde_json::from_str(line));
    rows.collect::<Result<_, _>>().map_err(unreadable)
}

fn unreadable(error: serde_json::Error) -> Failure {
    Failure::usage(format!(
        "the answer cannot be read, its agent is of another version: {error}"
    ))
}
