//! The report in a real browser: headless Chromium, driven by playwright-core, looked at by axe-core.
//!
//! `cargo xtask setup` installs all three. Without them the test says so and passes, but in CI, where it fails.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may be blunt")]

use std::{
    env,
    fs::File,
    io::BufWriter,
    path::{Path, PathBuf},
    process::Command,
};

use apiarist::{
    inventory::EndpointView,
    report::{self, Data},
    status::{Coverage, Status},
    verdict::{Alert, Finding},
};
use serde_json::{Value, from_value, json};

const METHODS: [&str; 4] = ["GET", "POST", "PUT", "DELETE"];
const RESOURCES: [&str; 5] = ["users", "orders", "invoices", "carts", "payments"];
const ACTIONS: [&str; 5] = ["search", "history", "export", "labels", "members"];

/// Where `cargo xtask setup` puts the modules; `None` when they are not there.
fn modules() -> Option<PathBuf> {
    // The test's own file is at TARGET/PROFILE/deps/NAME.
    let target = env::current_exe().unwrap().ancestors().nth(3)?.join("browser");
    let all = [
        target.join("node_modules/playwright-core"),
        target.join("node_modules/axe-core"),
        PathBuf::from("/usr/bin/chromium"),
    ];
    all.iter().all(|path| path.exists()).then_some(target)
}

fn endpoint(number: usize) -> EndpointView {
    let [method, resource, action] = [
        METHODS[number % METHODS.len()],
        RESOURCES[number / 4 % RESOURCES.len()],
        ACTIONS[number / 20 % ACTIONS.len()],
    ];
    let sensitive: Value = match number % 3 {
        0 => {
            json!([{"direction": "response", "path": "$.email", "type": "email", "count": 3, "suspected": number.is_multiple_of(2)}])
        }
        _ => json!([]),
    };
    let exposure = ["host", "cluster", "internet"][number % 3];
    let verdict = ["consistent", "mixed", "missing", "unknown"][number % 4];
    let ms = 0.4 * (number % 997 + 1) as f64;
    let row = json!({
        "id": format!("{number:016x}"), "workload": format!("service-{}", number / 500), "workload_id": "w", "kind": "rest",
        "method": method, "template": format!("/v{}/{resource}/{action}/{{userId}}", number / 100), "operation": null,
        "hosts": ["api.example.test"], "hits": number * 7 % 1000 + 1, "first_seen": "2026-01-31T07:00:00.000Z",
        "last_seen": "2026-01-31T08:00:00.000Z", "state": "active",
        "exposure": exposure,
        "auth": {"verdict": verdict, "schemes": [], "rates": {}},
        "sensitive": sensitive, "status": {"2xx": 90, "5xx": number % 9},
        "latency_ms": {"p50": ms, "p90": ms * 2.0, "p99": ms * 4.0}, "callers": [], "owner": null,
        "risk": number % 101, "spec": "unknown",
        "completeness": {"complete": 1, "no_response": 0, "lost": 0, "truncated": 0}, "parameters": [],
    });
    from_value(row).unwrap()
}

fn data(endpoints: usize) -> Data {
    let severities = ["info", "low", "medium", "high", "critical"];
    let reason = json!({"group": "signature", "detector": "signature", "text": "SQL in query.q", "observed": "tautology",
        "expected": "a word", "n": 3, "window": 60.0});
    let alert = |(number, severity): (usize, &&str)| -> Alert {
        let row = json!({
            "id": format!("a{number}"), "fingerprint": "f", "kind": "incident", "class": "sqli", "owasp": "API8:2023",
            "severity": severity, "confidence": 0.9, "workload": "service-0", "endpoint": format!("{number:016x}"),
            "endpoint_name": "GET /v1/users/<b>{userId}</b>", "actor": "10.0.0.7", "opened": "2026-01-31T07:00:00Z",
            "updated": "2026-01-31T08:00:00Z", "count": 3, "state": "open", "reasons": [reason, reason],
            "evidence_quality": "complete", "exchanges": ["1-1"], "owner": null, "suppressed": 0,
        });
        from_value(row).unwrap()
    };
    let finding = |(number, severity): (usize, &&str)| -> Finding {
        let row = json!({
            "id": format!("f{number}"), "rule": format!("rule_{number}"), "title": "Credentials travel in clear",
            "advice": "Serve it over TLS only", "owasp": "API2:2023", "severity": severity, "confidence": 1.0,
            "workload": "service-0", "endpoint": null, "endpoint_name": "POST /v1/orders",
            "first_seen": "2026-01-31T07:00:00Z", "last_seen": "2026-01-31T08:00:00Z", "count": 12, "reasons": [reason],
            "owner": null,
        });
        from_value(row).unwrap()
    };
    let risk = |number: usize| {
        let severity = severities[4 - number % 5];
        let row = json!({
            "score": 100 - number * 8, "severity": severity, "workload": "service-0",
            "endpoint": format!("{number:016x}"), "endpoint_name": "GET /v1/users/{userId}", "exposure": "internet",
            "exposure_share": 1.0, "owner": null,
            "factors": [{"factor": "sensitive_data", "weight": 0.5, "confidence": 1.0, "points": 50.0,
                "text": "answers carry email at $.email", "source": null}],
        });
        from_value(row).unwrap()
    };
    Data {
        title: "Shop, <b>production</b>".into(),
        made: "2026-01-31T08:00:00.000Z".into(),
        endpoints: (0..endpoints).map(endpoint).collect(),
        alerts: severities.iter().enumerate().map(alert).collect(),
        findings: severities.iter().enumerate().map(finding).collect(),
        risks: (0..12).map(risk).collect(),
        status: Some(Status {
            tier: 1,
            lost: [("ring_full_events".to_owned(), 3)].into(),
            coverage: vec![Coverage {
                workload: "service-0".into(),
                bytes: 1_000_000,
                read_pct: 87.5,
                ..Coverage::default()
            }],
            ..Status::default()
        }),
        ..Data::default()
    }
}

fn write(path: &Path, data: &Data) {
    let mut out = BufWriter::new(File::create(path).unwrap());
    report::write(&mut out, data).unwrap();
}

#[test]
fn a_browser_shows_filters_sorts_and_prints_it_and_axe_has_no_complaint() {
    let Some(modules) = modules() else {
        assert!(env::var_os("CI").is_none(), "run `cargo xtask setup` first");
        eprintln!("skipped: no Chromium, playwright-core or axe-core: run `cargo xtask setup`");
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let (large, small) = (
        directory.path().join("large.html"),
        directory.path().join("small.html"),
    );
    write(&large, &data(5000));
    write(&small, &data(60));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/report.mjs");
    let output = Command::new("node")
        .arg(script)
        .arg(modules)
        .args([large, small])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let failed = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() || !said.is_empty() {
        panic!("{said}{failed}");
    }
}
