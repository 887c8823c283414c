//! What an agent knows, as rows: pure functions.
//!
//! In: a [`Snapshot`], or an alert. Out: drafts of rows. Columns are what a fleet is filtered, sorted and added up by; the
//! whole row of the query commands goes along as `record`. Refuses to add what the agent does not show itself.

use serde::Serialize;
use serde_json::{Value, json};

use super::row::{Draft, Row, Table};
use crate::{
    analysis::BaselineSummary,
    clock::Timestamp,
    inventory::{EndpointView, WorkloadView},
    risk::{Assessment, RiskView},
    status::Status,
    verdict::{Alert, AlertKind, Finding},
};

/// Everything that is reported of a host, at one time.
#[derive(Debug)]
pub struct Snapshot<'a> {
    /// Endpoints, findings, risks.
    pub assessment: &'a Assessment,
    /// Workloads, with who called them and whom they call.
    pub workloads: &'a [WorkloadView],
    /// Baselines.
    pub baselines: &'a [BaselineSummary],
    /// The agent's health.
    pub status: &'a Status,
    /// The present time.
    pub now: Timestamp,
}

impl Snapshot<'_> {
    /// The rows of all tables but those of alerts.
    pub(super) fn drafts(&self) -> impl Iterator<Item = Draft> {
        let Assessment {
            endpoints,
            findings,
            risks,
        } = self.assessment;
        std::iter::once(self.node())
            .chain(endpoints.iter().map(endpoint))
            .chain(self.workloads.iter().map(workload))
            .chain(self.workloads.iter().flat_map(calls))
            .chain(self.baselines.iter().map(baseline))
            .chain(findings.iter().map(finding))
            .chain(risks.iter().map(risk))
    }

    fn node(&self) -> Draft {
        let status = self.status;
        let columns = json!({
            "version": status.version,
            "kernel": status.kernel,
            "tier": status.tier,
            "started": seconds(self.now).saturating_sub(status.uptime as u64),
            "updated": seconds(self.now),
            "exchanges": status.exchanges,
            "lost": status.lost.values().sum::<u64>(),
            "memory_bytes": status.memory_bytes,
            "cpu_seconds": status.cpu_seconds,
        });
        Draft::new(Table::Nodes, Value::Null, columns)
    }
}

fn endpoint(view: &EndpointView) -> Draft {
    let of_class = |class: &str| view.status.get(class).copied().unwrap_or(0);
    let mut sensitive: Vec<&str> = view.sensitive.iter().map(|one| one.kind.as_str()).collect();
    sensitive.sort_unstable();
    sensitive.dedup();
    let columns = json!({
        "workload": view.workload,
        "kind": view.kind,
        "method": view.method,
        "template": view.template,
        "operation": view.operation.as_deref().unwrap_or_default(),
        "owner": view.owner.as_deref().unwrap_or_default(),
        "state": view.state,
        "exposure": view.exposure,
        "auth": view.auth.verdict,
        "spec": view.spec,
        "risk": view.risk.unwrap_or(0.0),
        "hits": view.hits,
        "status_1xx": of_class("1xx"),
        "status_2xx": of_class("2xx"),
        "status_3xx": of_class("3xx"),
        "status_4xx": of_class("4xx"),
        "status_5xx": of_class("5xx"),
        "latency_p50": view.latency_ms.p50.unwrap_or(0.0),
        "latency_p90": view.latency_ms.p90.unwrap_or(0.0),
        "latency_p99": view.latency_ms.p99.unwrap_or(0.0),
        "sensitive": sensitive,
        "first_seen": seconds_of(&view.first_seen),
        "last_seen": seconds_of(&view.last_seen),
        "record": record(view),
    });
    Draft::new(Table::Endpoints, json!({"id": view.id.0}), columns)
}

fn workload(view: &WorkloadView) -> Draft {
    let columns = json!({
        "name": view.name,
        "kind": view.kind,
        "owner": view.owner.as_deref().unwrap_or_default(),
        "endpoints": view.endpoints,
        "hits": view.hits,
        "unrouted": view.unrouted,
        "first_seen": seconds_of(&view.first_seen),
        "last_seen": seconds_of(&view.last_seen),
        "record": record(view),
    });
    Draft::new(Table::Workloads, json!({"id": view.id}), columns)
}

fn calls(view: &WorkloadView) -> impl Iterator<Item = Draft> {
    let edge = |caller: &str, callee: &str, direction: &str, exchanges: u64| {
        let key = json!({"caller": caller, "callee": callee, "direction": direction});
        Draft::new(Table::Calls, key, json!({"exchanges": exchanges}))
    };
    let inward = view.calls_from.iter();
    let outward = view.calls_to.iter();
    inward
        .map(move |(caller, count)| edge(caller, &view.name, "in", *count))
        .chain(outward.map(move |(callee, count)| edge(&view.name, callee, "out", *count)))
}

fn baseline(summary: &BaselineSummary) -> Draft {
    let columns = json!({
        "workload": summary.workload,
        "stage": summary.stage,
        "exchanges": summary.exchanges,
        "sources": summary.sources,
        "latency_ms_p50": summary.latency_ms.0,
        "latency_ms_p99": summary.latency_ms.1,
        "response_bytes_p50": summary.response_bytes.0,
        "response_bytes_p99": summary.response_bytes.1,
        "first": seconds(summary.first),
        "last": seconds(summary.last),
    });
    Draft::new(Table::Baselines, json!({"endpoint": summary.endpoint.0}), columns)
}

fn finding(finding: &Finding) -> Draft {
    let columns = json!({
        "rule": finding.rule,
        "owasp": finding.owasp.as_deref().unwrap_or_default(),
        "severity": finding.severity,
        "confidence": decimal(finding.confidence),
        "workload": finding.workload,
        "endpoint": finding.endpoint.map_or(0, |id| id.0),
        "endpoint_name": finding.endpoint_name.as_deref().unwrap_or_default(),
        "owner": finding.owner.as_deref().unwrap_or_default(),
        "count": finding.count,
        "first_seen": seconds_of(&finding.first_seen),
        "last_seen": seconds_of(&finding.last_seen),
        "record": record(finding),
    });
    Draft::new(Table::Findings, json!({"id": finding.id}), columns)
}

fn risk(view: &RiskView) -> Draft {
    let key = json!({"endpoint": view.endpoint.map_or(0, |id| id.0), "workload": view.workload});
    let columns = json!({
        "endpoint_name": view.endpoint_name.as_deref().unwrap_or_default(),
        "score": view.score,
        "severity": view.severity,
        "exposure": view.exposure,
        "owner": view.owner.as_deref().unwrap_or_default(),
        "record": record(view),
    });
    Draft::new(Table::Risks, key, columns)
}

/// The row of an incident or anomaly. Its version is when it changed last: one that is delivered late does not replace a
/// newer one.
pub fn alert(node: &str, alert: &Alert) -> Row {
    let columns = json!({
        "kind": match alert.kind {
            AlertKind::Incident => "incident",
            AlertKind::Anomaly => "anomaly",
        },
        "fingerprint": alert.fingerprint,
        "class": alert.class,
        "owasp": alert.owasp.as_deref().unwrap_or_default(),
        "severity": alert.severity,
        "confidence": decimal(alert.confidence),
        "workload": alert.workload,
        "endpoint": alert.endpoint.map_or(0, |id| id.0),
        "endpoint_name": alert.endpoint_name.as_deref().unwrap_or_default(),
        "actor": alert.actor,
        "owner": alert.owner.as_deref().unwrap_or_default(),
        "state": alert.state,
        "count": alert.count,
        "opened": seconds_of(&alert.opened),
        "updated": seconds_of(&alert.updated),
        "record": record(alert),
    });
    let updated = Timestamp::from_rfc3339(&alert.updated).unwrap_or_default();
    Draft::new(Table::Alerts, json!({"id": alert.id}), columns).finish(node, updated.0 / 1_000_000)
}

/// The row as the query commands print it.
fn record(view: &impl Serialize) -> String {
    // Plain data with text as keys always serialises.
    serde_json::to_string(view).unwrap_or_default()
}

/// The number that is written in the same way: 0.7 stays 0.7 where there is more precision.
fn decimal(number: f32) -> f64 {
    number.to_string().parse().unwrap_or_else(|_| number.into())
}

/// Whole seconds, as a `DateTime` takes them: it reads short numbers as parts of a date.
fn seconds(time: Timestamp) -> u64 {
    const DAY: u64 = 86_400;
    (time.0 / 1_000_000_000).clamp(DAY, u64::from(u32::MAX))
}

fn seconds_of(text: &str) -> u64 {
    seconds(Timestamp::from_rfc3339(text).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        inventory::{Inventory, Limits, fixture::call},
        risk::{Criteria, assess},
        verdict::fixture,
        workload::{Workload, WorkloadKind},
    };

    #[test]
    fn an_alert_is_a_row_with_its_record_and_the_time_it_changed() {
        let row = alert("n1", &fixture::alert("a1"));
        let columns: Value = serde_json::from_str(&row.json).unwrap();
        assert_eq!(columns["id"], "a1");
        assert_eq!(columns["node"], "n1");
        assert_eq!(columns["severity"], "high");
        let confidence = fixture::alert("a1").confidence.to_string();
        assert_eq!(columns["confidence"].to_string(), confidence);
        assert_eq!(columns["v"], 1_769_846_400_000_u64);
        let record: Alert = serde_json::from_str(columns["record"].as_str().unwrap()).unwrap();
        assert_eq!(record, fixture::alert("a1"));
    }

    #[test]
    fn the_tables_hold_what_the_agent_lists() {
        let workload = Arc::new(Workload {
            id: "w1".into(),
            ..Workload::named(WorkloadKind::Process, "shop")
        });
        let mut inventory = Inventory::new(Limits::default());
        inventory.observe(&call("GET", "/v1/users").exchange(), &workload, None);
        let now = Timestamp::from_rfc3339("2026-01-31T08:00:00Z").unwrap();
        let assessment = assess(
            &inventory,
            vec![fixture::finding("f1")],
            &[],
            &Criteria::default(),
            now,
        );
        let workloads = inventory.workload_views();
        let snapshot = Snapshot {
            assessment: &assessment,
            workloads: &workloads,
            baselines: &[],
            status: &Status::default(),
            now,
        };
        let rows: Vec<Row> = snapshot.drafts().map(|draft| draft.finish("n1", 5)).collect();
        let of = |table| rows.iter().filter(move |row| row.table == table);
        assert_eq!(of(Table::Nodes).count(), 1);
        assert_eq!(of(Table::Endpoints).count(), assessment.endpoints.len());
        assert_eq!(of(Table::Workloads).count(), 1);
        assert_eq!(of(Table::Findings).count(), assessment.findings.len());
        let endpoint: Value = serde_json::from_str(&of(Table::Endpoints).next().unwrap().json).unwrap();
        assert_eq!(endpoint["template"], "/v1/users");
        assert_eq!(endpoint["hits"], 1);
        let record: EndpointView = serde_json::from_str(endpoint["record"].as_str().unwrap()).unwrap();
        assert_eq!(record, assessment.endpoints[0]);
    }
}
