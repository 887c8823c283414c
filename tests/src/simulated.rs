//! Simulated hosts of a fleet: what their agents would report.
//!
//! Deterministic. Workloads run on several hosts each, as deployments do: host `n` runs the workloads `n`, `n + 1`, … of a ring,
//! so that each endpoint is seen by as many hosts as a host has workloads.

use anyhow::Result;
use apiarist::{
    analysis::{BaselineSummary, Stage},
    clock::Timestamp,
    fleet::Snapshot,
    inventory::{EndpointId, EndpointView, WorkloadView},
    risk::{Assessment, RiskView},
    status::Status,
    verdict::Finding,
};
use serde_json::{Value, json};

/// A fleet.
#[derive(Debug, Clone, Copy)]
pub struct Fleet {
    /// Hosts.
    pub hosts: usize,
    /// Workloads of each host; as many hosts run each workload.
    pub workloads: usize,
    /// Endpoints of each workload.
    pub endpoints: usize,
}

/// What one host knows.
#[derive(Debug)]
pub struct Host {
    assessment: Assessment,
    workloads: Vec<WorkloadView>,
    baselines: Vec<BaselineSummary>,
    status: Status,
    now: Timestamp,
}

/// The time of the simulation.
const NOW: u64 = 1_800_000_000;

impl Fleet {
    /// All workloads of the fleet, with their endpoints.
    ///
    /// # Errors
    /// The rows of the agent have changed their form.
    pub fn workloads(&self) -> Result<Vec<Workload>> {
        (0..self.hosts)
            .map(|number| Workload::new(self, number))
            .collect()
    }

    /// What a host knows of these.
    pub fn host(&self, workloads: &[Workload], host: usize) -> Host {
        let mut known = Host {
            assessment: Assessment::default(),
            workloads: Vec::new(),
            baselines: Vec::new(),
            status: Status {
                version: "1".to_owned(),
                kernel: "6.12".to_owned(),
                tier: 1,
                ..Status::default()
            },
            now: Timestamp(NOW * 1_000_000_000),
        };
        for workload in workloads.iter().cycle().skip(host).take(self.workloads) {
            known.add(workload, host);
        }
        known
    }
}

/// A workload that several hosts run.
#[derive(Debug)]
pub struct Workload {
    view: WorkloadView,
    endpoints: Vec<EndpointView>,
    findings: Vec<Finding>,
    risks: Vec<RiskView>,
}

impl Workload {
    fn new(fleet: &Fleet, number: usize) -> Result<Self> {
        let (name, next) = (format!("shop-{number}"), (number + 1) % fleet.hosts);
        let mut workload = Self {
            view: serde_json::from_value(json!({
                "id": format!("w{number}"), "name": name, "kind": "container", "executable": "/usr/bin/shop", "script": null,
                "unit": null, "container": format!("{number:064x}"), "endpoints": fleet.endpoints, "hits": 100, "unrouted": 1,
                "callers": ["web"], "egress": ["api.pay.test"], "calls_from": {"web": 90},
                "calls_to": {format!("shop-{next}"): 7}, "first_seen": time(0), "last_seen": time(60),
            }))?,
            endpoints: Vec::new(),
            findings: Vec::new(),
            risks: Vec::new(),
        };
        for place in 0..fleet.endpoints {
            let id = EndpointId((number as u64) << 32 | place as u64);
            let view: EndpointView = serde_json::from_value(endpoint(id, &name, place))?;
            if place.is_multiple_of(10) {
                let title = format!("{} {}", view.method, view.template);
                workload.findings.push(serde_json::from_value(json!({
                    "id": format!("g{:016x}", id.0), "rule": "missing_no_store", "title": "t", "advice": "a",
                    "owasp": "API8:2023", "severity": if place.is_multiple_of(50) { "critical" } else { "low" },
                    "confidence": 1.0, "workload": name, "endpoint": id.to_string(), "endpoint_name": title,
                    "first_seen": time(0), "last_seen": time(60), "count": 3, "reasons": [], "owner": "payments",
                }))?);
                workload.risks.push(serde_json::from_value(json!({
                    "score": view.risk, "severity": "low", "workload": name, "endpoint": id.to_string(),
                    "endpoint_name": title, "exposure": view.exposure, "exposure_share": 1.0, "factors": [],
                    "owner": "payments",
                }))?);
            }
            workload.endpoints.push(view);
        }
        Ok(workload)
    }
}

impl Host {
    /// What is reported.
    pub fn snapshot(&self) -> Snapshot<'_> {
        Snapshot {
            assessment: &self.assessment,
            workloads: &self.workloads,
            baselines: &self.baselines,
            status: &self.status,
            now: self.now,
        }
    }

    /// The same, without its first endpoint, a minute later.
    pub fn shrink(&mut self) {
        self.assessment.endpoints.remove(0);
        self.now = self.now.after(std::time::Duration::from_secs(60));
    }

    fn add(&mut self, workload: &Workload, host: usize) {
        self.workloads.push(workload.view.clone());
        self.assessment.findings.extend(workload.findings.iter().cloned());
        self.assessment.risks.extend(workload.risks.iter().cloned());
        for view in &workload.endpoints {
            self.baselines.push(BaselineSummary {
                endpoint: view.id,
                workload: view.workload_id.clone(),
                stage: Stage::Active,
                exchanges: view.hits,
                sources: 4,
                latency_ms: (1.5, 20.25),
                response_bytes: (512.0, 4096.0),
                first: Timestamp::from_secs_f64(NOW as f64),
                last: Timestamp::from_secs_f64(NOW as f64 + 60.0),
            });
            let mut view = view.clone();
            view.hits += host as u64 % 1000;
            view.last_seen = time(60 + host as u64 % 60);
            self.assessment.endpoints.push(view);
        }
    }
}

fn endpoint(id: EndpointId, workload: &str, number: usize) -> Value {
    let method = ["GET", "POST", "PUT", "DELETE"]
        .get(number % 4)
        .copied()
        .unwrap_or("GET");
    let sensitive = match number % 5 {
        0 => {
            json!([{"direction": "response", "path": "$.user.email", "type": "email", "count": 12, "suspected": false}])
        }
        _ => json!([]),
    };
    json!({
        "id": id.to_string(), "workload": workload, "workload_id": format!("w{}", id.0 >> 32), "kind": "rest", "method": method,
        "template": format!("/v1/section{}/items{number}/{{itemId}}", number % 7), "operation": null,
        "hosts": ["api.example.test"], "hits": 10 + number * 7919 % 1000, "first_seen": time(0),
        "last_seen": time(60), "state": "active", "exposure": if number.is_multiple_of(9) { "internet" } else { "cluster" },
        "auth": {"verdict": "consistent", "schemes": ["bearer_jwt"], "rates": {"bearer_jwt": 1.0}}, "sensitive": sensitive,
        "status": {"2xx": 9 + number, "4xx": 1}, "codes": {"200": 9 + number, "404": 1},
        "latency_ms": {"p50": 1.5, "p90": 9.0, "p99": 20.0}, "callers": ["web", "10.0.0.7"],
        "owner": "payments", "risk": (number % 100) as f64, "spec": "unknown",
        "completeness": {"complete": 10, "no_response": 0, "lost": 0, "truncated": 0},
        "parameters": [{"name": "itemId", "kind": "int"}],
    })
}

fn time(seconds: u64) -> String {
    Timestamp((NOW + seconds) * 1_000_000_000).rfc3339()
}
