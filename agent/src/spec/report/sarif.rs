//! SARIF 2.1.0 (OASIS): what code scanning of GitHub, GitLab and others reads.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::Report;
use crate::{spec::Issue, verdict::Severity};

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// Where results without a document are shown.
const NOWHERE: &str = "openapi.yaml";

/// The report as a SARIF log.
pub fn sarif(report: &Report<'_>) -> Value {
    let mut rules: BTreeMap<&str, &Issue> = BTreeMap::new();
    for issue in report.issues {
        let known = rules.entry(issue.rule.as_ref()).or_insert(issue);
        if issue.severity > known.severity {
            *known = issue;
        }
    }
    let described: Vec<Value> = rules
        .values()
        .map(|issue| {
            json!({
                "id": issue.rule,
                "shortDescription": { "text": issue.rule.replace('_', " ") },
                "help": { "text": issue.advice },
                "defaultConfiguration": { "level": level(issue.severity) },
                "properties": { "security-severity": security_severity(issue.severity), "tags": ["security", "api"] },
            })
        })
        .collect();
    let indices: BTreeMap<&str, usize> = rules.keys().enumerate().map(|(at, rule)| (*rule, at)).collect();
    let results: Vec<Value> = report
        .issues
        .iter()
        .map(|issue| result(issue, indices.get(issue.rule.as_ref()).copied().unwrap_or(0)))
        .collect();
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "Apiarist",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": described,
            } },
            "automationDetails": { "id": format!("apiarist/{}/", report.check.replace(' ', "-")) },
            "results": results,
        }],
    })
}

fn result(issue: &Issue, rule: usize) -> Value {
    let subject = match issue.endpoint.as_str() {
        "" => String::new(),
        endpoint => format!("{endpoint}: "),
    };
    let document = issue
        .place
        .as_ref()
        .map_or(NOWHERE, |place| place.document.as_str());
    let line = issue.place.as_ref().map_or(1, |place| place.line.max(1));
    let mut location = json!({
        "physicalLocation": {
            "artifactLocation": { "uri": uri(document) },
            "region": { "startLine": line },
        },
    });
    if !issue.endpoint.is_empty()
        && let Some(members) = location.as_object_mut()
    {
        let name = json!([{ "fullyQualifiedName": issue.endpoint, "kind": "resource" }]);
        members.insert("logicalLocations".into(), name);
    }
    json!({
        "ruleId": issue.rule,
        "ruleIndex": rule,
        "level": level(issue.severity),
        "message": { "text": format!("{subject}{}", issue.text) },
        "locations": [location],
        "partialFingerprints": { "apiarist/v1": fingerprint(issue) },
    })
}

const fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low | Severity::Info => "note",
    }
}

/// A number from 0 to 10 as text, as code scanning of GitHub asks for it.
const fn security_severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "9.5",
        Severity::High => "8.0",
        Severity::Medium => "5.5",
        Severity::Low => "3.0",
        Severity::Info => "0.0",
    }
}

/// A path as a reference to a URI (RFC 3986 §4.2): what may not stand in one is escaped.
fn uri(path: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~/!$&'()*+,;=@".contains(&b);
    path.bytes()
        .map(|b| match plain(b) {
            true => char::from(b).to_string(),
            false => format!("%{b:02X}"),
        })
        .collect()
}

/// The same for the same issue in every run, whatever its numbers are.
fn fingerprint(issue: &Issue) -> String {
    let text = issue.text.split(|c: char| c.is_ascii_digit()).collect::<String>();
    let mut hash = Sha256::new();
    for part in [issue.rule.as_ref(), &issue.endpoint, &text] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    let digest: [u8; 32] = hash.finalize().into();
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
