//! Open Cybersecurity Schema Framework (schema.ocsf.io, 1.6.0).
//!
//! Incidents and anomalies are Detection Findings (class 2004), findings are Application Security Posture Findings
//! (class 2007). What the schema has no attribute for is in `unmapped`.

use serde_json::{Value, json};

use super::{About, Event, PRODUCT, VERSION, about, milliseconds};
use crate::verdict::{AlertState, Severity};

/// Version of the schema.
const SCHEMA: &str = "1.6.0";

/// Category "Findings".
const FINDINGS: u32 = 2;

pub(super) fn record(event: &Event) -> Value {
    let about = about(event);
    let (class, class_name) = match event {
        Event::Alert(_) => (2004, "Detection Finding"),
        Event::Finding(_) => (2007, "Application Security Posture Finding"),
    };
    let (activity, activity_name, status, status_name) = match about.state {
        AlertState::Open => (1, "Create", 1, "New"),
        AlertState::Updated => (2, "Update", 2, "In Progress"),
        AlertState::Resolved => (3, "Close", 4, "Resolved"),
    };
    let (severity, severity_name) = severity(about.severity);
    let mut record = json!({
        "class_uid": class,
        "class_name": class_name,
        "category_uid": FINDINGS,
        "category_name": "Findings",
        "activity_id": activity,
        "activity_name": activity_name,
        "type_uid": class * 100 + activity,
        "type_name": format!("{class_name}: {activity_name}"),
        "time": milliseconds(about.time),
        "severity_id": severity,
        "severity": severity_name,
        "status_id": status,
        "status": status_name,
        "count": about.count,
        "message": about.sentence(),
        "metadata": {
            "version": SCHEMA,
            "uid": about.id,
            "product": {"name": PRODUCT, "vendor_name": PRODUCT, "version": VERSION},
            "labels": [about.kind],
        },
        "finding_info": finding_info(&about),
        "resources": [resource(&about)],
        "unmapped": {
            "owasp_api": about.owasp,
            "reasons": about.reasons,
            "evidence_quality": about.quality,
            "confidence": about.confidence,
        },
    });
    if let (Event::Alert(_), Some(object)) = (event, record.as_object_mut()) {
        object.insert("is_alert".into(), Value::from(about.kind == "incident"));
        object.insert(
            "confidence_score".into(),
            Value::from((about.confidence * 100.0).round() as i64),
        );
        object.insert("evidences".into(), json!([evidence(&about)]));
    }
    record
}

fn finding_info(about: &About<'_>) -> Value {
    json!({
        "uid": about.fingerprint,
        "title": about.class.replace('_', " "),
        "desc": about.sentence(),
        "types": [about.class],
        "first_seen_time": milliseconds(about.first),
        "last_seen_time": milliseconds(about.time),
        "analytic": {"name": about.class, "uid": about.class, "type_id": 1, "type": "Rule"},
    })
}

/// The schema's owner is a user account; ours is a team: a label says it.
fn resource(about: &About<'_>) -> Value {
    let labels: Vec<String> = about.owner.iter().map(|owner| format!("owner={owner}")).collect();
    json!({"name": about.workload, "type": "API", "labels": labels})
}

fn evidence(about: &About<'_>) -> Value {
    let mut evidence = json!({"api": {"operation": about.endpoint.unwrap_or("unknown")}});
    let actor = match about.address() {
        Some(address) => ("src_endpoint", json!({"ip": address})),
        None => ("actor", json!({"app_name": about.actor})),
    };
    if let Some(object) = evidence.as_object_mut() {
        object.insert(actor.0.to_owned(), actor.1);
    }
    evidence
}

const fn severity(severity: Severity) -> (u8, &'static str) {
    match severity {
        Severity::Info => (1, "Informational"),
        Severity::Low => (2, "Low"),
        Severity::Medium => (3, "Medium"),
        Severity::High => (4, "High"),
        Severity::Critical => (5, "Critical"),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::fixture, *};

    #[test]
    fn incidents_are_detection_findings_and_findings_are_posture() {
        let incident = record(&fixture::incident());
        assert_eq!(incident["type_uid"], 200_401);
        assert_eq!(incident["evidences"][0]["src_endpoint"]["ip"], "10.0.0.7");
        assert_eq!(incident["finding_info"]["uid"], "f1");
        assert_eq!(incident["time"], 1_767_323_045_000_i64);
        let finding = record(&fixture::finding());
        assert_eq!(finding["type_uid"], 200_701);
        assert!(finding.get("confidence_score").is_none());
    }
}
