use std::{sync::Arc, time::Duration};

use super::*;
use crate::{
    analysis::{Seen, settings::Allow},
    exchange::Exchange,
    inventory::fixture::call,
    workload::{Workload, WorkloadKind},
};

fn signal(class: &'static str, group: Group, confidence: f32) -> Signal {
    Signal {
        detector: "test".into(),
        class: class.into(),
        group,
        confidence,
        place: "query.q".to_owned(),
        reason: None,
    }
}

fn judged(judge: &mut Judge, exchange: &Exchange, signals: &[Signal]) -> Verdict {
    let workload = Arc::new(Workload::named(WorkloadKind::Process, "shop"));
    let seen = Seen {
        id: None,
        exchange,
        workload: &workload,
        caller: None,
        client: None,
        endpoint: Some(EndpointId(7)),
        template: Some("/v1/users/{userId}"),
        is_new: false,
    };
    let look = Look::new(&seen).expect("a request");
    let answer = match look.is_success() {
        true => Answer::Normal,
        false => Answer::Other,
    };
    judge.exchange(&look, signals, answer)
}

#[test]
fn an_alert_opens_goes_on_and_resolves() {
    let mut judge = Judge::default();
    let sqli = [signal("sqli", Group::Signature, 0.98)];
    for second in 0..100 {
        let exchange = call("GET", "/v1/users/1").second(second).exchange();
        assert_eq!(judged(&mut judge, &exchange, &sqli), Verdict::Incident);
    }
    let changes = judge.take_changes();
    let counts: Vec<u64> = changes.alerts.iter().map(|alert| alert.count).collect();
    assert_eq!(counts, [1, 10, 100]);
    let end = call("GET", "/").second(99).exchange().started;
    judge.tick(end.after(Duration::from_secs(60)));
    assert!(judge.take_changes().alerts.is_empty());
    judge.tick(end.after(Duration::from_secs(16 * 60)));
    let resolved = judge.take_changes().alerts;
    assert_eq!(resolved.len(), 1);
    assert_eq!(resolved[0].state, AlertState::Resolved);
    let first = &changes.alerts[0];
    assert_eq!(
        (&first.id, &first.fingerprint),
        (&resolved[0].id, &resolved[0].fingerprint)
    );
    assert_eq!(first.endpoint_name.as_deref(), Some("GET /v1/users/{userId}"));
    assert_eq!(first.reasons.len(), 2, "{:?}", first.reasons);

    // Once more: another occurrence of the same.
    let again = call("GET", "/v1/users/1").second(5_000).exchange();
    judged(&mut judge, &again, &sqli);
    let alerts = judge.list(AlertKind::Incident);
    assert_eq!(alerts.len(), 1);
    assert_eq!(alerts[0].fingerprint, first.fingerprint);
    assert_ne!(alerts[0].id, first.id);
}

#[test]
fn refused_attacks_are_anomalies() {
    let mut judge = Judge::default();
    let exchange = call("GET", "/").status(403).exchange();
    let verdict = judged(&mut judge, &exchange, &[signal("sqli", Group::Signature, 0.98)]);
    assert_eq!(verdict, Verdict::Anomaly);
    assert!(judge.list(AlertKind::Incident).is_empty());
    assert_eq!(judge.list(AlertKind::Anomaly)[0].severity, Severity::Low);
}

#[test]
fn rising_severity_is_told() {
    let mut judge = Judge::default();
    let pair = [
        signal("sqli", Group::Signature, 0.98),
        signal("probe", Group::Recon, 0.6),
    ];
    judged(&mut judge, &call("GET", "/").status(500).exchange(), &pair);
    judged(&mut judge, &call("GET", "/").exchange(), &pair);
    let told: Vec<Severity> = judge
        .take_changes()
        .alerts
        .iter()
        .map(|alert| alert.severity)
        .collect();
    assert_eq!(told, [Severity::Medium, Severity::High]);
}

#[test]
fn what_is_allowed_is_not_alerted_until_it_expires() {
    let exchange = call("GET", "/").exchange();
    let sqli = [signal("sqli", Group::Signature, 0.98)];
    let with = |until: Timestamp, actor: &str| {
        let mut judge = Judge::default();
        judge.configure(Settings {
            allow: vec![Allow {
                class: Some("sqli".into()),
                actor: Some(actor.into()),
                reason: "penetration test".into(),
                owner: "security".into(),
                until,
                ..Allow::default()
            }],
            ..Settings::default()
        });
        let verdict = judged(&mut judge, &exchange, &sqli);
        assert_eq!(
            judge.list(AlertKind::Incident).len(),
            usize::from(verdict == Verdict::Incident)
        );
        verdict
    };
    let later = exchange.started.after(Duration::from_secs(60));
    assert_eq!(with(later, "10.0.0.7"), Verdict::None);
    assert_eq!(with(later, "10.0.0.8"), Verdict::Incident);
    assert_eq!(with(exchange.started, "10.0.0.7"), Verdict::Incident);
}

#[test]
fn the_number_of_alerts_is_bounded() {
    let mut judge = Judge::default();
    let exchange = call("GET", "/").exchange();
    let mut subject = Subject {
        workload: 1,
        workload_name: "shop",
        owner: None,
        endpoint: None,
        endpoint_name: None,
        actor_group: 0,
        actor: "x".into(),
        at: exchange.started,
    };
    for actor in 0..10_000 {
        subject.actor_group = actor;
        let raised = Raised {
            kind: AlertKind::Incident,
            class: "sqli".into(),
            group: Group::Signature,
            severity: Severity::High,
            confidence: 0.9,
        };
        judge.raise(&subject, raised, &[], None, None);
    }
    assert!(judge.list(AlertKind::Incident).len() <= MAX_CASES + 64);
    assert!(judge.counters.forgotten > 7_000);
    let told = judge.take_changes().alerts;
    assert_eq!(told.len(), Settings::default().alerts_per_rule as usize);
}
