//! What lasts longer: poisoning, restarts, and a quiet week.

use super::kit::{USERS, World, ask, home};
use crate::{
    analysis::{Analysis, Kept, Stage},
    verdict::Verdict,
};

/// Somebody with one address sends what he would like to be usual, for one hour of learning.
#[test]
fn one_address_and_one_hour_make_nothing_usual() {
    let mut world = World::young();
    world.pass(2 * 3600);
    let evil = [203, 0, 113, 5];
    let attack = |world: &mut World, at: u64| {
        let change = ask("PATCH", "/v1/users/{userId}", "/v1/users/104")
            .token(6_666)
            .from(evil);
        let body = "{\"name\":\"name4\",\"role\":\"admin\"}";
        let answer = "{\"id\":104,\"name\":\"name4\",\"role\":\"admin\"}";
        let set = world.look(&change.body(body).answer(answer));
        let profile = ask("GET", "/v1/users/{userId}", "/v1/users/104");
        let profile = profile.token(6_666).claim(777).from(evil);
        let foreign = world.look(&profile.answer("{\"id\":104,\"name\":\"name4\",\"role\":\"customer\"}"));
        let order = 5_000 + at % 120;
        let one = ask("GET", "/v1/orders/{orderId}", format!("/v1/orders/{order}"));
        let walked = world.look(
            &one.token(6_666)
                .from(evil)
                .answer(format!("{{\"id\":{order},\"total\":5}}")),
        );
        let big = ask("GET", "/v1/products", "/v1/products?limit=100000&sort=price").token(6_666);
        let page = world.look(&big.from(evil).length(40_000_000));
        (set, walked, page, foreign)
    };
    for at in 0..1_000 {
        attack(&mut world, at);
        world.pass(3);
    }
    world.pass(26 * 3600);
    world.special.clear();
    let verdicts: Vec<_> = (0..60).map(|at| attack(&mut world, at)).collect();
    let incident = |verdict: Verdict| verdict == Verdict::Incident;
    assert!(
        incident(verdicts[0].0),
        "the property is still not theirs: {verdicts:?}"
    );
    assert!(
        verdicts.iter().any(|(_, walked, ..)| incident(*walked)),
        "the walk is still one"
    );
    assert!(incident(verdicts[0].2), "the page is still too large");
    assert!(incident(verdicts[0].3), "the profile is still not theirs");
}

#[test]
fn baselines_survive_a_restart() {
    let mut world = World::learned();
    let records = world.analysis.take_baselines(usize::MAX);
    assert!(records.iter().any(|record| record.stage() == Some(Stage::Active)));
    let active = world.analysis.baseline_stats().stages[2];
    world.analysis = Analysis::default();
    world.analysis.restore(Kept {
        baselines: records,
        ..Kept::default()
    });
    assert_eq!(world.analysis.baseline_stats().stages[2], active);
    let change = ask("PATCH", "/v1/users/{userId}", "/v1/users/104").by(4);
    let set = change
        .body("{\"name\":\"name4\",\"role\":\"admin\"}")
        .answer("{\"id\":104,\"name\":\"name4\",\"role\":\"admin\"}");
    assert_eq!(world.then(60, &set), Verdict::Incident);
}

/// One caller sends a new field: odd, unless the shop was just deployed.
#[test]
fn new_fields_after_a_deploy_are_no_oddities() {
    for (version, expected) in [("1", true), ("2", false)] {
        let mut world = World::young();
        world.deploy("1");
        world.pass(26 * 3600);
        world.deploy(version);
        let profile = ask("GET", "/v1/users/{userId}", "/v1/users/103").by(3);
        world.then(
            60,
            &profile.answer("{\"id\":103,\"name\":\"name3\",\"role\":\"customer\"}"),
        );
        let change = ask("PATCH", "/v1/users/{userId}", "/v1/users/103").by(3);
        let body = "{\"name\":\"name3\",\"city\":\"c1\",\"nickname\":\"nick\"}";
        let verdict = world.then(
            60,
            &change
                .body(body)
                .answer("{\"id\":103,\"name\":\"name3\",\"role\":\"customer\"}"),
        );
        assert!(verdict != Verdict::Incident);
        let told = world.analysis.anomalies().iter().any(|anomaly| {
            let mut reasons = anomaly.reasons.iter();
            reasons.any(|reason| reason.text.starts_with("a field that was never sent"))
        });
        assert_eq!(told, expected, "after version {version}");
        assert_eq!(world.analysis.alerts().len(), 0);
    }
}

#[test]
fn learning_ends_when_the_operator_says_so() {
    let mut world = World::young();
    world.analysis.set_learning_only(true);
    world.pass(6 * 3600);
    let bad = ask("GET", "/v1/users/{userId}", "/v1/users/105").from(home(5));
    assert_eq!(world.then(10, &bad), Verdict::None);
    assert!(world.incidents().is_empty() && world.anomalies().is_empty());
    world.analysis.set_learning_only(false);
    let change = ask("PATCH", "/v1/users/{userId}", "/v1/users/104").by(4);
    let set = change
        .body("{\"name\":\"name4\",\"role\":\"admin\"}")
        .answer("{\"id\":104,\"name\":\"name4\",\"role\":\"admin\"}");
    assert_eq!(world.then(60, &set), Verdict::Incident);
}

/// Days of 200 endpoints after a day and two hours of learning: false incidents, anomalies and exchanges.
fn quiet(days: u64) -> (usize, usize, u64) {
    const ENDPOINTS: u64 = 200;
    let paths: Vec<&'static str> = (0..ENDPOINTS)
        .map(|at| &*Box::leak(format!("/v2/things{at}").into_boxed_str()))
        .collect();
    let mut world = World::young();
    let mut exchanges = 0;
    let end = 26 * 3600 + days * 86_400;
    while world.now < end {
        for at in 0..ENDPOINTS {
            let path = paths[at as usize];
            let user = world.random(USERS);
            let (id, wait) = (world.random(50), world.random(20));
            // Latencies have a long tail.
            let latency = 5
                + wait
                + if world.random(50) == 0 {
                    20 * (1 + world.random(30))
                } else {
                    0
                };
            let status = if world.random(200) == 0 { 500 } else { 200 };
            let length = 300 + world.random(900);
            let one = ask("GET", path, format!("{path}?page={id}&limit={}", 10 + wait));
            world.look(&one.by(user).latency_ms(latency).status(status).length(length));
            exchanges += 1;
        }
        let pause = 120 + world.random(120);
        world.pass(pause);
    }
    (world.incidents().len(), world.anomalies().len(), exchanges)
}

#[test]
fn a_quiet_day_of_200_endpoints_has_no_incident() {
    let (incidents, anomalies, exchanges) = quiet(1);
    println!("a day: {incidents} incidents, {anomalies} anomalies in {exchanges} exchanges");
    assert_eq!(incidents, 0);
}

#[test]
#[ignore = "takes a minute: a whole week"]
fn a_quiet_week_of_200_endpoints_has_at_most_one_incident() {
    let (incidents, anomalies, exchanges) = quiet(7);
    println!("a week: {incidents} incidents, {anomalies} anomalies in {exchanges} exchanges");
    assert!(incidents <= 1);
}
