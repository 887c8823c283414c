//! Events for collectors, with characters that formats have to escape.

use std::time::Duration;

use apiarist::{
    analysis::{AgentEvent, Analysis},
    clock::Timestamp,
    sink::Event,
};
use serde_json::{Result, Value, json};

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

/// Events of every kind: incidents and anomalies in each state, of each severity and quality of evidence, by an address and by
/// somebody else, with everything and with what must be there only; findings; and what the agent tells of itself.
///
/// # Errors
/// See [`incident`].
pub fn of_every_kind() -> Result<Vec<Event>> {
    let mut events = vec![finding()?];
    for kind in ["incident", "anomaly"] {
        for (member, values) in [
            ("severity", &["info", "low", "medium", "high", "critical"][..]),
            ("state", &["open", "updated", "resolved"]),
            (
                "evidence_quality",
                &["complete", "cut", "joined_late", "inferred_socket"],
            ),
            ("actor", &["10.0.0.7", "address:::1", "credential:1f", "unknown"]),
            ("class", &["sqli", "account_enumeration"]),
        ] {
            for value in values {
                events.push(with(
                    &incident(events.len())?,
                    &[("kind", kind.into()), (member, (*value).into())],
                )?);
            }
        }
        let bare = ["owasp", "endpoint_name", "owner"].map(|name| (name, Value::Null));
        events.push(with(
            &incident(events.len())?,
            &[&[("kind", kind.into()), ("reasons", json!([]))], &bare[..]].concat(),
        )?);
    }
    for severity in ["info", "low", "medium", "high"] {
        events.push(with(
            &finding()?,
            &[("severity", severity.into()), ("owner", "payments".into())],
        )?);
    }
    let mut analysis = Analysis::default();
    for event in [
        AgentEvent::ConfigurationChanged {
            keys: vec!["alerts.sinks".to_owned()],
        },
        AgentEvent::ProbesDetached { programs: 3 },
        AgentEvent::Killed {
            gap: Duration::from_secs(90),
        },
        AgentEvent::Blind {
            lost: 5_000,
            seen: 10_000,
        },
    ] {
        analysis.agent(event, Timestamp(1_767_323_045_000_000_000));
    }
    let alerts = analysis.alerts().into_iter().chain(analysis.anomalies());
    events.extend(alerts.map(|alert| Event::Alert(Box::new(alert))));
    Ok(events)
}

/// The event with other members.
fn with(event: &Event, members: &[(&str, Value)]) -> Result<Event> {
    let mut value = serde_json::to_value(event)?;
    for (name, member) in members {
        if let Some(object) = value.as_object_mut() {
            object.insert((*name).to_owned(), member.clone());
        }
    }
    serde_json::from_value(value)
}

/// The number of an incident by its id.
pub fn number(id: &str) -> Option<usize> {
    id.strip_prefix('a')?.parse().ok()
}
