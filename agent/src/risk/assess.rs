//! Everything about risk, from everything that is known.
//!
//! In: an inventory, findings and incidents. Out: the rows of endpoints with their risk, all findings, and risk rows, the
//! highest first. [`assess`] does it once; [`super::Assessor`] keeps what it found. Pure: what is asked twice is answered
//! twice alike.

use std::collections::{BTreeMap, HashMap};

use sha2::{Digest as _, Sha256};

use super::{posture, score, score::RiskView, weights::Risk};
use crate::{
    clock::Timestamp,
    inventory::{Endpoint, EndpointId, EndpointView, Inventory},
    spec::Matcher,
    verdict::{Alert, Finding},
};

/// What endpoints are judged by.
#[derive(Debug, Default)]
pub struct Criteria {
    /// What weighs how much.
    pub risk: Risk,
    /// What documents say, if any were given.
    pub documents: Option<Matcher>,
}

impl Criteria {
    /// Names these criteria: whoever finds the name beside what was judged knows that it would judge alike. Differs
    /// between versions of the program.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(env!("CARGO_PKG_VERSION"));
        hash.update(format!("{self:?}"));
        let digest = hash.finalize();
        digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }
}

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

/// Assesses an inventory, with what detectors found in behaviour.
pub fn assess(
    inventory: &Inventory,
    behaviour: Vec<Finding>,
    incidents: &[Alert],
    criteria: &Criteria,
    now: Timestamp,
) -> Assessment {
    let verdicts = Verdicts::of(&behaviour, incidents);
    let mut assessment = Assessment::default();
    for view in inventory.endpoint_views(now) {
        let Some(endpoint) = inventory.endpoint(view.id) else {
            continue;
        };
        let Judged { view, posture, risk } = judge(endpoint, view, &verdicts, criteria);
        assessment.endpoints.push(view);
        assessment.findings.extend(posture);
        assessment.risks.extend(risk);
    }
    let of_workloads = of_workloads(&assessment.risks);
    assessment.risks.extend(of_workloads);
    assessment.risks.sort_by(higher_first);
    assessment.findings.extend(behaviour);
    assessment
}

/// What detectors concluded, by endpoint.
pub(super) struct Verdicts<'a> {
    by_endpoint: HashMap<EndpointId, (Vec<&'a Finding>, Vec<&'a Alert>)>,
}

impl<'a> Verdicts<'a> {
    pub(super) fn of(behaviour: &'a [Finding], incidents: &'a [Alert]) -> Self {
        let mut by_endpoint: HashMap<EndpointId, (Vec<&Finding>, Vec<&Alert>)> = HashMap::new();
        for finding in behaviour {
            if let Some(id) = finding.endpoint {
                by_endpoint.entry(id).or_default().0.push(finding);
            }
        }
        for incident in incidents {
            if let Some(id) = incident.endpoint {
                by_endpoint.entry(id).or_default().1.push(incident);
            }
        }
        Self { by_endpoint }
    }

    /// Endpoints that there is something about.
    pub(super) fn endpoints(&self) -> impl Iterator<Item = EndpointId> {
        self.by_endpoint.keys().copied()
    }

    /// Whether there is anything about an endpoint.
    pub(super) fn has(&self, id: EndpointId) -> bool {
        self.by_endpoint.contains_key(&id)
    }
}

/// One endpoint, judged.
pub(super) struct Judged {
    /// Its row, complete.
    pub(super) view: EndpointView,
    /// What follows from how it is served.
    pub(super) posture: Vec<Finding>,
    /// Its risk; absent when nothing speaks against it.
    pub(super) risk: Option<RiskView>,
}

/// Judges one endpoint by everything that is known of it.
pub(super) fn judge(
    endpoint: &Endpoint,
    mut view: EndpointView,
    verdicts: &Verdicts<'_>,
    criteria: &Criteria,
) -> Judged {
    if let Some(documents) = &criteria.documents {
        documents.find(&view).0.as_str().clone_into(&mut view.spec);
    }
    let posture = posture::findings([(endpoint, &view)]);
    let none = (Vec::new(), Vec::new());
    let (behaviour, incidents) = verdicts.by_endpoint.get(&view.id).unwrap_or(&none);
    let findings: Vec<&Finding> = posture.iter().chain(behaviour.iter().copied()).collect();
    let row = score::of(&view, &findings, incidents, &criteria.risk);
    view.risk = Some(row.score);
    let risk = (!row.factors.is_empty()).then_some(row);
    Judged { view, posture, risk }
}

/// The risk of workloads: that of the worst of their endpoints, the first among equals.
pub(super) fn of_workloads<'a>(risks: impl IntoIterator<Item = &'a RiskView>) -> Vec<RiskView> {
    let mut worst: BTreeMap<&str, &RiskView> = BTreeMap::new();
    for row in risks {
        let of_workload = worst.entry(&row.workload).or_insert(row);
        if higher_first(row, of_workload).is_lt() {
            *of_workload = row;
        }
    }
    worst.into_values().map(RiskView::of_workload).collect()
}

/// The order of risk rows: the highest score, then endpoints before workloads, then by name.
pub(super) fn higher_first(a: &RiskView, b: &RiskView) -> std::cmp::Ordering {
    b.score
        .total_cmp(&a.score)
        .then_with(|| a.endpoint.is_none().cmp(&b.endpoint.is_none()))
        .then_with(|| a.workload.cmp(&b.workload))
        .then_with(|| a.endpoint.cmp(&b.endpoint))
}
