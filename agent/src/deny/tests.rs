//! One incident in every form.

use super::*;
use crate::verdict::{AlertKind, AlertState, EvidenceQuality, Severity};

fn alert(actor: &str, endpoint: &str) -> Alert {
    Alert {
        id: "00ab-1\"\n; drop".into(),
        fingerprint: "00ab".into(),
        kind: AlertKind::Incident,
        class: "sqli".into(),
        owasp: None,
        severity: Severity::High,
        confidence: 1.0,
        workload: "shop".into(),
        endpoint: None,
        endpoint_name: Some(endpoint.into()),
        actor: actor.into(),
        opened: String::new(),
        updated: String::new(),
        count: 1,
        state: AlertState::Open,
        reasons: Vec::new(),
        evidence_quality: EvidenceQuality::Complete,
        exchanges: Vec::new(),
        owner: None,
        suppressed: 0,
    }
}

fn denial(actor: &str) -> Result<Denial, String> {
    let now = Timestamp::from_secs_f64(1_700_000_000.0);
    Denial::of(
        &alert(actor, "GET /users/{userId}/a.b'c"),
        Vec::new(),
        Duration::from_secs(3600),
        now,
    )
}

#[test]
fn each_form_denies_the_address_until_its_end() {
    let denial = denial("203.0.113.9").unwrap();
    for (form, part) in [
        (
            Form::Nftables,
            "add element inet apiarist denied4 { 203.0.113.9 timeout 3600s",
        ),
        (
            Form::Envoy,
            "remote_ip: { address_prefix: \"203.0.113.9\", prefix_len: 32 }",
        ),
        (Form::Nginx, "    203.0.113.9 1;"),
        (Form::Networkpolicy, "except: [\"203.0.113.9/32\"]"),
    ] {
        let text = denial.write(form);
        assert!(text.contains(part), "{text}");
        assert!(text.contains("2023-11-14T23:13:20"), "{text}");
        assert!(
            !text.contains("; drop"),
            "what an incident is called writes no rule: {text}"
        );
    }
    assert!(
        denial
            .write(Form::Envoy)
            .contains(r"regex: '/users/[^/]+/a\.b\x27c'")
    );
}

#[test]
fn forms_of_yaml_are_yaml() {
    for form in [Form::Envoy, Form::Networkpolicy] {
        let text = denial("2001:db8::1").unwrap().write(form);
        let value: serde_json::Value = serde_norway::from_str(&text).unwrap();
        assert!(value.is_object(), "{text}");
    }
}

#[test]
fn an_actor_that_is_no_address_is_refused() {
    let error = denial("credential:00ff").unwrap_err();
    assert!(error.contains("--address"), "{error}");
}
