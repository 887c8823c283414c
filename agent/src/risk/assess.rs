//! Everything about risk, from everything that is known.
//!
//! In: rows of endpoints and workloads, findings and incidents. Out: risk rows, the highest first. [`assess`] starts
//! from an inventory and adds its posture findings. Pure: what is asked twice is answered twice alike.

use std::collections::BTreeMap;

use super::{posture, score, score::RiskView, weights::Risk};
use crate::{
    clock::Timestamp,
    inventory::{EndpointId, EndpointView, Inventory, WorkloadView},
    spec::Matcher,
    verdict::{Alert, Finding},
};

/// Factors shown of a workload. Overflow policy: the heaviest.
const MAX_FACTORS: usize = 16;

/// What is known of endpoints, and what is wrong with them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Assessment {
    /// The rows of all endpoints, with their risk.
    pub endpoints: Vec<EndpointView>,
    /// Posture findings, then those given, each kind in its order.
    pub findings: Vec<Finding>,
    /// Risk of endpoints and workloads, the highest first.
    pub risks: Vec<RiskView>,
}

/// Assesses an inventory, with what detectors found in behaviour, and what documents say of its endpoints.
pub fn assess(
    inventory: &Inventory,
    behaviour: Vec<Finding>,
    incidents: &[Alert],
    (risk, documents): (&Risk, Option<&Matcher>),
    now: Timestamp,
) -> Assessment {
    let mut endpoints = inventory.endpoint_views(now);
    if let Some(documents) = documents {
        for view in &mut endpoints {
            documents.find(view).0.as_str().clone_into(&mut view.spec);
        }
    }
    let rows = endpoints
        .iter()
        .filter_map(|view| Some((inventory.endpoint(view.id)?, view)));
    let mut findings = posture::findings(rows);
    findings.extend(behaviour);
    let risks = views(
        &mut endpoints,
        &inventory.workload_views(),
        &findings,
        incidents,
        risk,
    );
    Assessment {
        endpoints,
        findings,
        risks,
    }
}

/// The risk of endpoints and workloads, the highest first; fills in the risk of each endpoint's row. Endpoints that
/// nothing speaks against are left out, their row says 0.
pub fn views(
    endpoints: &mut [EndpointView],
    workloads: &[WorkloadView],
    findings: &[Finding],
    incidents: &[Alert],
    risk: &Risk,
) -> Vec<RiskView> {
    let mut found: BTreeMap<EndpointId, (Vec<&Finding>, Vec<&Alert>)> = BTreeMap::new();
    for finding in findings {
        if let Some(id) = finding.endpoint {
            found.entry(id).or_default().0.push(finding);
        }
    }
    for incident in incidents {
        if let Some(id) = incident.endpoint {
            found.entry(id).or_default().1.push(incident);
        }
    }
    let none = (Vec::new(), Vec::new());
    let mut risks: Vec<RiskView> = Vec::new();
    let mut worst: BTreeMap<String, RiskView> = BTreeMap::new();
    for view in endpoints.iter_mut() {
        let (findings, incidents) = found.get(&view.id).unwrap_or(&none);
        let row = score::of(view, findings, incidents, risk);
        view.risk = Some(row.score);
        if row.factors.is_empty() {
            continue;
        }
        let of_workload = worst.entry(view.workload.clone()).or_insert_with(|| row.clone());
        if row.score > of_workload.score {
            *of_workload = row.clone();
        }
        risks.push(row);
    }
    risks.extend(workloads.iter().filter_map(|workload| {
        let mut row = worst.remove(&workload.name)?;
        row.endpoint = None;
        row.endpoint_name = None;
        row.factors.truncate(MAX_FACTORS);
        Some(row)
    }));
    risks.sort_by(|a, b| {
        let key = |row: &RiskView| (row.endpoint.is_none(), row.workload.clone(), row.endpoint);
        b.score.total_cmp(&a.score).then_with(|| key(a).cmp(&key(b)))
    });
    risks
}
