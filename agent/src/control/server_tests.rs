//! The routes as a client sees them, answered by a core with one endpoint.

use std::ops::ControlFlow;

use tokio::sync::broadcast;

use super::*;
use crate::{
    clock::Timestamp,
    control::{ClientError, Followed, Request, bind, client, list::ListParameters},
    inventory::{Inventory, Limits, fixture::call},
    risk::Assessor,
    status::Status,
    verdict::fixture::{alert, finding},
    workload::{Workload, WorkloadKind},
};

fn inventory() -> Inventory {
    let workload = Arc::new(Workload {
        id: "w1".into(),
        ..Workload::named(WorkloadKind::Process, "shop")
    });
    let mut inventory = Inventory::new(Limits::default());
    inventory.observe(&call("GET", "/v1/users").exchange(), &workload, None);
    inventory
}

/// An API on a socket, answered by a core with one endpoint.
async fn with_api(test: impl AsyncFnOnce(&std::path::Path)) {
    let dir = tempfile::tempdir().unwrap();
    let socket = bind(&dir.path().join("api.sock"), "").unwrap();
    let (query, mut requests) = Query::channel();
    let inventory = inventory();
    let mut assessor = Assessor::default();
    assessor.refresh(&inventory, &[], &[], Timestamp(0));
    let further = broadcast::Sender::new(4);
    let core = async {
        while let Some(request) = requests.recv().await {
            match request {
                Request::Endpoints(reply) => reply.send(assessor.endpoints()).unwrap(),
                Request::Endpoint(id, reply) => reply.send(assessor.endpoint(id)).unwrap(),
                Request::Workloads(reply) => reply.send(inventory.workload_views()).unwrap(),
                Request::Specifications(reply) => reply.send(Vec::new()).unwrap(),
                Request::Status(reply) => {
                    let lost = [("ring_full".to_owned(), 3)].into();
                    let status = Status {
                        tier: 1,
                        lost,
                        ..Status::default()
                    };
                    reply.send(status).unwrap();
                }
                Request::Alerts(reply) => reply.send(vec![alert("a1")]).unwrap(),
                Request::Anomalies(reply) => reply.send(vec![alert("odd")]).unwrap(),
                Request::Findings(reply) => reply.send(vec![Arc::new(finding("f1"))]).unwrap(),
                Request::Risks(reply) => reply.send(Vec::new()).unwrap(),
                Request::Follow(reply) => {
                    let followed = Followed {
                        present: vec![alert("a2"), alert("a1")],
                        further: further.subscribe(),
                    };
                    reply.send(followed).unwrap();
                    further.send(Arc::new(alert("a3"))).unwrap();
                }
            }
        }
    };
    tokio::select! {
        served = serve(&socket, query, std::future::pending()) => panic!("stopped: {served:?}"),
        () = core => panic!("the core stopped"),
        () = test(socket.path()) => {}
    }
}

#[tokio::test]
async fn all_routes_answer_json() {
    with_api(async |path| {
        let get = async |route: &str| client::fetch(path, route).await.unwrap();
        let endpoints = get("/v1/endpoints").await;
        assert_eq!(endpoints[0]["template"], "/v1/users");
        let id = endpoints[0]["id"].as_str().unwrap();
        assert_eq!(get(&format!("/v1/endpoints/{id}")).await, endpoints[0]);
        assert_eq!(get("/v1/endpoints?limit=1").await, endpoints);
        assert_eq!(get("/v1/endpoints?offset=1").await, json!([]));
        let lines = client::fetch_text(path, "/v1/endpoints?lines=true")
            .await
            .unwrap();
        assert_eq!(lines, format!("{}\n", endpoints[0]));
        assert_eq!(get("/v1/workloads").await[0]["name"], "shop");
        assert_eq!(get("/v1/status").await["lost"]["ring_full"], 3);
        assert_eq!(get("/v1/openapi.json").await["openapi"], "3.1.0");
        assert_eq!(get("/v1/alerts").await[0]["id"], "a1");
        assert_eq!(get("/v1/anomalies").await[0]["id"], "odd");
        assert_eq!(get("/v1/findings").await[0]["id"], "f1");
        assert_eq!(get("/v1/risks").await, json!([]));
    })
    .await;
}

#[tokio::test]
async fn rows_are_selected_where_they_are() {
    with_api(async |path| {
        let ids = async |parameters: &str| {
            let rows = client::fetch(path, &format!("/v1/endpoints?{parameters}")).await?;
            Ok::<usize, ClientError>(rows.as_array().unwrap().len())
        };
        for (parameters, rows) in [
            ("filter=hits+%3E+0", 1),
            ("filter=hits+%3E+1", 0),
            ("workload=sh*", 1),
            ("workload=w1&method=post,get", 1),
            ("method=post", 0),
            ("path=/v1/&sort=-hits&limit=18446744073709551615&offset=18446744073709551615", 0),
            ("path=/v1/&sort=-hits&limit=18446744073709551615", 1),
            ("path=/v2", 0),
            ("since=2001-01-31T08:00:00Z", 1),
            ("since=2501-01-31T08:00:00Z", 0),
            // What a later version may know is passed over.
            ("colour=red", 1),
        ] {
            assert_eq!(ids(parameters).await.unwrap(), rows, "{parameters}");
        }
        for (parameters, sentence) in [
            ("filter=hits+%3E", "filter is wrong at column 7: expected a value"),
            ("filter=hit", "filter: no row has `hit`: did you mean `hits`?"),
            ("sort=-hit", "sort: no row has `hit`: did you mean `hits`?"),
            ("since=1h", "since is no time: write one such as"),
            ("limit=-1", "limit: "),
            ("limit=99999999999999999999", "limit: "),
            ("lines=perhaps", "lines: "),
        ] {
            let error = ids(parameters).await.unwrap_err();
            assert!(
                matches!(&error, ClientError::Refused { status: 400, reason } if reason.starts_with(sentence)),
                "{parameters}: {error:?}"
            );
        }
        assert_eq!(client::fetch(path, "/v1/findings?filter=severity").await.unwrap()[0]["id"], "f1");
        assert_eq!(client::fetch(path, "/v1/findings?workload=none").await.unwrap(), json!([]));
    })
    .await;
}

#[tokio::test]
async fn who_follows_is_told_what_is_there_and_what_comes() {
    with_api(async |path| {
        let mut seen = Vec::new();
        let followed = client::stream(path, "/v1/alerts?follow=true", |alert| {
            seen.push(alert["id"].as_str().unwrap().to_owned());
            match seen.len() {
                3 => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        });
        followed.await.unwrap();
        assert_eq!(seen, ["a1", "a2", "a3"]);
    })
    .await;
}

#[tokio::test]
async fn what_is_not_there_is_told_as_such() {
    with_api(async |path| {
        for route in ["/v1/endpoints/none", "/v2", "/"] {
            let error = client::fetch(path, route).await.unwrap_err();
            assert!(
                matches!(error, ClientError::Refused { status: 404, .. }),
                "{route}: {error}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn metrics_are_plain_text() {
    with_api(async |path| {
        let text = client::fetch_text(path, "/metrics").await.unwrap();
        assert!(
            text.contains("apiarist_lost_total{reason=\"ring_full\"} 3\n"),
            "{text}"
        );
    })
    .await;
}

#[test]
fn every_route_is_described() {
    let document: serde_json::Value = serde_json::from_str(OPENAPI).unwrap();
    for route in [
        "/v1/endpoints",
        "/v1/endpoints/{id}",
        "/v1/workloads",
        "/v1/status",
        "/v1/alerts",
        "/v1/anomalies",
        "/v1/findings",
        "/v1/risks",
        "/v1/openapi.json",
        "/metrics",
    ] {
        assert!(
            document["paths"][route]["get"]["responses"]["200"].is_object(),
            "{route}"
        );
    }
}

/// The names of a structure's members.
fn members<T: for<'de> Deserialize<'de>>() -> &'static [&'static str] {
    struct Names<'a>(&'a mut &'static [&'static str]);

    impl<'de> serde::Deserializer<'de> for Names<'_> {
        type Error = serde::de::value::Error;

        fn deserialize_any<V: serde::de::Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
            Err(serde::de::Error::custom("only structures have members"))
        }

        fn deserialize_struct<V: serde::de::Visitor<'de>>(
            self,
            _: &'static str,
            members: &'static [&'static str],
            _: V,
        ) -> Result<V::Value, Self::Error> {
            *self.0 = members;
            Err(serde::de::Error::custom("there is nothing to read"))
        }

        serde::forward_to_deserialize_any! {
            bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit
            unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
        }
    }

    let mut names: &[&str] = &[];
    assert!(T::deserialize(Names(&mut names)).is_err());
    names
}

/// The names of the parameters that a document says a route takes in its query.
fn described<'a>(document: &'a serde_json::Value, route: &str) -> Vec<&'a str> {
    let parameters = document["paths"][route]["get"]["parameters"].as_array();
    let resolved = parameters.into_iter().flatten().map(|parameter| {
        match parameter["$ref"].as_str().and_then(|at| at.strip_prefix('#')) {
            Some(at) => document.pointer(at).unwrap(),
            None => parameter,
        }
    });
    let in_query = resolved.filter(|parameter| parameter["in"] == "query");
    in_query
        .map(|parameter| parameter["name"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn every_parameter_is_described_where_it_is_understood() {
    let known = [members::<ListParameters>(), members::<AlertParameters>()].concat();
    assert_eq!(
        known,
        [
            "lines", "offset", "limit", "workload", "method", "path", "since", "sort", "filter", "follow"
        ]
    );
    // No number, no time, no expression, and too long for any text.
    let malformed = "%3F".repeat(5000);
    with_api(async |path| {
        let document = client::fetch(path, "/v1/openapi.json").await.unwrap();
        let routes = document["paths"].as_object().unwrap().keys();
        for route in routes.filter(|route| !route.contains('{')) {
            let described = described(&document, route);
            assert!(
                described.iter().all(|name| known.contains(name)),
                "{route}: {described:?}"
            );
            for name in &known {
                // What is understood is refused when it is malformed; other names are passed over.
                let asked = client::fetch_text(path, &format!("{route}?{name}={malformed}")).await;
                let refused = matches!(asked, Err(ClientError::Refused { status: 400, .. }));
                assert_eq!(refused, described.contains(name), "{route}?{name}: {asked:?}");
                if let Err(error) = asked {
                    let said = error.to_string();
                    assert!(
                        said.contains(&format!("refused: {name}")) && !said.contains('\n'),
                        "{said}"
                    );
                }
            }
        }
    })
    .await;
}
