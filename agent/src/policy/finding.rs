//! Findings of rules: one for each rule and endpoint.

use std::{borrow::Cow, collections::BTreeMap};

use super::{reason, rule::Rule};
use crate::{analysis::Seen, inventory::EndpointId, risk, verdict::Finding};

/// Findings kept. Overflow policy: further ones are not, and rules with the action `incident` are not touched by it.
const MAX_FINDINGS: usize = 4096;

/// Findings by rule and endpoint.
#[derive(Debug, Default)]
pub(super) struct Findings(BTreeMap<(String, String, Option<EndpointId>), Finding>);

impl Findings {
    pub(super) fn add(&mut self, rule: &Rule, because: &[String], seen: &Seen<'_>) {
        let key = (rule.name.clone(), seen.workload.id.clone(), seen.endpoint);
        let at = seen.exchange.started.rfc3339();
        if let Some(known) = self.0.get_mut(&key) {
            known.count += 1;
            known.last_seen = at;
            return;
        }
        if self.0.len() >= MAX_FINDINGS {
            return;
        }
        let method = seen
            .exchange
            .request
            .as_ref()
            .map_or("", |request| &*request.method);
        let name = seen.template.map(|template| format!("{method} {template}"));
        let place = seen.endpoint.map(|id| id.to_string()).unwrap_or_default();
        let title = match (rule.description.as_str(), &name) {
            ("", name) => format!("{}: {}", rule.name, name.as_deref().unwrap_or("no endpoint")),
            (text, _) => text.to_owned(),
        };
        let finding = Finding {
            id: risk::finding_id(&rule.name, &seen.workload.id, &place),
            rule: Cow::Owned(rule.name.clone()),
            title,
            advice: Cow::Borrowed("Do what the policy is there for, or change the policy."),
            owasp: None,
            severity: rule.severity,
            confidence: 1.0,
            workload: seen.workload.name.clone(),
            endpoint: seen.endpoint,
            endpoint_name: name,
            first_seen: at.clone(),
            last_seen: at,
            count: 1,
            reasons: vec![reason(rule, because)],
            owner: None,
        };
        self.0.insert(key, finding);
    }

    pub(super) fn list(&self) -> Vec<Finding> {
        let mut all: Vec<Finding> = self.0.values().cloned().collect();
        all.sort_by(|a, b| a.id.cmp(&b.id));
        all
    }
}
