//! Events for tests of formats and sinks.

use std::borrow::Cow;

use super::super::Event;
use crate::verdict::{Alert, AlertKind, AlertState, EvidenceQuality, Finding, Group, Reason, Severity};

/// An incident with everything in it, and characters that formats have to escape.
pub(in crate::sink) fn incident() -> Event {
    Event::Alert(Box::new(Alert {
        id: "a1".into(),
        fingerprint: "f1".into(),
        kind: AlertKind::Incident,
        class: "sqli".into(),
        owasp: Some("API8:2023".into()),
        severity: Severity::High,
        confidence: 0.97,
        workload: r#"shop|=\^"#.into(),
        endpoint: None,
        endpoint_name: Some("GET /users/{userId}".into()),
        actor: "10.0.0.7".into(),
        opened: "2026-01-02T03:04:00Z".into(),
        updated: "2026-01-02T03:04:05Z".into(),
        count: 3,
        state: AlertState::Open,
        reasons: vec![
            reason("a tautology in a parameter"),
            reason("answered with success"),
        ],
        evidence_quality: EvidenceQuality::Complete,
        exchanges: vec!["7-1".into()],
        owner: Some("payments".into()),
        suppressed: 0,
    }))
}

/// A finding.
pub(in crate::sink) fn finding() -> Event {
    Event::Finding(Box::new(Finding {
        id: "g1".into(),
        rule: "unauthenticated_sensitive_response".into(),
        title: "Personal data without authentication".into(),
        advice: "Ask for a credential.".into(),
        owasp: Some("API2:2023".into()),
        severity: Severity::Critical,
        confidence: 1.0,
        workload: "shop".into(),
        endpoint: None,
        endpoint_name: Some("GET /users/{userId}".into()),
        first_seen: "2026-01-02T03:04:00Z".into(),
        last_seen: "2026-01-02T03:04:05Z".into(),
        count: 1,
        reasons: vec![reason("no credential in 40 of 40 requests")],
        owner: None,
    }))
}

fn reason(text: &str) -> Reason {
    Reason {
        group: Group::Signature,
        detector: Cow::Borrowed("signature"),
        text: text.into(),
        observed: Some("1".into()),
        expected: Some("0".into()),
        n: Some(40),
        window: Some(60.0),
    }
}
