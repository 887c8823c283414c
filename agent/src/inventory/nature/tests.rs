//! Natures of endpoints, through the row that the query commands show.

use std::sync::Arc;

use super::*;
use crate::{
    clock::Timestamp,
    inventory::{
        Inventory, Limits,
        fixture::{Call, call},
    },
    workload::{Workload, WorkloadKind},
};

/// Natures of the only endpoint of these calls, with their evidence.
fn natures_of(calls: impl IntoIterator<Item = Call>) -> Vec<Nature> {
    let shop = Arc::new(Workload::named(WorkloadKind::Process, "shop"));
    let mut inventory = Inventory::new(Limits::default());
    for call in calls {
        inventory.observe(&call.exchange(), &shop, None);
    }
    inventory.settle();
    let mut views = inventory.endpoint_views(Timestamp(0));
    assert_eq!(views.len(), 1, "{views:?}");
    views.remove(0).nature
}

#[track_caller]
fn assert_kinds(calls: impl IntoIterator<Item = Call>, expected: &[NatureKind]) {
    let found = natures_of(calls);
    let kinds: Vec<_> = found.iter().map(|nature| nature.kind).collect();
    assert_eq!(kinds, expected, "{found:?}");
    assert!(found.iter().all(|nature| !nature.evidence.is_empty()));
}

fn post(target: &str, body: &str) -> Call {
    call("POST", target).body("application/json", body)
}

#[test]
fn names_in_the_path_are_enough_when_they_mean_one_thing() {
    use NatureKind::*;
    for (method, target, kind) in [
        ("POST", "/v1/login", Login),
        ("POST", "/sign-up", Registration),
        ("POST", "/users/forgot-password", PasswordReset),
        ("POST", "/payments/42/refund", Payment),
        ("GET", "/admin/orders", Administration),
        ("GET", "/users/search", Search),
        ("PUT", "/avatars/upload", Upload),
        ("GET", "/orders/export", Export),
        ("POST", "/webhooks/stripe", Webhook),
        ("GET", "/healthz", Health),
        ("GET", "/debug/pprof/heap", Debug),
        ("GET", "/openapi.json", Documentation),
    ] {
        let found = natures_of([call(method, target)]);
        assert!(
            found.iter().any(|nature| nature.kind == kind),
            "{target} {found:?}"
        );
    }
}

#[test]
fn what_messages_have_tells_too() {
    let grant = post("/v2/session", r#"{"username":"a","password":"hunter2"}"#)
        .answer(r#"{"access_token":"x","expires_in":3600}"#);
    assert_kinds([grant], &[NatureKind::Login]);
    let body =
        "--b\r\nContent-Disposition: form-data; name=\"scan\"; filename=\"p.pdf\"\r\n\r\n%PDF\r\n--b--\r\n";
    let form = call("POST", "/claims/7").body("multipart/form-data; boundary=b", body);
    assert_kinds([form], &[NatureKind::Upload]);
    let pay = |number: &str| post("/things", &format!(r#"{{"n":"{number}","currency":"EUR"}}"#));
    assert_kinds(
        [pay("4539148803436467"), pay("5425233430109903")],
        &[NatureKind::Payment],
    );
}

#[test]
fn persons_are_told_by_what_is_carried() {
    let calls = (0..24).map(|id| {
        let answer = format!(r#"{{"id":{id},"email":"u{id}@example.test","phone":"+442079460{id:03}"}}"#);
        call("GET", &format!("/customers/{id}")).answer(&answer)
    });
    let found = natures_of(calls);
    assert_eq!(found[0].kind, NatureKind::PersonalData, "{found:?}");
    assert_eq!(found[0].evidence[0], "path has customers");
    assert!(
        found[0].evidence.contains(&"carries email, phone".to_owned()),
        "{found:?}"
    );
}

#[test]
fn most_endpoints_have_none() {
    for target in [
        "/",
        "/products/42",
        "/orders/7/lines",
        "/metricsystem",
        "/v1/status/42",
        "/articles",
    ] {
        assert_kinds([call("GET", target)], &[]);
    }
}
