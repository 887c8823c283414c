//! Events for collectors, with characters that formats have to escape.

use apiarist::sink::Event;
use serde_json::{Result, json};

/// The incident with this number; every seventh has the same fingerprint.
///
/// # Errors
/// Alerts have changed their form.
pub fn incident(number: usize) -> Result<Event> {
    serde_json::from_value(json!({
        "id": format!("a{number:06}"), "fingerprint": format!("f{}", number % 7), "kind": "incident", "class": "sqli",
        "owasp": "API8:2023", "severity": "high", "confidence": 0.9, "workload": "shop|\\=\t\"", "endpoint": null,
        "endpoint_name": "GET /users/{userId}", "actor": "10.0.0.7", "opened": "2026-01-02T03:04:05Z",
        "updated": "2026-01-02T03:04:06Z", "count": 1, "state": "open", "evidence_quality": "complete",
        "reasons": [{"group": "signature", "detector": "signature", "text": "a tautology | in = a value", "observed": "1",
                     "expected": null, "n": 1, "window": null}],
        "exchanges": ["1-1"], "owner": "payments",
    }))
}

/// A finding.
///
/// # Errors
/// Findings have changed their form.
pub fn finding() -> Result<Event> {
    serde_json::from_value(json!({
        "id": "g1", "rule": "unauthenticated_sensitive_response", "title": "t", "advice": "a", "owasp": "API2:2023",
        "severity": "critical", "confidence": 1.0, "workload": "shop", "endpoint": null,
        "endpoint_name": "GET /users/{userId}", "first_seen": "2026-01-02T03:04:05Z",
        "last_seen": "2026-01-02T03:04:05Z", "count": 1, "reasons": [], "owner": null,
    }))
}

/// The number of an incident by its id.
pub fn number(id: &str) -> Option<usize> {
    id.strip_prefix('a')?.parse().ok()
}
