//! Elastic Common Schema 8 (elastic.co, "ECS Field Reference"). What has no field there is under `apiarist`.

use serde_json::{Map, Value, json};

use super::{Event, PRODUCT, VERSION, about, of_ten};
use crate::verdict::AlertState;

pub(super) fn record(event: &Event) -> Value {
    let about = about(event);
    let mut record = json!({
        "@timestamp": about.time,
        "ecs": {"version": "8.17.0"},
        "message": about.sentence(),
        "event": {
            "id": about.id,
            "kind": if about.kind == "incident" { "alert" } else { "event" },
            "category": [if about.kind == "finding" { "configuration" } else { "intrusion_detection" }],
            "type": [match about.state {
                AlertState::Open => "start",
                AlertState::Updated => "change",
                AlertState::Resolved => "end",
            }],
            "module": PRODUCT,
            "dataset": format!("{PRODUCT}.{}", about.kind),
            "action": about.class,
            "severity": of_ten(about.severity),
            "start": about.first,
        },
        "rule": {"id": about.class, "name": about.class.replace('_', " "), "category": about.kind},
        "service": {"name": about.workload},
        "observer": {"vendor": PRODUCT, "product": PRODUCT, "version": VERSION, "type": "api-security"},
        "tags": [about.kind],
        "apiarist": {
            "fingerprint": about.fingerprint,
            "confidence": about.confidence,
            "count": about.count,
            "owasp": about.owasp,
            "owner": about.owner,
            "evidence_quality": about.quality,
            "reasons": about.reasons,
            "endpoint": about.endpoint,
            "actor": about.actor,
        },
    });
    if let Some(object) = record.as_object_mut() {
        if let Some((method, template)) = about.endpoint.and_then(|endpoint| endpoint.split_once(' ')) {
            object.insert("http".into(), json!({"request": {"method": method}}));
            object.insert("url".into(), json!({"path": template}));
        }
        if let Some(address) = about.address() {
            object.insert("source".into(), json!({"ip": address, "address": address}));
        }
        without_absent(object);
    }
    record
}

/// ECS has no null: what is not known is not there.
fn without_absent(object: &mut Map<String, Value>) {
    object.retain(|_, value| {
        if let Value::Object(inner) = value {
            without_absent(inner);
        }
        !value.is_null()
    });
}

#[cfg(test)]
mod tests {
    use super::{super::fixture, *};

    #[test]
    fn fields_are_where_the_schema_has_them() {
        let incident = record(&fixture::incident());
        assert_eq!(incident["event"]["kind"], "alert");
        assert_eq!(incident["source"]["ip"], "10.0.0.7");
        assert_eq!(incident["http"]["request"]["method"], "GET");
        assert_eq!(incident["url"]["path"], "/users/{userId}");
        let finding = record(&fixture::finding());
        assert_eq!(finding["event"]["category"][0], "configuration");
        assert!(finding["apiarist"].get("owner").is_none());
    }
}
