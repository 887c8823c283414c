//! The inventory as the query commands show it: plain rows, all values ready to print.
//!
//! In: endpoints and workloads. Out: rows whose JSON is a contract: members are added, never renamed. What is not
//! known is empty, null or `unknown`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    auth::AuthVerdict,
    counts::Counts,
    endpoint::{Endpoint, EndpointId, EndpointState},
    exposure::Exposure,
    kind::EndpointKind,
    nature::{Nature, natures},
    record::WorkloadRecord,
    schema::Direction,
    sensitive::Verdict,
    template::{Parameter, TemplateSource},
    traffic::{CompletenessCounts, NO_SCHEME},
};
use crate::{
    clock::Timestamp,
    workload::{Workload, WorkloadKind},
};

/// A row of `endpoints`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EndpointView {
    /// Id.
    pub id: EndpointId,
    /// Name of the workload that serves it.
    pub workload: String,
    /// Kind.
    pub kind: EndpointKind,
    /// Method.
    pub method: String,
    /// Path template.
    pub template: String,
    /// Operation, for protocols that name their own.
    pub operation: Option<String>,
    /// Host names asked for, the most frequent first.
    pub hosts: Vec<String>,
    /// Exchanges.
    pub hits: u64,
    /// RFC 3339, UTC.
    pub first_seen: String,
    /// RFC 3339, UTC.
    pub last_seen: String,
    /// How well it is known.
    pub state: EndpointState,
    /// From how far away it is called.
    pub exposure: Exposure,
    /// How requests authenticate.
    pub auth: AuthView,
    /// Sensitive data seen.
    pub sensitive: Vec<SensitiveView>,
    /// Answers by class: `2xx`, …; classes that did not occur are left out.
    pub status: BTreeMap<String, u64>,
    /// Answers by status code: `200`, …
    #[serde(default)]
    pub codes: BTreeMap<String, u64>,
    /// Time to answer.
    pub latency_ms: LatencyView,
    /// Names of workloads, and addresses, that called; the most frequent first.
    pub callers: Vec<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Risk score.
    pub risk: Option<f64>,
    /// Whether a specification documents it: `documented`, `shadow`, `zombie`, `orphan` or `unknown`.
    pub spec: String,
    /// Exchanges by how much of them was seen.
    pub completeness: CompletenessCounts,
    /// Id of the workload that serves it.
    pub workload_id: String,
    /// Path parameters, in order.
    pub parameters: Vec<Parameter>,
    /// What it is for, with the evidence.
    #[serde(default)]
    pub nature: Vec<Nature>,
    /// Who says that its template is one.
    #[serde(default)]
    pub source: TemplateSource,
}

/// How requests authenticate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuthView {
    /// `consistent`, `mixed`, `missing` or `unknown`.
    pub verdict: String,
    /// Schemes seen, by name.
    pub schemes: Vec<String>,
    /// Share of requests answered with 2xx that used each scheme, 0 to 1; `none` is one of them.
    pub rates: BTreeMap<String, f64>,
}

/// Sensitive data at one place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SensitiveView {
    /// `request` or `response`.
    pub direction: String,
    /// Where in the message: `$.user.email`, `query.token`.
    pub path: String,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: String,
    /// How often it was seen.
    pub count: u64,
    /// Too little evidence to be sure.
    pub suspected: bool,
}

/// Time to answer, in milliseconds; null without answers.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct LatencyView {
    /// Median.
    pub p50: Option<f64>,
    /// 90 of 100 were as fast.
    pub p90: Option<f64>,
    /// 99 of 100 were as fast.
    pub p99: Option<f64>,
}

/// A row of `workloads`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkloadView {
    /// Id.
    pub id: String,
    /// Name.
    pub name: String,
    /// Kind.
    pub kind: WorkloadKind,
    /// Path of the executable.
    pub executable: Option<String>,
    /// Script, module or jar of an interpreter.
    pub script: Option<String>,
    /// systemd unit.
    pub unit: Option<String>,
    /// Runtime and id of the container.
    pub container: Option<String>,
    /// Image of the container.
    #[serde(default)]
    pub image: Option<String>,
    /// What changes with a new build: digest or id of the image, else the build id of the executable.
    #[serde(default)]
    pub version: Option<String>,
    /// Kubernetes namespace.
    #[serde(default)]
    pub namespace: Option<String>,
    /// Name of the pod seen last.
    #[serde(default)]
    pub pod: Option<String>,
    /// Kind and name of what made the pod.
    #[serde(default)]
    pub controller: Option<String>,
    /// As whom the pod speaks to the API server.
    #[serde(default)]
    pub service_account: Option<String>,
    /// Services that the pod stands behind.
    #[serde(default)]
    pub services: Vec<String>,
    /// Who answers for it.
    #[serde(default)]
    pub owner: Option<String>,
    /// How many endpoints it serves.
    pub endpoints: u64,
    /// Exchanges it served.
    pub hits: u64,
    /// Of these, ones that led to no endpoint: not found, refused, malformed.
    pub unrouted: u64,
    /// Names of workloads, and addresses, that called; the most frequent first.
    pub callers: Vec<String>,
    /// Hosts it called itself, off this host; the most frequent first.
    pub egress: Vec<String>,
    /// Exchanges by who called.
    #[serde(default)]
    pub calls_from: BTreeMap<String, u64>,
    /// Exchanges by host it called itself.
    #[serde(default)]
    pub calls_to: BTreeMap<String, u64>,
    /// RFC 3339, UTC.
    pub first_seen: String,
    /// RFC 3339, UTC.
    pub last_seen: String,
}

impl WorkloadView {
    /// The row of a workload that serves this many endpoints.
    pub(super) fn new(record: &WorkloadRecord, endpoints: u64) -> Self {
        let workload = &record.workload;
        Self {
            id: workload.id.clone(),
            name: workload.name.clone(),
            kind: workload.kind,
            executable: workload.executable.clone(),
            script: workload.script.clone(),
            unit: workload.unit.clone(),
            container: workload.container.clone(),
            image: workload.image.clone(),
            // The build of an interpreter says nothing about what it runs.
            version: workload
                .version
                .clone()
                .or_else(|| record.build.clone().filter(|_| workload.script.is_none())),
            namespace: workload.namespace.clone(),
            pod: workload.pod.clone(),
            controller: workload.controller.clone(),
            service_account: workload.service_account.clone(),
            services: workload.services.clone(),
            owner: workload.owner.clone(),
            endpoints,
            hits: record.hits,
            unrouted: record.unrouted,
            callers: record.callers.by_frequency(),
            egress: record.egress.by_frequency(),
            calls_from: counted(&record.callers),
            calls_to: counted(&record.egress),
            first_seen: record.first_seen.rfc3339(),
            last_seen: record.last_seen.rfc3339(),
        }
    }
}

impl SensitiveView {
    fn new((direction, path, verdict): (Direction, String, Verdict)) -> Self {
        Self {
            direction: direction.as_str().into(),
            path,
            kind: verdict.kind.as_str().into(),
            count: u64::from(verdict.count),
            suspected: verdict.suspected,
        }
    }
}

impl EndpointView {
    /// Its members as JSON, in their order.
    pub const MEMBERS: &[&str] = &[
        "id",
        "workload",
        "kind",
        "method",
        "template",
        "operation",
        "hosts",
        "hits",
        "first_seen",
        "last_seen",
        "state",
        "exposure",
        "auth",
        "sensitive",
        "status",
        "codes",
        "latency_ms",
        "callers",
        "owner",
        "risk",
        "spec",
        "completeness",
        "workload_id",
        "parameters",
        "nature",
        "source",
    ];

    /// The row of an endpoint at a time.
    pub(super) fn new(endpoint: &Endpoint, workload: &Workload, now: Timestamp) -> Self {
        let traffic = &endpoint.traffic;
        let milliseconds = |q| {
            traffic
                .latency_us
                .quantile(q)
                .map(|us| (us * 10.0).round() / 10_000.0)
        };
        let anonymous = traffic.schemes.iter().find(|(scheme, _)| *scheme == NO_SCHEME);
        let verdict = AuthVerdict::of(traffic.succeeded, anonymous.map_or(0, |(_, count)| count));
        let sensitive: Vec<SensitiveView> = endpoint
            .schemas
            .sensitive()
            .into_iter()
            .map(SensitiveView::new)
            .collect();
        let classes = ["1xx", "2xx", "3xx", "4xx", "5xx", "other"];
        Self {
            id: endpoint.id,
            workload: workload.name.clone(),
            kind: endpoint.kind,
            method: endpoint.method.to_string(),
            template: endpoint.template.to_string(),
            operation: endpoint.operation.as_deref().map(str::to_owned),
            hosts: traffic.hosts.by_frequency(),
            hits: traffic.hits,
            first_seen: traffic.first_seen.rfc3339(),
            last_seen: traffic.last_seen.rfc3339(),
            state: endpoint.state(now),
            exposure: traffic.exposure,
            auth: AuthView {
                verdict: verdict.as_str().into(),
                schemes: traffic
                    .schemes
                    .iter()
                    .map(|(scheme, _)| scheme.to_owned())
                    .filter(|scheme| scheme != NO_SCHEME)
                    .collect(),
                rates: traffic
                    .schemes
                    .iter()
                    .map(|(scheme, count)| {
                        (scheme.to_owned(), count as f64 / traffic.succeeded.max(1) as f64)
                    })
                    .collect(),
            },
            nature: natures(endpoint, &sensitive),
            sensitive,
            status: classes
                .into_iter()
                .zip(traffic.status)
                .filter(|(_, count)| *count > 0)
                .map(|(class, count)| (class.to_owned(), count))
                .collect(),
            codes: traffic
                .codes
                .iter()
                .map(|(code, count)| (code.to_string(), *count))
                .collect(),
            latency_ms: LatencyView {
                p50: milliseconds(0.5),
                p90: milliseconds(0.9),
                p99: milliseconds(0.99),
            },
            callers: traffic.callers.by_frequency(),
            owner: workload.owner.clone(),
            risk: None,
            spec: "unknown".into(),
            completeness: traffic.completeness,
            workload_id: endpoint.workload.clone(),
            parameters: endpoint.parameters.clone(),
            source: TemplateSource::Learned,
        }
    }
}

fn counted(counts: &Counts) -> BTreeMap<String, u64> {
    counts
        .iter()
        .map(|(name, count)| (name.to_owned(), count))
        .collect()
}
