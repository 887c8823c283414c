//! Tests of the filing rule, through the public seam.

use std::{net::IpAddr, path::Path};

use super::*;
use crate::{
    event::Address,
    exchange::Completeness,
    inventory::{
        EndpointState, Exposure,
        fixture::{Call, call},
    },
    workload::{Directory, WorkloadKind},
};

fn shop() -> Arc<Workload> {
    Arc::new(Workload::named(WorkloadKind::Process, "shop"))
}

fn client(text: &str) -> Address {
    Address::Ip(text.parse().expect("address"), 50_000)
}

fn inventory(calls: &[Call]) -> Inventory {
    inventory_within(Limits::default(), calls)
}

fn inventory_within(limits: Limits, calls: &[Call]) -> Inventory {
    let mut inventory = Inventory::new(limits);
    for call in calls {
        inventory.observe(&call.clone().exchange(), &shop(), None);
    }
    inventory
}

fn views(inventory: &Inventory) -> Vec<EndpointView> {
    inventory.endpoint_views(Timestamp::from_secs_f64(1_700_100_000.0))
}

/// Method, template and hits of each endpoint.
fn listing(inventory: &Inventory) -> Vec<(String, String, u64)> {
    views(inventory)
        .into_iter()
        .map(|view| (view.method, view.template, view.hits))
        .collect()
}

fn row(method: &str, template: &str, hits: u64) -> (String, String, u64) {
    (method.into(), template.into(), hits)
}

#[test]
fn exchanges_are_filed_by_method_and_template() {
    let mut inventory = Inventory::new(Limits::default());
    let first = inventory.observe(&call("GET", "/users/1?x").exchange(), &shop(), None);
    assert!(first.is_new);
    assert_eq!(first.template.as_deref(), Some("/users/{userId}"));
    let second = inventory.observe(&call("GET", "//users/2").exchange(), &shop(), None);
    assert_eq!((second.endpoint, second.is_new), (first.endpoint, false));
    let repeated = inventory.observe(&call("GET", "/users/1?y").exchange(), &shop(), None);
    assert_eq!(repeated.endpoint, first.endpoint);
    inventory.observe(&call("PUT", "/users/1").exchange(), &shop(), None);
    assert_eq!(
        listing(&inventory),
        [row("GET", "/users/{userId}", 3), row("PUT", "/users/{userId}", 1)]
    );
    let other = Arc::new(Workload::named(WorkloadKind::Process, "other"));
    let elsewhere = inventory.observe(&call("GET", "/users/1").exchange(), &other, None);
    assert_ne!(elsewhere.endpoint, first.endpoint);
    let id = first.endpoint.expect("endpoint");
    assert_eq!(
        inventory.endpoint(id).map(|endpoint| endpoint.traffic.hits),
        Some(3)
    );
    assert!(inventory.endpoint_view(id, Timestamp(0)).is_some());
}

#[test]
fn a_scan_creates_nothing() {
    let mut inventory = inventory(&[call("GET", "/users/1")]);
    for number in 0..10_000 {
        let status = [404, 405, 400, 501][number % 4];
        let exchange = call("GET", &format!("/word{number}x/admin"))
            .status(status)
            .exchange();
        let observation = inventory.observe(&exchange, &shop(), None);
        assert_eq!((observation.endpoint, observation.is_new), (None, false));
    }
    assert_eq!(listing(&inventory), [row("GET", "/users/{userId}", 1)]);
    assert_eq!(inventory.workload_views()[0].unrouted, 10_000);
    let stats = inventory.stats();
    assert_eq!(
        (stats.unrouted, stats.candidates_forgotten),
        (10_000, 10_000 - 1024)
    );
}

#[test]
fn refusals_before_and_after_acceptance_count_the_same() {
    let calls = [
        call("GET", "/users/1").status(404).second(1),
        call("GET", "/users/2").second(2),
        call("GET", "/users/3").status(404).second(3),
        call("GET", "/users/4").unanswered().second(4),
        call("GET", "/nothing").status(404).second(5),
    ];
    let inventory = inventory(&calls);
    let view = views(&inventory).remove(0);
    assert_eq!(view.hits, 4);
    assert_eq!(
        view.status.into_iter().collect::<Vec<_>>(),
        [("2xx".into(), 1), ("4xx".into(), 2)]
    );
    assert_eq!(view.completeness.no_response, 1);
    assert_eq!(inventory.stats().unrouted, 1);
}

#[test]
fn order_does_not_matter() {
    let calls: Vec<Call> = (0..60)
        .map(|number: u64| {
            let target =
                ["/users/1", "/users/2/orders/9", "/search", "/soap", "/v1/x.Y/Z"][number as usize % 5];
            let statuses = [200, 404, 503, 201];
            let call = call(["GET", "POST"][number as usize % 2], target)
                .second(number * 7 % 60)
                .latency_ms(number % 13)
                .status(statuses[number as usize % 4])
                .from(client(
                    ["10.0.0.7", "127.0.0.1", "203.0.113.9"][number as usize % 3],
                ));
            if number % 5 == 3 {
                call.field("soapaction", "\"op\"")
            } else {
                call
            }
        })
        .collect();
    let forward = inventory(&calls);
    let expected = (views(&forward), forward.workload_views());
    for step in [7, 11, 59] {
        let shuffled: Vec<Call> = (0..calls.len())
            .map(|at| calls[at * step % calls.len()].clone())
            .collect();
        let other = inventory(&shuffled);
        assert_eq!((views(&other), other.workload_views()), expected);
        assert_eq!(other.stats(), forward.stats());
    }
}

#[test]
fn what_cannot_be_filed_is_counted() {
    let mut inventory = inventory(&[
        call("GE T", "/a"),
        call("", "/a"),
        call("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGH", "/a"),
        call("GET", "/%zz"),
        call("CONNECT", "api.test:443"),
        call("GET", &"/a".repeat(40)),
    ]);
    let mut lost = call("GET", "/a").exchange();
    lost.request = None;
    inventory.observe(&lost, &shop(), None);
    assert!(views(&inventory).is_empty());
    let stats = inventory.stats();
    assert_eq!(
        (
            stats.exchanges,
            stats.malformed_method,
            stats.undecodable_path,
            stats.oversized_path
        ),
        (7, 3, 2, 1)
    );
    assert_eq!(stats.without_request, 1);
}

#[test]
fn a_lossy_exchange_with_a_status_creates_an_endpoint() {
    let lossy = inventory(&[call("GET", "/a").completeness(Completeness::Lost)]);
    assert_eq!(listing(&lossy), [row("GET", "/a", 1)]);
    assert!(views(&inventory(&[call("GET", "/a").unanswered()])).is_empty());
}

#[test]
fn templates_of_a_workload_are_bounded() {
    let limits = Limits {
        templates: 3,
        ..Limits::default()
    };
    let calls: Vec<Call> = ["/a", "/b", "/c", "/d", "/e", "/a", "/d"]
        .map(|path| call("GET", path))
        .into();
    let inventory = inventory_within(limits, &calls);
    assert_eq!(
        listing(&inventory),
        [
            row("GET", "/a", 2),
            row("GET", "/b", 1),
            row("GET", "/c", 1),
            row("GET", "/{*overflow}", 3)
        ]
    );
}

#[test]
fn fields_of_all_endpoints_together_are_bounded() {
    let limits = Limits {
        fields: 4,
        ..Limits::default()
    };
    let calls = ["/a", "/b"].map(|path| call("GET", path).answer(r#"{"id":1,"name":"x"}"#));
    let inventory = inventory_within(limits, &calls);
    let known = |row: &EndpointView| inventory.endpoint(row.id).unwrap().schemas.len();
    let fields: Vec<usize> = inventory.endpoint_views(Timestamp(0)).iter().map(known).collect();
    // The answer itself is one.
    assert_eq!(fields, [3, 1]);
    assert_eq!(inventory.stats().field_overflow, 2);
}

#[test]
fn endpoints_and_workloads_are_bounded() {
    let limits = Limits {
        endpoints: 2,
        workloads: 1,
        ..Limits::default()
    };
    let mut inventory = inventory_within(limits, &["/a", "/b", "/c"].map(|path| call("GET", path)));
    assert_eq!(listing(&inventory).len(), 2);
    assert_eq!(inventory.stats().endpoint_overflow, 1);
    let other = Arc::new(Workload::named(WorkloadKind::Process, "other"));
    assert_eq!(
        inventory.observe(&call("GET", "/a").exchange(), &other, None),
        Observation::default()
    );
    assert_eq!(inventory.stats().workload_overflow, 1);
}

#[test]
fn hosts_and_callers_are_bounded() {
    let calls: Vec<Call> = (0..100_u8)
        .map(|number| {
            call("GET", "/a")
                .field("host", &format!("h{number}.test"))
                .from(Address::Ip(IpAddr::from([10, 0, 1, number]), 1))
        })
        .collect();
    let inventory = inventory(&calls);
    let view = views(&inventory).remove(0);
    assert_eq!((view.hosts.len(), view.callers.len(), view.hits), (16, 64, 100));
    assert_eq!(inventory.stats().host_overflow, 84);
    assert_eq!(inventory.stats().caller_overflow, 2 * 36);
}

#[test]
fn calls_to_elsewhere_are_no_endpoints() {
    let away = call("GET", "/a")
        .field("host", "pay.test")
        .to(client("203.0.113.9"));
    let inventory = inventory(&[away.clone(), away, call("GET", "/a").to(client("127.0.0.1"))]);
    assert!(views(&inventory).is_empty());
    let workload = inventory.workload_views().remove(0);
    assert_eq!((workload.egress, workload.hits), (vec!["pay.test".to_owned()], 0));
    assert_eq!((inventory.stats().egress, inventory.stats().local_client), (2, 1));
}

#[test]
fn callers_are_named_by_workload_or_address() {
    let mut directory = Directory::new(Path::new("/nonexistent"));
    let mut inventory = inventory(&[
        call("GET", "/a"),
        call("GET", "/a").from(Address::Unix(String::new())),
    ]);
    let caller = Arc::new(Workload::named(WorkloadKind::Process, "curl"));
    inventory.observe(&call("GET", "/a").exchange(), &shop(), Some(&caller));
    let address = directory.resolve_address(IpAddr::from([192, 0, 2, 1]));
    inventory.observe(&call("GET", "/a").exchange(), &shop(), Some(&address));
    assert_eq!(
        views(&inventory).remove(0).callers,
        ["10.0.0.7", "192.0.2.1", "curl", "unix"]
    );
}

#[test]
fn operations_of_other_protocols() {
    let grpc = |method| call("POST", method).field("content-type", "application/grpc");
    let inventory = inventory(&[
        grpc("/shop.Cart/Add"),
        grpc("/shop.Cart/Gone").answer_field("grpc-status", "12"),
        call("POST", "/soap").field("soapaction", "\"A\""),
        call("POST", "/soap").field("soapaction", "\"B\""),
        call("POST", "/soap"),
    ]);
    let rows: Vec<_> = views(&inventory)
        .into_iter()
        .map(|view| (view.template, view.kind, view.operation))
        .collect();
    assert_eq!(
        rows,
        [
            (
                "/shop.Cart/Add".into(),
                EndpointKind::Grpc,
                Some("shop.Cart/Add".into())
            ),
            ("/soap".into(), EndpointKind::Rest, None),
            ("/soap".into(), EndpointKind::Soap, Some("A".into())),
            ("/soap".into(), EndpointKind::Soap, Some("B".into())),
        ]
    );
}

#[test]
fn records_carry_everything() {
    let calls = [
        call("GET", "/users/1").credential("bearer"),
        call("GET", "/users/2").second(700).latency_ms(80),
        call("POST", "/users").status(201).from(client("203.0.113.9")),
        call("GET", "/gone").status(404),
    ];
    let mut before = inventory(&calls);
    let workloads = serde_json::to_string(&before.take_dirty_workloads()).expect("json");
    let endpoints = serde_json::to_string(&before.take_dirty()).expect("json");
    assert!(before.take_dirty().is_empty() && before.take_dirty_workloads().is_empty());

    let workloads: Vec<WorkloadRecord> = serde_json::from_str(&workloads).expect("records");
    let endpoints: Vec<EndpointRecord> = serde_json::from_str(&endpoints).expect("records");
    let mut after = Inventory::new(Limits::default());
    after.restore(workloads.clone(), endpoints.clone());
    assert_eq!(views(&after), views(&before));
    assert_eq!(after.workload_views(), before.workload_views());
    assert!(after.take_dirty().is_empty());

    let observation = after.observe(&call("GET", "/users/3").exchange(), &shop(), None);
    assert!(!observation.is_new);
    assert_eq!(after.take_dirty().len(), 1);
    assert_eq!(after.take_dirty_workloads().len(), 1);

    let mut newer = endpoints[0].clone();
    newer.version += 1;
    after.restore(workloads, [newer, endpoints[0].clone()]);
    assert_eq!(after.stats().records_skipped, 3);
}

#[test]
fn rows_keep_the_contract() {
    let inventory = inventory(&[
        call("GET", "/users/1").latency_ms(5).credential("bearer_jwt"),
        call("GET", "/users/2").second(700).latency_ms(5),
        call("GET", "/users/2").second(701).latency_ms(5).status(500),
    ]);
    let view = views(&inventory).remove(0);
    assert_eq!(
        (view.state, view.exposure),
        (EndpointState::Active, Exposure::Cluster)
    );
    let json = serde_json::to_value(&view).expect("json");
    for (pointer, value) in [
        ("/workload", "shop"),
        ("/kind", "rest"),
        ("/template", "/users/{userId}"),
        ("/first_seen", "2023-11-14T22:13:20.000Z"),
        ("/state", "active"),
        ("/exposure", "cluster"),
        ("/auth/verdict", "mixed"),
        ("/auth/schemes/0", "bearer_jwt"),
        ("/spec", "unknown"),
        ("/callers/0", "10.0.0.7"),
        ("/parameters/0/name", "userId"),
    ] {
        assert_eq!(
            json.pointer(pointer).and_then(|found| found.as_str()),
            Some(value),
            "{pointer}"
        );
    }
    for null in ["operation", "owner", "risk"] {
        assert!(json[null].is_null(), "{null}");
    }
    assert_eq!(json["auth"]["rates"]["bearer_jwt"], 0.5);
    assert_eq!(json["status"]["2xx"], 2);
    let p50 = json["latency_ms"]["p50"].as_f64().expect("number");
    assert!((p50 - 5.0).abs() <= 0.1, "{p50}");
    assert_eq!(json["sensitive"], serde_json::json!([]));
}
