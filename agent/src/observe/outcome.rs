//! What was observed, from the store that the agent left.

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::stable;
use crate::{
    config::RunOptions,
    inventory::{EndpointView, Limits},
    openapi::Specification,
    risk::{self, Criteria, RiskView},
    spec::{Diff, Given, Issue, diff},
    status::Status,
    store::Reader,
    verdict::{Alert, Finding},
};

/// Losses that hit whoever comes first: all processes of the host share what was full.
const SHARED: [&str; 4] = [
    "ring_full_events",
    "quota_events",
    "storage_full",
    "undecodable_records",
];

/// What was observed of a command.
#[derive(Debug)]
pub struct Outcome {
    /// Endpoints served, with their risk.
    pub endpoints: Vec<EndpointView>,
    /// One document for each workload, without anything that changes from run to run.
    pub specifications: Vec<Specification>,
    /// What should be changed.
    pub findings: Vec<Finding>,
    /// Risk of endpoints and workloads, the highest first.
    pub risks: Vec<RiskView>,
    /// What looked like attacks: a test suite may hold some.
    pub incidents: Vec<Alert>,
    /// Comparison with the documents given, if any were.
    pub diff: Option<Diff>,
    /// Health of the agent: what was lost, above all.
    pub status: Status,
    /// Findings, and what the comparison gave, the gravest first.
    pub issues: Vec<Issue>,
}

impl Outcome {
    /// Reads the store of a run.
    pub(super) fn of(options: &RunOptions, documents: &[Given]) -> Result<Self> {
        let reader = Reader::open(&options.store).context("cannot read what was observed")?;
        let mut contents = reader.load()?;
        let status = match reader.status()? {
            Some(bytes) => serde_json::from_slice(&bytes).context("cannot read the agent's status")?,
            None => Status::default(),
        };
        let restored = contents.restore(Limits {
            candidates: 1,
            recent_paths: 1,
            ..options.config.inventory.limits()
        });
        let (kept, _) = contents.kept();
        let (inventory, now) = (&restored.inventory, restored.newest);
        let criteria = Criteria {
            risk: options.config.risk.clone(),
            documents: None,
        };
        let assessment = risk::assess(inventory, kept.findings, &kept.alerts, &criteria, now);
        let specifications = inventory.specifications(now);
        let mut endpoints = assessment.endpoints;
        let diff = (!documents.is_empty()).then(|| diff(documents, &endpoints, &specifications));
        for row in diff.iter().flat_map(|diff| &diff.endpoints) {
            if let Some(view) = endpoints.iter_mut().find(|view| view.id == row.id) {
                row.spec.clone_into(&mut view.spec);
            }
        }
        let mut issues: Vec<Issue> = assessment.findings.iter().map(Issue::from).collect();
        issues.extend(diff.iter().flat_map(|diff| diff.issues.iter().cloned()));
        issues.sort_by(|a, b| {
            let key = |issue: &Issue| (issue.endpoint.clone(), issue.rule.clone(), issue.text.clone());
            b.severity.cmp(&a.severity).then_with(|| key(a).cmp(&key(b)))
        });
        Ok(Self {
            endpoints,
            specifications: specifications.into_iter().map(stable::specification).collect(),
            findings: assessment.findings,
            risks: assessment.risks,
            incidents: kept.alerts,
            diff,
            status,
            issues,
        })
    }

    /// What was not seen of the command, one phrase each: then what is missing in the results may have been there. Counts
    /// of the kernel programs are those of the whole host; only what the command shares with it counts here.
    pub fn gaps(&self) -> Vec<String> {
        let shared = SHARED.iter().filter_map(|reason| {
            let count = self.status.lost.get(*reason).filter(|count| **count > 0)?;
            Some(format!("{reason} {count}"))
        });
        let own = self
            .status
            .coverage
            .iter()
            .filter(|row| row.read_pct < 100.0)
            .map(|row| format!("{:.1} % of the bytes of {} were read", row.read_pct, row.workload));
        shared.chain(own).collect()
    }

    /// Everything about coverage, as JSON; null without documents.
    pub(super) fn coverage(&self) -> Value {
        let coverage = self.diff.as_ref().map(|diff| &diff.coverage);
        serde_json::to_value(coverage).unwrap_or(Value::Null)
    }
}
