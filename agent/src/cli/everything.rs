//! All that is known, typed: for what shows more than one list.

use serde::de::DeserializeOwned;
use serde_json::Value;

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
            let ask = |topic| source.object(topic);
            return Ok(Self {
                endpoints: typed(ask(Topic::Endpoints)?)?,
                workloads: typed(ask(Topic::Workloads)?)?,
                alerts: typed(ask(Topic::Alerts)?)?,
                anomalies: typed(ask(Topic::Anomalies)?)?,
                findings: typed(ask(Topic::Findings)?)?,
                risks: typed(ask(Topic::Risks)?)?,
                status: Some(typed(ask(Topic::Status)?)?),
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

fn typed<T: DeserializeOwned>(answer: Value) -> Result<T, Failure> {
    serde_json::from_value(answer).map_err(|error| {
        Failure::usage(format!(
            "the answer cannot be read, its agent is of another version: {error}"
        ))
    })
}
