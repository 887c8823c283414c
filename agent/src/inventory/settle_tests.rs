//! Tests of learned templates, through the public seam.

use std::sync::Arc;

use crate::{
    clock::Timestamp,
    inventory::{
        EndpointRecord, Inventory, Limits, WorkloadRecord,
        fixture::{Call, call},
        template::{Pins, Routes, SegmentType, TemplateSource},
    },
    workload::{Workload, WorkloadKind},
};

fn shop() -> Arc<Workload> {
    Arc::new(Workload::named(WorkloadKind::Process, "shop"))
}

fn settled(calls: &[Call]) -> Inventory {
    let mut inventory = Inventory::new(Limits::default());
    for call in calls {
        inventory.observe(&call.clone().exchange(), &shop(), None);
    }
    inventory.settle();
    inventory
}

/// Method, template and hits of each endpoint.
fn listing(inventory: &Inventory) -> Vec<String> {
    let views = inventory.endpoint_views(Timestamp::from_secs_f64(1_700_100_000.0));
    let line =
        |view: crate::inventory::EndpointView| format!("{} {} {}", view.method, view.template, view.hits);
    views.into_iter().map(line).collect()
}

const USER: &str = r#"{"id":1,"login":"a","name":"A","email":"a@b.test"}"#;

fn users() -> Vec<Call> {
    let mut calls: Vec<Call> = ["ann", "bob42", "carla", "dmitri"]
        .iter()
        .map(|name| call("GET", &format!("/users/{name}")).answer(USER))
        .collect();
    calls.push(call("GET", "/users/ann/orders").answer("[]"));
    calls.push(call("DELETE", "/users/bob42").status(204));
    calls.push(call("GET", "/users/search").answer(r#"{"total":3,"items":[],"next":null}"#));
    calls.push(call("GET", "/users/carla/orders/7").answer("{}"));
    calls.push(call("GET", "/users/nobody").status(404));
    calls
}

#[test]
fn names_become_parameters_and_routes_stay() {
    let expected = [
        "GET /users/search 1",
        "DELETE /users/{userName} 1",
        "GET /users/{userName} 5",
        "GET /users/{userName}/orders 1",
        "GET /users/{userName}/orders/{orderId} 1",
    ];
    assert_eq!(listing(&settled(&users())), expected);
}

#[test]
fn order_does_not_matter() {
    let calls = users();
    let expected = listing(&settled(&calls));
    for step in [2, 4, 5, 7, 8] {
        let shuffled: Vec<Call> = (0..calls.len())
            .map(|at| calls[at * step % calls.len()].clone())
            .collect();
        assert_eq!(listing(&settled(&shuffled)), expected);
    }
    // Settling in between changes no template.
    let mut inventory = Inventory::new(Limits::default());
    for call in &calls {
        inventory.observe(&call.clone().exchange(), &shop(), None);
        inventory.settle();
    }
    assert_eq!(listing(&inventory), expected);
}

#[test]
fn slugs_of_two_levels() {
    let mut calls = Vec::new();
    for repo in ["ann/rails.rb", "ann/shop2", "bobsoft/Parser", "carla-x/dot.files"] {
        for part in ["", "/issues", "/contents/README.md"] {
            let answer = if part.is_empty() { USER } else { "{}" };
            calls.push(call("GET", &format!("/repos/{repo}{part}")).answer(answer));
        }
    }
    let listing = listing(&settled(&calls));
    assert_eq!(listing[0], "GET /repos/{repoName}/{repoName2} 4");
    assert!(
        listing.contains(&"GET /repos/{repoName}/{repoName2}/issues 4".to_owned()),
        "{listing:?}"
    );
}

#[test]
fn routes_without_likeness_stay_apart() {
    let calls: Vec<Call> = ["orders", "vilkaar", "baskets", "zen", "emojis"]
        .iter()
        .enumerate()
        .map(|(at, name)| call("GET", &format!("/api/{name}")).answer(&format!(r#"{{"a{at}":1,"b{at}":2}}"#)))
        .collect();
    assert_eq!(listing(&settled(&calls)).len(), 5);
}

#[test]
fn a_scan_changes_no_template() {
    let mut inventory = settled(&users());
    let before = listing(&inventory);
    for number in 0..10_000 {
        let target = format!("/{}{number}/x{number}", ["users/a/b", "admin", "wp"][number % 3]);
        inventory.observe(&call("GET", &target).status(404).exchange(), &shop(), None);
    }
    inventory.settle();
    assert_eq!(listing(&inventory), before);
}

#[test]
fn ids_lead_to_what_became_of_them() {
    let mut inventory = Inventory::new(Limits::default());
    let ids: Vec<_> = users()
        .iter()
        .filter_map(|call| {
            inventory
                .observe(&call.clone().exchange(), &shop(), None)
                .endpoint
        })
        .collect();
    inventory.settle();
    let merged = inventory.endpoint(ids[0]).expect("endpoint");
    assert_eq!((&*merged.template, merged.traffic.hits), ("/users/{userName}", 5));
    assert!(merged.merged_from.contains(&ids[1]) && !merged.merged_from.contains(&merged.id));
    assert_eq!(
        inventory.endpoint(ids[1]).map(|endpoint| endpoint.id),
        Some(merged.id)
    );
    let gone = inventory.take_gone();
    assert!(gone.contains(&ids[0]) && gone.contains(&ids[1]));
    assert!(inventory.take_gone().is_empty());
}

#[test]
fn learning_survives_a_restart() {
    let mut before = settled(&users());
    let workloads = serde_json::to_string(&before.take_dirty_workloads()).expect("json");
    let endpoints = serde_json::to_string(&before.take_dirty()).expect("json");
    let workloads: Vec<WorkloadRecord> = serde_json::from_str(&workloads).expect("records");
    let endpoints: Vec<EndpointRecord> = serde_json::from_str(&endpoints).expect("records");
    let mut after = Inventory::new(Limits::default());
    after.restore(workloads, endpoints);
    assert_eq!(listing(&after), listing(&before));
    let seen = after.observe(&call("GET", "/users/eve").answer(USER).exchange(), &shop(), None);
    assert_eq!(
        (seen.template.as_deref(), seen.is_new),
        (Some("/users/{userName}"), false)
    );
    after.settle();
    assert_eq!(listing(&after).len(), listing(&before).len());
}

#[test]
fn two_stores_become_one() {
    let calls = users();
    let whole = listing(&settled(&calls));
    for middle in 1..calls.len() {
        let (first, second) = calls.split_at(middle);
        let stored = |calls: &[Call]| {
            let mut inventory = Inventory::new(Limits::default());
            let observe = |call: &Call| {
                inventory
                    .observe(&call.clone().exchange(), &shop(), None)
                    .endpoint
            };
            let ids: Vec<_> = calls.iter().filter_map(observe).collect();
            let endpoints = serde_json::to_string(&inventory.take_dirty()).expect("json");
            let workloads = serde_json::to_string(&inventory.take_dirty_workloads()).expect("json");
            (ids, workloads, endpoints)
        };
        let workloads = |text: &str| -> Vec<WorkloadRecord> { serde_json::from_str(text).expect("records") };
        let endpoints = |text: &str| -> Vec<EndpointRecord> { serde_json::from_str(text).expect("records") };
        let (mut ids, one, its) = stored(first);
        let (more, other, others) = stored(second);
        let mut both = Inventory::new(Limits::default());
        both.restore(workloads(&one), endpoints(&its));
        both.merge(workloads(&other), endpoints(&others));
        // What answered with 404 before the endpoint was known is counted by its workload only.
        let without_hits = |lines: &[String]| -> Vec<String> {
            let cut = |line: &String| line.rsplit_once(' ').map(|(name, _)| name.to_owned());
            lines.iter().filter_map(cut).collect()
        };
        assert_eq!(without_hits(&listing(&both)), without_hits(&whole), "{middle}");
        ids.extend(more);
        assert!(ids.iter().all(|id| both.endpoint(*id).is_some()), "{middle}");
        assert_eq!(both.stats().records_skipped, 0);
        // Written anew with everything in it.
        assert!(!both.take_dirty_workloads().is_empty());
    }
}

#[test]
fn a_hundred_thousand_names_stay_within_the_bounds() {
    let mut inventory = Inventory::new(Limits::default());
    for number in 0..100_000 {
        let target = format!("/users/user{number}x");
        inventory.observe(&call("GET", &target).answer(USER).exchange(), &shop(), None);
    }
    inventory.settle();
    assert_eq!(listing(&inventory), ["GET /users/{userName} 100000"]);
    assert!(inventory.stats().path_explosion > 0);

    // Names that nothing shows to be values.
    let mut inventory = Inventory::new(Limits::default());
    for number in 0..20_000 {
        let target = format!("/p{number}x/{number}y/z");
        inventory.observe(&call("GET", &target).exchange(), &shop(), None);
    }
    inventory.settle();
    assert!(listing(&inventory).len() <= 2001);
}

#[test]
fn given_templates_go_first() {
    let pins = || Pins::parse(["/users/carla", "/users/{login}"]).expect("pins");
    let mut inventory = Inventory::new(Limits::default());
    inventory.set_pins(pins());
    for call in users() {
        inventory.observe(&call.exchange(), &shop(), None);
    }
    inventory.settle();
    let listing_before = listing(&inventory);
    assert!(
        listing_before.contains(&"GET /users/{login} 5".to_owned()),
        "{listing_before:?}"
    );
    assert!(listing_before.contains(&"GET /users/carla 1".to_owned()));

    // Given later, what was learned moves.
    let mut inventory = settled(&users());
    inventory.set_pins(Pins::parse(["/users/{login}"]).expect("pins"));
    assert!(listing(&inventory).contains(&"GET /users/{login} 6".to_owned()));
    let found = inventory.locate(&shop().id, "GET", "/users/zoe");
    assert_eq!(found.template.as_deref(), Some("/users/{login}"));
}

#[test]
fn what_was_joined_parts_again_when_evidence_comes() {
    let mut inventory = settled(&users());
    inventory.observe(&call("GET", "/users/vilkaar").exchange(), &shop(), None);
    inventory.settle();
    assert!(!listing(&inventory).iter().any(|line| line.contains("vilkaar")));
    let terms = r#"{"text":"a","valid_from":"b","language":"c","paragraphs":[]}"#;
    for target in ["/users/vilkaar", "/users/vilkaar/42", "/users/vilkaar/43"] {
        inventory.observe(&call("GET", target).answer(terms).exchange(), &shop(), None);
    }
    inventory.settle();
    inventory.observe(
        &call("GET", "/users/vilkaar").answer(terms).exchange(),
        &shop(),
        None,
    );
    let now = listing(&inventory);
    assert!(now.contains(&"GET /users/vilkaar 1".to_owned()), "{now:?}");
    assert!(now.contains(&"GET /users/search 1".to_owned()), "{now:?}");
}

#[test]
fn documents_go_before_the_code_and_both_before_what_is_learned() {
    let table = |paths: &[&str]| {
        let mut routes = Routes::default();
        for path in paths {
            assert!(routes.add(Some("GET"), path, |_| SegmentType::Name));
        }
        routes
    };
    let mut inventory = settled(&users());
    inventory.set_documents(table(&["/users/{login}"]));
    let of_code = table(&["/users/{name}", "/users/{name}/orders"]);
    assert!(inventory.set_harvested(&shop().id, &of_code));
    assert!(!inventory.set_harvested("other", &of_code));
    inventory.observe(&call("GET", "/users/zoe").answer(USER).exchange(), &shop(), None);
    let now = Timestamp::from_secs_f64(1_700_100_000.0);
    let source = |template: &str| {
        let views = inventory.endpoint_views(now);
        let found = views
            .iter()
            .find(|view| view.method == "GET" && view.template == template);
        found.map(|view| (view.source, view.hits))
    };
    assert_eq!(source("/users/{login}"), Some((TemplateSource::Documented, 7)));
    assert_eq!(
        source("/users/{name}/orders"),
        Some((TemplateSource::Harvested, 1))
    );
    let learned = "/users/{userName}/orders/{orderId}";
    assert_eq!(source(learned), Some((TemplateSource::Learned, 1)));
}

#[test]
fn endpoints_do_not_become_one_while_they_are_taken() {
    let words = ["ann", "bob", "carla", "dora", "emil", "fritz", "greta", "hans"];
    let pairs = words
        .iter()
        .flat_map(|a| words.iter().map(move |b| format!("{a}-{b}")));
    let calls: Vec<Call> = pairs
        .map(|name| call("GET", &format!("/users/{name}")).answer(USER))
        .collect();
    let gone = |is_held: bool| {
        let mut inventory = Inventory::new(Limits::default());
        inventory.hold(is_held);
        for call in &calls {
            inventory.observe(&call.clone().exchange(), &shop(), None);
        }
        inventory.take_gone().len()
    };
    assert!(gone(false) > 0);
    assert_eq!(gone(true), 0);
}
