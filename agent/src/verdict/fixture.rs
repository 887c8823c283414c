//! Verdicts for tests.

use super::{Alert, AlertKind, AlertState, EvidenceQuality, Finding, Group, Reason, Severity};

/// An incident with two reasons.
pub(crate) fn alert(id: &str) -> Alert {
    Alert {
        id: id.into(),
        fingerprint: format!("fingerprint of {id}"),
        kind: AlertKind::Incident,
        class: "sqli".into(),
        owasp: Some("API8:2023".into()),
        severity: Severity::High,
        confidence: 0.98,
        workload: "shop".into(),
        endpoint: None,
        endpoint_name: Some("GET /v1/users/{userId}".into()),
        actor: "10.0.0.7".into(),
        opened: "2026-01-31T07:00:00.000Z".into(),
        updated: "2026-01-31T08:00:00.000Z".into(),
        count: 3,
        state: AlertState::Open,
        reasons: vec![reason(Group::Signature), reason(Group::Exposure)],
        evidence_quality: EvidenceQuality::Complete,
        exchanges: vec!["1-1".into()],
        owner: None,
        suppressed: 0,
    }
}

/// A finding about an endpoint.
pub(crate) fn finding(id: &str) -> Finding {
    Finding {
        id: id.into(),
        rule: "plain_http_credentials".into(),
        title: "Credentials travel in clear".into(),
        advice: "Serve it over TLS only".into(),
        owasp: Some("API8:2023".into()),
        severity: Severity::Medium,
        confidence: 1.0,
        workload: "shop".into(),
        endpoint: None,
        endpoint_name: Some("POST /v1/login".into()),
        first_seen: "2026-01-31T07:00:00.000Z".into(),
        last_seen: "2026-01-31T08:00:00.000Z".into(),
        count: 12,
        reasons: vec![reason(Group::Exposure)],
        owner: None,
    }
}

fn reason(group: Group) -> Reason {
    Reason {
        group,
        detector: "test".into(),
        text: "it was seen".into(),
        observed: Some("7".into()),
        expected: Some("0".into()),
        n: Some(100),
        window: Some(60.0),
    }
}
