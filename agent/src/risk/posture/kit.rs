//! What a rule is, and how what it finds becomes a [`Finding`].

use std::borrow::Cow;

use sha2::{Digest, Sha256};

use super::{Message, Posture, Seen, Subject};
use crate::verdict::{Finding, Group, Reason, Severity};

/// One rule.
pub(super) struct Rule {
    /// Name, for filters and weights.
    pub(super) name: &'static str,
    /// What is wrong, as the beginning of a sentence that goes on with the endpoint.
    pub(super) title: &'static str,
    /// What to do about it.
    pub(super) advice: &'static str,
    /// Risk of the OWASP API Security Top 10 2023.
    pub(super) owasp: Option<&'static str>,
    /// Notices its facts in an exchange; `None` when the inventory has all it needs.
    pub(super) notice: Option<fn(&Message<'_>, &mut Posture)>,
    /// Judges an endpoint.
    pub(super) check: fn(&Subject<'_>) -> Option<Evidence>,
}

/// Why a rule holds.
pub(super) struct Evidence {
    pub(super) severity: Severity,
    /// From 0 to 1.
    pub(super) confidence: f32,
    /// When it was seen.
    pub(super) seen: Seen,
    /// One sentence, with numbers.
    pub(super) text: String,
    pub(super) observed: Option<String>,
    pub(super) expected: Option<String>,
}

impl Evidence {
    /// Certain evidence without further numbers.
    pub(super) fn new(severity: Severity, seen: Seen, text: impl Into<String>) -> Self {
        Self {
            severity,
            confidence: 0.9,
            seen,
            text: text.into(),
            observed: None,
            expected: None,
        }
    }

    pub(super) fn confidence(mut self, confidence: f32) -> Self {
        self.confidence = confidence;
        self
    }

    pub(super) fn observed(mut self, observed: impl Into<String>, expected: impl Into<String>) -> Self {
        self.observed = Some(observed.into());
        self.expected = Some(expected.into());
        self
    }
}

impl Rule {
    /// The finding that evidence makes; `None` never, but for evidence of nothing.
    pub(super) fn finding(&self, subject: &Subject<'_>, evidence: Evidence) -> Option<Finding> {
        let Evidence {
            severity,
            confidence,
            seen,
            text,
            observed,
            expected,
        } = evidence;
        if seen.count == 0 {
            return None;
        }
        let view = subject.view;
        let name = match &view.operation {
            Some(operation) => format!("{} {operation}", view.method),
            None => format!("{} {}", view.method, view.template),
        };
        Some(Finding {
            id: id(self.name, &view.workload_id, &view.id.to_string()),
            rule: Cow::Borrowed(self.name),
            title: format!("{}: {name}", self.title),
            advice: Cow::Borrowed(self.advice),
            owasp: self.owasp.map(Cow::Borrowed),
            severity,
            confidence,
            workload: view.workload.clone(),
            endpoint: Some(view.id),
            endpoint_name: Some(name),
            first_seen: seen.first.rfc3339(),
            last_seen: seen.last.rfc3339(),
            count: seen.count,
            reasons: vec![Reason {
                group: Group::Exposure,
                detector: Cow::Borrowed(self.name),
                text,
                observed,
                expected,
                n: Some(seen.count),
                window: None,
            }],
            owner: view.owner.clone(),
        })
    }
}

/// 16 hex digits that stay the same for the same rule at the same place.
pub(crate) fn id(rule: &str, workload: &str, place: &str) -> String {
    let mut hash = Sha256::new();
    for part in [rule, workload, place] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    let digest: [u8; 32] = hash.finalize().into();
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
