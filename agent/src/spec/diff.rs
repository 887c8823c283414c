//! Documents against what was observed.
//!
//! In: documents, rows of endpoints, and the documents exported of them, which hold their fields. Out: a [`Diff`]. What
//! is documented and was not asked for is an orphan, which a test suite may just not exercise: worth knowing, no fault.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use serde::Serialize;

use super::{
    Coverage, Given, Issue, Matcher, Place, State,
    coverage::{self, Exercised},
    drift,
};
use crate::{
    inventory::{EndpointId, EndpointView, NO_SCHEME},
    openapi::{
        Specification,
        read::{self, Document, Operation, SecurityKind},
    },
    verdict::Severity,
};

/// Names of all rules.
pub const RULES: [&str; 13] = [
    "shadow_endpoint",
    "zombie_endpoint",
    "orphan_operation",
    "undocumented_status",
    "security_not_enforced",
    "undocumented_parameter",
    "undocumented_body",
    "undocumented_media_type",
    "undocumented_field",
    "undocumented_null",
    "undocumented_value",
    "type_mismatch",
    "required_field_absent",
];

/// What came of a comparison.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Diff {
    /// How many of each.
    pub counts: Counts,
    /// Each endpoint, in the order given.
    pub endpoints: Vec<EndpointRow>,
    /// What is to be looked at: shadow, zombie and orphan operations, drift.
    pub issues: Vec<Issue>,
    /// How much of the documents was exercised.
    pub coverage: Coverage,
}

/// How many of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counts {
    /// Endpoints that documents describe.
    pub documented: u64,
    /// Endpoints that they do not.
    pub shadow: u64,
    /// Endpoints that they call deprecated.
    pub zombie: u64,
    /// Operations that nobody asked for.
    pub orphan: u64,
    /// Differences between fields as documented and as observed.
    pub drift: u64,
}

/// One endpoint and what documents say about it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EndpointRow {
    /// Id.
    pub id: EndpointId,
    /// `documented`, `shadow` or `zombie`.
    pub spec: &'static str,
    /// Name of the workload.
    pub workload: String,
    /// Method.
    pub method: String,
    /// Path template as observed.
    pub template: String,
    /// Exchanges.
    pub hits: u64,
    /// Path as documented.
    pub path: Option<String>,
    /// Where it is described.
    pub place: Option<Place>,
}

/// What was observed, read back from the documents exported of it.
struct Observed(BTreeMap<String, Document>);

impl Observed {
    fn of(specifications: &[Specification]) -> Self {
        let read = |specification: &Specification| {
            let text = specification.document.to_string();
            let document = read::read(text.as_bytes()).ok()?;
            Some((specification.workload_id.clone(), document))
        };
        Self(specifications.iter().filter_map(read).collect())
    }

    fn find(&self, view: &EndpointView) -> Option<(&Document, &Operation)> {
        let document = self.0.get(&view.workload_id)?;
        let operation = document
            .operations
            .iter()
            .find(|operation| operation.method == view.method && operation.path == view.template)?;
        Some((document, operation))
    }
}

/// Compares documents with endpoints and the documents exported of them.
pub fn diff(documents: &[Given], endpoints: &[EndpointView], specifications: &[Specification]) -> Diff {
    let matcher = Matcher::new(documents);
    let observed = Observed::of(specifications);
    let mut result = Diff::default();
    let mut exercised: BTreeMap<(usize, usize), Exercised<'_>> = BTreeMap::new();
    let mut known = BTreeSet::new();
    for view in endpoints {
        let (state, found) = matcher.find(view);
        let operation = found.and_then(|(document, at)| {
            let given = documents.get(document)?;
            Some((given, given.document.operations.get(at)?))
        });
        count(&mut result.counts, state);
        result.endpoints.push(row(view, state, operation));
        let (Some(found), Some((given, operation))) = (found, operation) else {
            result.issues.push(shadow(view));
            continue;
        };
        if state == State::Zombie {
            result.issues.push(zombie(view, given, operation));
        }
        // Requests that browsers and tools make by themselves exercise nothing.
        if view.method != operation.method {
            continue;
        }
        let seen = exercised.entry(found).or_default();
        seen.hits += view.hits;
        seen.codes.extend(view.codes.keys().cloned());
        let pair = observed.find(view);
        seen.operations.extend(pair);
        for issue in drifts(view, given, operation, pair) {
            // Several endpoints may be one operation.
            if known.insert((found, issue.rule.clone(), issue.text.clone())) {
                result.issues.push(issue);
            }
        }
    }
    result.coverage = coverage::of(documents, &exercised);
    result.counts.drift = result
        .issues
        .iter()
        .filter(|issue| issue.place.is_some() && issue.rule != "zombie_endpoint")
        .count() as u64;
    let orphans: Vec<Issue> = result
        .coverage
        .each
        .iter()
        .filter(|operation| operation.hits == 0)
        .map(|operation| Issue {
            rule: Cow::Borrowed("orphan_operation"),
            severity: Severity::Info,
            endpoint: format!("{} {}", operation.method, operation.path),
            workload: None,
            text: "documented, and nobody asked for it".to_owned(),
            advice: Cow::Borrowed("If it is not served any more, remove it from the document; else test it."),
            place: Some(operation.place.clone()),
        })
        .collect();
    result.counts.orphan = orphans.len() as u64;
    result.issues.extend(orphans);
    result
        .issues
        .sort_by_key(|issue| (std::cmp::Reverse(issue.severity), issue.endpoint.clone()));
    result
}

fn count(counts: &mut Counts, state: State) {
    *match state {
        State::Documented => &mut counts.documented,
        State::Zombie => &mut counts.zombie,
        State::Shadow => &mut counts.shadow,
    } += 1;
}

fn place(given: &Given, operation: &Operation) -> Place {
    Place {
        document: given.name.clone(),
        pointer: operation.pointer.clone(),
        line: given.line_of(operation),
    }
}

fn row(view: &EndpointView, state: State, operation: Option<(&Given, &Operation)>) -> EndpointRow {
    EndpointRow {
        id: view.id,
        spec: state.as_str(),
        workload: view.workload.clone(),
        method: view.method.clone(),
        template: view.template.clone(),
        hits: view.hits,
        path: operation.map(|(_, operation)| operation.path.clone()),
        place: operation.map(|(given, operation)| place(given, operation)),
    }
}

fn name(view: &EndpointView) -> String {
    format!("{} {}", view.method, view.template)
}

fn shadow(view: &EndpointView) -> Issue {
    let succeeded = view.status.get("2xx").copied().unwrap_or(0);
    Issue {
        rule: Cow::Borrowed("shadow_endpoint"),
        severity: match succeeded {
            0 => Severity::Low,
            _ => Severity::Medium,
        },
        endpoint: name(view),
        workload: Some(view.workload.clone()),
        text: format!(
            "served and not documented: {} exchanges, {succeeded} answered with 2xx",
            view.hits
        ),
        advice: Cow::Borrowed("Document it, or remove it."),
        place: None,
    }
}

fn zombie(view: &EndpointView, given: &Given, operation: &Operation) -> Issue {
    Issue {
        rule: Cow::Borrowed("zombie_endpoint"),
        severity: Severity::Medium,
        endpoint: name(view),
        workload: Some(view.workload.clone()),
        text: format!("documented as deprecated, and asked for {} times", view.hits),
        advice: Cow::Borrowed("Move its callers to what replaces it, then remove it."),
        place: Some(place(given, operation)),
    }
}

fn drifts(
    view: &EndpointView,
    given: &Given,
    operation: &Operation,
    observed: Option<(&Document, &Operation)>,
) -> Vec<Issue> {
    let issue = |rule: &'static str, severity, text: String, advice: &'static str| Issue {
        rule: Cow::Borrowed(rule),
        severity,
        endpoint: name(view),
        workload: Some(view.workload.clone()),
        text,
        advice: Cow::Borrowed(advice),
        place: Some(place(given, operation)),
    };
    let mut issues = Vec::new();
    for code in view
        .codes
        .keys()
        .filter(|code| is_undocumented(operation, code.as_str()))
    {
        let severity = match code.as_bytes().first() {
            Some(b'2' | b'3') => Severity::Medium,
            _ => Severity::Low,
        };
        let text = format!("answered with {code}, which is not documented");
        issues.push(issue(
            "undocumented_status",
            severity,
            text,
            "Document the status, or correct the answer.",
        ));
    }
    let anonymous = view.auth.rates.get(NO_SCHEME).copied().unwrap_or(0.0);
    if anonymous > 0.0 && asks_for_credentials(&given.document, operation) {
        let text = format!(
            "documented with security, and {:.0} % of the requests answered with 2xx carried no credential",
            anonymous * 100.0
        );
        issues.push(issue(
            "security_not_enforced",
            Severity::High,
            text,
            "Check the credential before anything else, or document that none is needed.",
        ));
    }
    let is_sensitive = |path: &str| {
        let mut fields = view.sensitive.iter();
        fields.any(|field| field.direction == "response" && field.path == path)
    };
    if let Some(observed) = observed {
        for drift in drift::compare((&given.document, operation), observed, &is_sensitive) {
            issues.push(issue(
                drift.rule,
                drift.severity,
                format!("{}: {}", drift.place, drift.text),
                "Bring document and program together.",
            ));
        }
    }
    issues
}

/// Whether no status that an operation documents describes this one.
fn is_undocumented(operation: &Operation, code: &str) -> bool {
    let class = code.get(..1).map(|digit| format!("{digit}XX"));
    !operation.responses.is_empty()
        && !operation.responses.contains_key(code)
        && !operation.responses.contains_key("default")
        && !class.is_some_and(|class| operation.responses.contains_key(&class))
        // 1xx and 304 are matters of the protocol (RFC 9110 §15.2, §15.4.5).
        && !code.starts_with('1')
        && code != "304"
}

/// Whether every alternative asks for a credential of a kind that is recognised wherever it stands.
fn asks_for_credentials(document: &Document, operation: &Operation) -> bool {
    let Some(alternatives) = &operation.security else {
        return false;
    };
    let is_recognised = |name: &String| {
        document.security_schemes.get(name).is_some_and(|scheme| {
            matches!(
                scheme.kind,
                SecurityKind::Http { .. } | SecurityKind::OAuth2 { .. } | SecurityKind::OpenIdConnect { .. }
            )
        })
    };
    !alternatives.is_empty()
        && alternatives
            .iter()
            .all(|schemes| !schemes.is_empty() && schemes.keys().all(is_recognised))
}

#[cfg(test)]
#[path = "diff_tests.rs"]
mod tests;
