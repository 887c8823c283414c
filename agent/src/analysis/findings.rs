//! Facts about endpoints that behaviour shows.
//!
//! In: what became usual. Out: [`Finding`]s. Bounded: further ones are not taken in.

use std::collections::{BTreeMap, BTreeSet};

use super::{hash::hash_all, look::Look};
use crate::verdict::{Finding, Group, Reason, Severity};

/// Findings kept. Overflow policy: later ones are not taken in.
const MAX_FINDINGS: usize = 2048;

/// Fields that one finding names. Overflow policy: the first so many.
const MAX_FIELDS: usize = 12;

/// The rule of these findings.
pub(crate) const RULE: &str = "api_changed";

/// All findings, by id.
#[derive(Debug, Default)]
pub(super) struct Findings {
    all: BTreeMap<String, Finding>,
    changed: BTreeSet<String>,
}

impl Findings {
    /// Several sources send or get a field that was not there before: the API has changed.
    pub(super) fn api_changed(&mut self, look: &Look<'_>, field: &str) {
        let endpoint = look.endpoint.map_or_else(String::new, |id| id.to_string());
        let id = format!("{:016x}", hash_all([RULE, &look.served_by().id, &endpoint]));
        if self.all.len() >= MAX_FINDINGS && !self.all.contains_key(&id) {
            return;
        }
        let at = look.at.rfc3339();
        let finding = self.all.entry(id.clone()).or_insert_with(|| Finding {
            id: id.clone(),
            rule: RULE.into(),
            title: "Fields have come to this endpoint".to_owned(),
            advice: "Check that the deploy meant to add them, and add them to the specification".into(),
            owasp: Some("API9:2023".into()),
            severity: Severity::Info,
            confidence: 0.9,
            workload: look.served_by().name.clone(),
            endpoint: look.endpoint,
            endpoint_name: look.endpoint_name(),
            first_seen: at.clone(),
            last_seen: at.clone(),
            count: 0,
            reasons: Vec::new(),
            owner: None,
        });
        finding.count += 1;
        finding.last_seen = at;
        if finding.reasons.len() < MAX_FIELDS {
            finding.reasons.push(Reason {
                group: Group::Novelty,
                detector: "baseline".into(),
                text: match &look.served_by().version {
                    Some(version) => {
                        format!("several sources use a field that was not there, with version {version}")
                    }
                    None => "several sources use a field that was not there".to_owned(),
                },
                observed: Some(field.to_owned()),
                expected: None,
                n: None,
                window: None,
            });
        }
        self.changed.insert(id);
    }

    /// All, in order of id.
    pub(super) fn list(&self) -> Vec<Finding> {
        self.all.values().cloned().collect()
    }

    /// Those that changed since the last call.
    pub(super) fn take_changed(&mut self) -> Vec<Finding> {
        let changed = std::mem::take(&mut self.changed);
        changed
            .iter()
            .filter_map(|id| self.all.get(id).cloned())
            .collect()
    }

    /// Takes findings back; those of other makers are left out.
    pub(super) fn restore(&mut self, findings: Vec<Finding>) {
        let ours = findings.into_iter().filter(|finding| finding.rule == RULE);
        for finding in ours.take(MAX_FINDINGS) {
            self.all.entry(finding.id.clone()).or_insert(finding);
        }
    }
}
