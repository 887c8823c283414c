//! All that is known, typed: for what shows more than one list.

use std::ops::ControlFlow;

use serde::de::DeserializeOwned;

use super::{
    Failure,
    batches::Wanted,
    source::{Settled, Topic},
};
use crate::{
    inventory::{EndpointView, WorkloadView},
    risk::{Assessment, RiskView},
    select::each,
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
            return Ok(Self {
                status: status(source)?,
                endpoints: list(source, Topic::Endpoints)?,
                workloads: list(source, Topic::Workloads)?,
                alerts: list(source, Topic::Alerts)?,
                anomalies: list(source, Topic::Anomalies)?,
                findings: list(source, Topic::Findings)?,
                risks: list(source, Topic::Risks)?,
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

/// The health of the agent. Absent in the store of one that was killed before its first write.
pub(super) fn status(source: &Settled) -> Result<Option<Status>, Failure> {
    match source.object(Topic::Status) {
        Ok(answer) => serde_json::from_value(answer).map(Some).map_err(unreadable),
        Err(_) if matches!(source, Settled::Store { .. }) => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// The typed rows of a list.
pub(super) fn list<T: DeserializeOwned + Send>(source: &Settled, topic: Topic) -> Result<Vec<T>, Failure> {
    list_of(source, (topic, None), |line| serde_json::from_str(line))
}

/// What a function makes of the rows of a list, all or the first of them.
pub(super) fn list_of<T: Send>(
    source: &Settled,
    (topic, most): (Topic, Option<usize>),
    read: impl Fn(&str) -> serde_json::Result<T> + Sync,
) -> Result<Vec<T>, Failure> {
    let mut all = Vec::new();
    let wanted = Wanted {
        most,
        ..Wanted::default()
    };
    source.batches(topic, wanted, &mut |batch| {
        for row in each(&batch, |line| read(line)) {
            all.push(row.map_err(unreadable)?);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(all)
}

fn unreadable(error: serde_json::Error) -> Failure {
    Failure::usage(format!(
        "the answer cannot be read, its agent is of another version: {error}"
    ))
}
