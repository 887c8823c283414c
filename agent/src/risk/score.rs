//! The score of one endpoint: every factor with its weight and confidence, and what they come to.
//!
//! Score = 100 · (1 − Π(1 − wᵢ·cᵢ)) × exposure. A factor is a posture finding, an open incident, or the sensitive data
//! that an endpoint handles. One shape goes before all others: the internet is surely given sensitive data without a
//! credential. Such endpoints score between a ceiling and 100, all others up to that ceiling, however many smaller
//! things are wrong with them.

use serde::{Deserialize, Serialize};

use super::{posture::gravity, weights::Risk};
use crate::{
    inventory::{EndpointId, EndpointView, Exposure},
    verdict::{Alert, AlertState, Finding, Severity},
};

/// The rule that lifts the ceiling, and how sure it must be.
const COMPOSITE: (&str, f32) = ("exposed_sensitive_response", 0.8);

/// Factors shown of a workload. Overflow policy: the heaviest.
const MAX_FACTORS: usize = 16;

/// One reason for a score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Factor {
    /// Name: a rule, `sensitive_data` or `successful_attack`.
    pub factor: String,
    /// From 0 to 1, as configured.
    pub weight: f64,
    /// From 0 to 1.
    pub confidence: f64,
    /// What it adds on its own, of 100, before the exposure counts.
    pub points: f64,
    /// One sentence.
    pub text: String,
    /// Id of the finding or incident behind it.
    pub source: Option<String>,
}

/// A row of `risks`. Members are a contract: add, don't rename.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RiskView {
    /// From 0 to 100.
    pub score: f64,
    /// Of the worst finding.
    pub severity: Severity,
    /// Name of the workload.
    pub workload: String,
    /// Endpoint; absent for the row of a workload.
    pub endpoint: Option<EndpointId>,
    /// Method and template, for people.
    pub endpoint_name: Option<String>,
    /// From how far away it is called.
    pub exposure: Exposure,
    /// What the exposure leaves of the score, from 0 to 1.
    pub exposure_share: f64,
    /// Why, the heaviest first.
    pub factors: Vec<Factor>,
    /// Who answers for it.
    pub owner: Option<String>,
}

impl RiskView {
    /// The row of a workload whose worst endpoint this is.
    #[must_use]
    pub fn of_workload(&self) -> Self {
        let mut row = Self {
            endpoint: None,
            endpoint_name: None,
            ..self.clone()
        };
        row.factors.truncate(MAX_FACTORS);
        row
    }

    /// Where this row stands: the highest score first, then endpoints before workloads, then by name.
    pub fn place(&self) -> Vec<u8> {
        // Scores have one decimal place.
        let below = 1000.0 - (self.score * 10.0).round();
        let is_of_workload = u8::from(self.endpoint.is_none());
        let endpoint = self.endpoint.map_or_else(String::new, |id| id.to_string());
        format!("{below:04}{is_of_workload}{}\0{endpoint}", self.workload).into_bytes()
    }
}

/// What an endpoint is scored by.
pub(super) fn of(view: &EndpointView, findings: &[&Finding], incidents: &[&Alert], risk: &Risk) -> RiskView {
    let mut factors: Vec<Factor> = Vec::new();
    let mut add = |name: &str, confidence: f64, text: String, source: Option<String>| {
        let weight = risk.weights.of(name);
        factors.push(Factor {
            factor: name.to_owned(),
            weight,
            confidence: round(confidence, 100.0),
            points: round(100.0 * weight * confidence, 10.0),
            text,
            source,
        });
    };
    for finding in findings {
        let text = finding
            .reasons
            .first()
            .map_or_else(|| finding.title.clone(), |reason| reason.text.clone());
        add(
            &finding.rule,
            f64::from(finding.confidence),
            text,
            Some(finding.id.clone()),
        );
    }
    let worst_incident = incidents
        .iter()
        .filter(|incident| incident.state != AlertState::Resolved)
        .max_by(|a, b| a.confidence.total_cmp(&b.confidence));
    if let Some(incident) = worst_incident {
        let text = format!("{}, {} exchanges", incident.class, incident.count);
        add(
            "successful_attack",
            f64::from(incident.confidence),
            text,
            Some(incident.id.clone()),
        );
    }
    if let Some((confidence, text)) = handled(view) {
        add("sensitive_data", confidence, text, None);
    }
    factors.sort_by(|a, b| b.points.total_cmp(&a.points).then(a.factor.cmp(&b.factor)));
    let severity = findings.iter().map(|finding| finding.severity);
    let severity = severity
        .chain(incidents.iter().map(|incident| incident.severity))
        .max();
    let share = risk.share(view.exposure);
    RiskView {
        score: score(
            &factors,
            findings.iter().any(|finding| is_composite(finding)),
            share,
            risk,
        ),
        severity: severity.unwrap_or_default(),
        workload: view.workload.clone(),
        endpoint: Some(view.id),
        endpoint_name: Some(match &view.operation {
            Some(operation) => format!("{} {operation}", view.method),
            None => format!("{} {}", view.method, view.template),
        }),
        exposure: view.exposure,
        exposure_share: share,
        factors,
        owner: view.owner.clone(),
    }
}

fn is_composite(finding: &Finding) -> bool {
    finding.rule == COMPOSITE.0 && finding.confidence >= COMPOSITE.1 && finding.severity == Severity::Critical
}

fn score(factors: &[Factor], has_composite: bool, share: f64, risk: &Risk) -> f64 {
    let safe: f64 = factors
        .iter()
        .map(|factor| 1.0 - factor.weight * factor.confidence)
        .product();
    let full = 100.0 * (1.0 - safe);
    let ceiling = f64::from(risk.ceiling);
    let raised = match has_composite {
        true => ceiling + (100.0 - ceiling) * full / 100.0,
        false => full.min(ceiling),
    };
    round((raised * share).clamp(0.0, 100.0), 10.0)
}

/// The gravest data in its answers: how grave and how sure it is, and what.
fn handled(view: &EndpointView) -> Option<(f64, String)> {
    view.sensitive
        .iter()
        .filter(|field| field.direction == "response")
        .map(|field| {
            let sure = if field.suspected { 0.5 } else { 1.0 };
            (gravity(&field.kind) * sure, field)
        })
        .max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.path.cmp(&a.1.path)))
        .map(|(confidence, field)| {
            (
                confidence,
                format!("answers carry {} at {}", field.kind, field.path),
            )
        })
}

fn round(value: f64, places: f64) -> f64 {
    (value * places).round() / places
}
