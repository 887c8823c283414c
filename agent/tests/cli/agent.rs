//! Agents of two ages that answer on a socket while a test runs, and what they know.

use std::{
    io::{BufRead as _, Write as _},
    sync::Arc,
};

use apiarist::{
    control::{self, Followed, Query, Request},
    inventory::EndpointView,
    risk::RiskView,
    select::Line,
    status::Status,
    verdict::{Alert, Finding},
};
use serde_json::{Value, json};

/// Serves the control API with a small inventory while the test runs.
pub(super) fn with_agent(test: impl FnOnce(&str)) {
    let directory = tempfile::tempdir().unwrap();
    let socket = control::bind(&directory.path().join("api.sock"), "").unwrap();
    let path = socket.path().to_str().unwrap().to_owned();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let (query, mut requests) = Query::channel();
            let core = async {
                while let Some(request) = requests.recv().await {
                    match request {
                        Request::Endpoints(reply) => {
                            let views = endpoints();
                            let row = |view| Line::from(serde_json::to_string(view).unwrap());
                            let rows: Vec<_> = views.iter().map(row).map(Arc::new).collect();
                            reply.send(rows.into()).unwrap();
                        }
                        Request::Endpoint(_, reply) => reply.send(None).unwrap(),
                        Request::Workloads(reply) => reply.send(Vec::new()).unwrap(),
                        Request::Specifications(reply) => reply.send(Vec::new()).unwrap(),
                        Request::Status(reply) => reply
                            .send(Status {
                                tier: 1,
                                ..Status::default()
                            })
                            .unwrap(),
                        Request::Alerts(reply) | Request::Anomalies(reply) => {
                            reply.send(vec![alert()]).unwrap();
                        }
                        Request::Findings(reply) => reply.send(vec![finding().into()]).unwrap(),
                        Request::Risks(reply) => reply.send(vec![risk().into()]).unwrap(),
                        Request::Follow(reply) => {
                            // The sender is dropped: the stream ends after what is there.
                            let (_, further) = tokio::sync::broadcast::channel(1);
                            let followed = Followed {
                                present: vec![alert()],
                                further,
                            };
                            reply.send(followed).unwrap();
                        }
                    }
                }
            };
            tokio::select! {
                served = control::serve(&socket, query, async { stopped.await.unwrap() }) => served.unwrap(),
                () = core => {}
            }
        });
    });
    test(&path);
    stop.send(()).unwrap();
    server.join().unwrap();
}

pub(super) fn alert() -> Alert {
    let row = json!({
        "id": "a1b2c3d4e5f6a7b8", "fingerprint": "f1", "kind": "incident", "class": "sqli", "owasp": "API8:2023",
        "severity": "high", "confidence": 0.75, "workload": "shop", "endpoint": "aa11000000000000",
        "endpoint_name": "GET /v1/users/{userId}", "actor": "10.0.0.7", "opened": "2026-01-31T07:00:00Z",
        "updated": "2026-01-31T08:00:00Z", "count": 3, "state": "open",
        "reasons": [{"group": "signature", "detector": "signature", "text": "SQL in query.full",
            "observed": "tautology", "expected": null, "n": 3, "window": 60.0}],
        "evidence_quality": "complete", "exchanges": ["1-1"], "owner": null, "suppressed": 0,
    });
    serde_json::from_value(row).unwrap()
}

pub(super) fn finding() -> Finding {
    let row = json!({
        "id": "f1", "rule": "plain_http_credentials", "title": "Credentials travel in clear",
        "advice": "Serve it over TLS only", "owasp": "API8:2023", "severity": "medium", "confidence": 1.0,
        "workload": "shop", "endpoint": "bb22000000000000", "endpoint_name": "POST /v1/orders",
        "first_seen": "2026-01-31T07:00:00Z", "last_seen": "2026-01-31T08:00:00Z", "count": 12,
        "reasons": [], "owner": null,
    });
    serde_json::from_value(row).unwrap()
}

fn risk() -> RiskView {
    let row = json!({
        "score": 87.5, "severity": "high", "workload": "shop", "endpoint": "aa11000000000000",
        "endpoint_name": "GET /v1/users/{userId}", "exposure": "internet", "exposure_share": 1.0, "owner": null,
        "factors": [{"factor": "sensitive_data", "weight": 0.5, "confidence": 1.0, "points": 50.0,
            "text": "answers hold email", "source": null}],
    });
    serde_json::from_value(row).unwrap()
}

pub(super) fn endpoints() -> Vec<EndpointView> {
    let row = |differs: Value| {
        let mut row = json!({
            "id": "0", "workload": "shop", "workload_id": "w1", "kind": "rest", "method": "GET", "template": "/",
            "operation": null, "hosts": [], "hits": 1, "first_seen": "2026-01-31T07:00:00Z",
            "last_seen": "2026-01-31T08:00:00Z", "state": "active", "exposure": "host",
            "auth": {"verdict": "unknown", "schemes": [], "rates": {}}, "sensitive": [], "status": {},
            "latency_ms": {"p50": null, "p90": null, "p99": null}, "callers": [], "owner": null, "risk": null,
            "spec": "unknown", "completeness": {"complete": 1, "no_response": 0, "lost": 0, "truncated": 0}, "parameters": [],
        });
        row.as_object_mut()
            .unwrap()
            .extend(differs.as_object().unwrap().clone());
        serde_json::from_value(row).unwrap()
    };
    vec![
        row(json!({"id": "aa11000000000000", "template": "/v1/users/{userId}", "hits": 12})),
        row(
            json!({"id": "bb22000000000000", "method": "POST", "template": "/v1/orders\u{1b}[31m", "hits": 3,
            "last_seen": "2026-01-31T09:00:00Z"}),
        ),
    ]
}

/// Answers requests as an agent does that knows no more of lists than how many rows are wanted: first so many requests.
pub(super) fn with_older_agent(requests: usize, test: impl FnOnce(&str)) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("api.sock");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let agent = std::thread::spawn(move || {
        for _ in 0..requests {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = String::new();
            let mut reader = std::io::BufReader::new(stream.try_clone().unwrap());
            while !head.ends_with("\r\n\r\n") {
                assert!(reader.read_line(&mut head).unwrap() > 0);
            }
            let most = match head.split_once("limit=") {
                Some((_, rest)) => rest.split([' ', '&']).next().unwrap().parse().unwrap(),
                None => usize::MAX,
            };
            let rows = endpoints().into_iter().take(most);
            let body: String = rows
                .map(|row| format!("{}\n", serde_json::to_string(&row).unwrap()))
                .collect();
            write!(
                stream,
                "HTTP/1.1 200 OK\r\ncontent-type: application/jsonl\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            )
            .unwrap();
        }
    });
    test(path.to_str().unwrap());
    agent.join().unwrap();
}
