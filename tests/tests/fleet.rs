//! A fleet in ClickHouse, for real: agents' rows go in over HTTP, the command line asks for them.
//!
//! Against Debian's server (18.16), and against the current engine, `chdb` of PyPI, behind an HTTP bridge
//! (`tests/fixtures/chdb_http.py`): the oldest and the newest dialect that are supported.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like the tests themselves"
)]

use std::{fs, io::Write as _, path::Path, process::Command, time::Duration};

use apiarist::{
    clock::monotonic_ns,
    fleet::{Address, Client, Delta},
    sink::{Event, Sinks, target::Target},
};
use apiarist_tests::{
    collectors::{
        clickhouse::{PASSWORD, current, debian},
        offered, until,
    },
    live::binary::apiarist,
    simulated::{Fleet, Host},
};
use serde_json::{Value, json};

/// A database of a server that runs.
struct Database {
    port: u16,
    directory: tempfile::TempDir,
}

impl Database {
    fn new(port: u16) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("password"), PASSWORD).unwrap();
        Self { port, directory }
    }

    /// Where agents write, as the host with this name.
    fn address(&self, node: &str) -> String {
        let password = self.directory.path().join("password");
        format!(
            "clickhouse://default@127.0.0.1:{}/fleet?node={node}&every=1&password_file={}",
            self.port,
            password.display()
        )
    }

    fn sinks(&self, node: &str) -> Sinks {
        let target = Target::parse(&self.address(node)).unwrap();
        Sinks::start(&[target], &self.directory.path().join(node), 64 << 20).unwrap()
    }

    /// What `apiarist` says to these words.
    fn apiarist(&self, words: &[&str]) -> (Option<i32>, String, String) {
        let output = Command::new(apiarist().unwrap())
            .args(words)
            .env(
                "APIARIST_FLEET",
                format!("clickhouse://127.0.0.1:{}/fleet", self.port),
            )
            .env("APIARIST_CLICKHOUSE_USER", "default")
            .env("APIARIST_CLICKHOUSE_PASSWORD", PASSWORD)
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    }

    fn rows(&self, words: &[&str]) -> Vec<Value> {
        let (code, out, error) = self.apiarist(&[words, &["-o", "json"]].concat());
        assert_eq!(code, Some(0), "{words:?}: {error}");
        serde_json::from_str(&out).unwrap()
    }

    fn migrate(&self) -> String {
        let address = format!("clickhouse://127.0.0.1:{}/fleet", self.port);
        let (code, out, error) = self.apiarist(&["fleet", "migrate", &address]);
        assert_eq!(code, Some(0), "{error}");
        out
    }
}

fn delivered(sinks: &Sinks) {
    until("rows are still queued", || {
        sinks.status().iter().all(|sink| sink.queued == 0).then_some(())
    })
    .unwrap();
}

fn alert(number: usize, kind: &str) -> Event {
    let value = json!({
        "id": format!("a{number:06}"), "fingerprint": format!("f{}", number % 7), "kind": kind, "class": "sqli",
        "owasp": "API8:2023", "severity": if number.is_multiple_of(10) { "critical" } else { "high" }, "confidence": 0.9,
        "workload": "shop|\\=\t\"'", "endpoint": null, "endpoint_name": "GET /users/{userId}", "actor": "10.0.0.7",
        "opened": "2026-01-02T03:04:05Z", "updated": format!("2026-01-02T03:{:02}:06Z", number % 60), "count": 1, "state": "open",
        "evidence_quality": "complete", "reasons": [], "exchanges": ["1-1"], "owner": null,
    });
    serde_json::from_value(value).unwrap()
}

/// Everything that is promised of one engine.
fn a_fleet_is_asked_as_one(port: u16) {
    let database = Database::new(port);
    let (code, _, error) = database.apiarist(&["endpoints"]);
    assert_eq!(code, Some(2));
    assert!(error.contains("apiarist fleet migrate"), "{error}");
    assert_eq!(database.migrate(), "fleet was brought from version 0 to 1\n");
    assert_eq!(database.migrate(), "fleet has version 1 already\n");

    // Three hosts with two workloads each: every workload runs on two of them.
    let fleet = Fleet {
        hosts: 3,
        workloads: 2,
        endpoints: 20,
    };
    let workloads = fleet.workloads().unwrap();
    let mut hosts: Vec<Host> = (0..3).map(|host| fleet.host(&workloads, host)).collect();
    let mut agents: Vec<Sinks> = (0..3)
        .map(|host| database.sinks(&format!("node{host}")))
        .collect();
    for (agent, host) in agents.iter_mut().zip(&hosts) {
        agent.report(&host.snapshot());
    }
    for number in 0..300 {
        agents[0].send(&alert(number, "incident"));
    }
    agents[1].send(&alert(0, "incident"));
    agents[1].send(&alert(1, "anomaly"));
    agents.iter().for_each(delivered);

    let endpoints = database.rows(&["endpoints"]);
    assert_eq!(endpoints.len(), 60);
    assert!(endpoints.iter().all(|row| row["nodes"] == 2), "{}", endpoints[0]);
    let one = database.rows(&[
        "endpoints",
        "--workload",
        "shop-1",
        "--filter",
        "template ~ 'items7/'",
    ]);
    assert_eq!(one.len(), 1);
    // 10 + 7 * 7919 % 1000, and on host 1 one more.
    assert_eq!(one[0]["hits"], (10 + 433) + (10 + 433 + 1));
    assert_eq!(one[0]["status"], json!({"2xx": 32, "4xx": 2}));
    assert_eq!(one[0]["node"], "node1", "it saw it last");
    let found = |words: &[&str]| database.rows(&[&["endpoints"], words].concat()).len();
    assert_eq!(found(&["--method", "get,post", "--path", "/v1/section3/"]), 3);
    assert_eq!(
        found(&["--filter", "sensitive.type == 'email' and exposure == 'internet'"]),
        3
    );
    assert_eq!(found(&["--filter", "node == 'node2'"]), 40);
    assert_eq!(found(&["--limit", "7", "--offset", "55"]), 5);
    assert_eq!(found(&["--since", "2027-01-15T08:01:02Z"]), 40);
    let sorted = database.rows(&["endpoints", "--sort", "-risk", "--limit", "3"]);
    assert!(
        sorted.iter().all(|row| row["risk"].as_f64() == Some(19.0)),
        "{sorted:?}"
    );
    let (_, table, _) = database.apiarist(&["endpoints", "--limit", "1"]);
    assert!(table.contains("NODE") && table.contains(" +1"), "{table}");

    let alerts = database.rows(&["alerts", "--limit", "1000"]);
    assert_eq!(alerts.len(), 301);
    assert_eq!(alerts[0]["updated"], "2026-01-02T03:59:06Z", "the latest first");
    assert_eq!(alerts[0]["workload"], "shop|\\=\t\"'");
    assert_eq!(
        database
            .rows(&["alerts", "--filter", "severity >= 'critical' and node == 'node0'"])
            .len(),
        30
    );
    assert_eq!(database.rows(&["anomalies"]).len(), 1);
    assert_eq!(
        database
            .rows(&["findings", "--filter", "severity == 'critical'"])
            .len(),
        3
    );
    let risks = database.rows(&["risks"]);
    assert_eq!(
        (risks.len(), &risks[0]["nodes"], &risks[0]["score"]),
        (6, &json!(2), &json!(10))
    );
    assert_eq!(database.rows(&["workloads", "--sort", "name"])[0]["hits"], 200);
    let (_, graph, _) = database.apiarist(&["graph", "-o", "json"]);
    let graph: Value = serde_json::from_str(&graph).unwrap();
    assert!(
        graph["edges"]
            .as_array()
            .unwrap()
            .contains(&json!({"from": "web", "to": "shop-0", "exchanges": 180})),
        "{graph}"
    );
    assert!(
        graph["edges"]
            .as_array()
            .unwrap()
            .contains(&json!({"from": "shop-2", "to": "shop-0", "exchanges": 14})),
        "{graph}"
    );

    // An agent that starts again reports everything again, and what has gone is gone. Alerts that come twice are one.
    drop(agents.remove(0));
    let mut again = database.sinks("node0");
    again.report(&hosts[0].snapshot());
    hosts[0].shrink();
    again.report(&hosts[0].snapshot());
    for number in 0..300 {
        again.send(&alert(number, "incident"));
    }
    delivered(&again);
    let endpoints = database.rows(&["endpoints"]);
    assert_eq!(endpoints.len(), 60);
    assert_eq!(endpoints.iter().filter(|row| row["nodes"] == 1).count(), 1);
    assert_eq!(database.rows(&["alerts", "--limit", "1000"]).len(), 301);

    let (code, _, error) = database.apiarist(&["endpoints", "--filter", "parameters.name == 'x'"]);
    assert_eq!(code, Some(2));
    assert!(
        error.contains("cannot be asked by `parameters.name`: there are workload"),
        "{error}"
    );
    let (code, _, error) = database.apiarist(&["status"]);
    assert_eq!(code, Some(2));
    assert!(error.contains("asks one agent"), "{error}");
}

/// Asks as a user would, five times, and notes how long that took.
fn timed(database: &Database, engine: &str, words: &[&str]) {
    let mut milliseconds = [0; 5].map(|_: u64| {
        let start = monotonic_ns();
        let (code, out, error) = database.apiarist(&[words, &["-o", "json"]].concat());
        assert_eq!(code, Some(0), "{words:?}: {error}");
        assert!(out.contains('{'), "{words:?} has no row");
        (monotonic_ns() - start) / 1_000_000
    });
    milliseconds.sort_unstable();
    let [least, _, median, _, most] = milliseconds;
    note(&format!(
        "{engine}: {least} / {median} / {most} ms (least, median, most of five): {}",
        words.join(" ")
    ));
}

/// 1,000 hosts with 2,000 endpoints each, by the code that agents report with; then the questions that people ask.
fn two_million_rows(port: u16, engine: &str) {
    let database = Database::new(port);
    database.migrate();
    let fleet = Fleet {
        hosts: 1000,
        workloads: 20,
        endpoints: 100,
    };
    let workloads = fleet.workloads().unwrap();
    let start = monotonic_ns();
    for host in 0..fleet.hosts {
        let node = format!("node{host:04}");
        let client = Client::new(
            Address::parse(&database.address(&node)).unwrap(),
            Duration::from_secs(60),
        );
        let mut delta = Delta::new(node, Duration::from_secs(60));
        let rows = delta.rows(&fleet.host(&workloads, host).snapshot());
        client.insert(rows.iter()).unwrap();
    }
    let seconds = (monotonic_ns() - start) / 1_000_000_000;
    let client = Client::new(
        Address::parse(&database.address("x")).unwrap(),
        Duration::from_secs(60),
    );
    let count = |table: &str| {
        let rows = client
            .select(&format!("SELECT toUInt32(count()) AS n FROM {table}"))
            .unwrap();
        rows[0]["n"].as_u64().unwrap()
    };
    note(&format!(
        "{engine}: {} endpoints, {} baselines, {} findings, {} risks written in {seconds} s",
        count("endpoints"),
        count("baselines"),
        count("findings"),
        count("risks")
    ));
    let questions: [&[&str]; 10] = [
        &["endpoints", "--limit", "100"],
        &["endpoints", "--limit", "100", "--sort", "-risk"],
        &["endpoints", "--workload", "shop-17"],
        &[
            "endpoints",
            "--path",
            "/v1/section3/",
            "--method",
            "GET",
            "--limit",
            "100",
        ],
        &[
            "endpoints",
            "--filter",
            "exposure == 'internet' and sensitive.type == 'email' and risk > 50",
            "--limit",
            "100",
        ],
        &[
            "endpoints",
            "--filter",
            "nodes > 10",
            "--since",
            "2027-01-15T08:01:30Z",
            "--limit",
            "100",
        ],
        &["risks", "--limit", "100"],
        &["findings", "--filter", "severity == 'critical'", "--limit", "100"],
        &["workloads", "--limit", "1000"],
        &["graph"],
    ];
    for words in questions {
        timed(&database, engine, words);
    }
}

/// Tells the reader of the log what was measured.
fn note(text: &str) {
    // Nothing can be done when this fails.
    writeln!(std::io::stderr(), "  {text}").ok();
}

/// Whether tests that take many minutes are asked for.
fn is_patient() -> bool {
    let patient = std::env::var_os("APIARIST_LONG_TESTS").is_some();
    if !patient {
        note("skipped: takes minutes; APIARIST_LONG_TESTS=1 runs it");
    }
    patient
}

#[test]
fn two_million_endpoints_in_debians_clickhouse() {
    let directory = tempfile::tempdir().unwrap();
    if is_patient()
        && let Some(server) = debian(directory.path()).unwrap()
    {
        two_million_rows(server.port, "clickhouse-server 18.16");
    }
}

#[test]
fn two_million_endpoints_in_the_current_clickhouse() {
    if is_patient() {
        let directory = tempfile::tempdir().unwrap();
        let server = current(directory.path(), Path::new(env!("CARGO_TARGET_TMPDIR"))).unwrap();
        two_million_rows(server.port, "chdb");
    }
}

#[test]
fn debians_clickhouse_answers_for_all_hosts() {
    let directory = tempfile::tempdir().unwrap();
    let Some(server) = debian(directory.path()).unwrap() else {
        return;
    };
    a_fleet_is_asked_as_one(server.port);
    // Only a server of ClickHouse has users.
    let database = Database::new(server.port);
    let output = Command::new(apiarist().unwrap())
        .args([
            "endpoints",
            "--fleet",
            &format!("clickhouse://127.0.0.1:{}/fleet", server.port),
        ])
        .env("APIARIST_CLICKHOUSE_PASSWORD", "wrong")
        .output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(
        error.contains("does not let this user in") && !error.contains("wrong"),
        "{error}"
    );
    drop(server);
    let (code, _, error) = database.apiarist(&["risks"]);
    assert_eq!(code, Some(3), "{error}");
    assert!(
        error.starts_with("apiarist: no ClickHouse answers on http://127.0.0.1:"),
        "{error}"
    );
}

#[test]
fn the_current_clickhouse_answers_for_all_hosts() {
    let directory = tempfile::tempdir().unwrap();
    let server = current(directory.path(), Path::new(env!("CARGO_TARGET_TMPDIR")));
    if let Some(server) = offered(server).unwrap() {
        a_fleet_is_asked_as_one(server.port);
    }
}
