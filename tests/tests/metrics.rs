//! Metrics as others read them: Debian's Prometheus scrapes them over TCP, promtool checks them and the rules that are shipped, a
//! collector that others wrote (`rotel` of PyPI) is sent them as OTLP, with the logs. A program that is not installed is named, and
//! the test passes; in CI it fails.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail like the tests themselves"
)]

use std::{
    collections::BTreeSet,
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use apiarist::{
    clock,
    control::{Query, Request, serve_metrics},
    sink::{Sinks, target::Target},
    status::{Coverage, SinkStatus, Status},
};
use apiarist_tests::{
    collectors::{Collector, fed, free_port, has, listens, offered, sample::incident, until},
    python::environment,
    simulated::Fleet,
};
use serde_json::Value;

fn status() -> Status {
    Status {
        version: "1.2.3".to_owned(),
        kernel: "6.12 \"x\"".to_owned(),
        uptime: 12.5,
        events: 7,
        exchanges: 3,
        lost: [("ring_full_events".to_owned(), 2)].into(),
        counters: [("chunks".to_owned(), 9)].into(),
        coverage: vec![Coverage {
            workload: "shop".to_owned(),
            read_pct: 50.0,
            ..Coverage::default()
        }],
        sinks: vec![SinkStatus {
            name: "stdout:".to_owned(),
            queued: 1,
            sent: 2,
            dropped: 3,
        }],
        ..Status::default()
    }
}

/// Serves metrics on TCP for as long as the program runs; the port.
fn served() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let (query, mut requests) = Query::channel();
        let answers = async {
            while let Some(request) = requests.recv().await {
                if let Request::Status(reply) = request {
                    // Who asked may have gone away.
                    reply.send(status()).unwrap_or(());
                }
            }
        };
        runtime
            .block_on(async { tokio::join!(serve_metrics(listener, query, std::future::pending()), answers) })
    });
    port
}

fn fetch(url: &str) -> String {
    let output = Command::new("curl").args(["-sS", "-g", url]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

fn deployed(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(path)
}

/// Names of our metrics in a text.
fn named(text: &str) -> BTreeSet<String> {
    let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
    text.split(|c| !is_name(c))
        .filter(|word| word.starts_with("apiarist_"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn what_is_shipped_names_metrics_that_there_are() {
    if !has("curl").unwrap() {
        return;
    }
    let port = served();
    let there = named(&fetch(&format!("http://127.0.0.1:{port}/metrics")));
    assert!(there.len() >= 13, "{there:?}");
    assert!(fetch(&format!("http://127.0.0.1:{port}/v1/status")).contains("only /metrics"));
    let text = fs::read_to_string(deployed("grafana/apiarist.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let mut asked = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            asked.extend(named(target["expr"].as_str().unwrap()));
        }
    }
    assert_eq!(
        asked.difference(&there).collect::<Vec<_>>(),
        Vec::<&String>::new(),
        "in the dashboard only"
    );
    assert_eq!(
        there.difference(&asked).collect::<Vec<_>>(),
        Vec::<&String>::new(),
        "not in the dashboard"
    );
    let rules = fs::read_to_string(deployed("prometheus/apiarist.rules.yml")).unwrap();
    assert!(!named(&rules).is_empty());
    assert_eq!(
        named(&rules).difference(&there).collect::<Vec<_>>(),
        Vec::<&String>::new()
    );
}

#[test]
fn prometheus_scrapes_and_takes_the_rules() {
    if !has("prometheus").unwrap() || !has("promtool").unwrap() || !has("curl").unwrap() {
        return;
    }
    let port = served();
    let page = fetch(&format!("http://127.0.0.1:{port}/metrics"));
    let said = fed(Command::new("promtool").args(["check", "metrics"]), &page).unwrap();
    assert_eq!(said.trim(), "", "promtool has something to say");
    let rules = deployed("prometheus/apiarist.rules.yml").canonicalize().unwrap();
    let said = fed(Command::new("promtool").args(["check", "rules"]).arg(&rules), "").unwrap();
    assert!(said.contains("SUCCESS: 7 rules found"), "{said}");

    let directory = tempfile::tempdir().unwrap();
    let configuration = directory.path().join("prometheus.yml");
    fs::write(
        &configuration,
        format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: [{}]\n\
             scrape_configs: [{{job_name: apiarist, static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}]\n",
            rules.display()
        ),
    )
    .unwrap();
    let own = free_port().unwrap();
    let prometheus = Collector::start(
        Command::new("prometheus")
            .arg(format!("--config.file={}", configuration.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                directory.path().join("data").display()
            ))
            .arg(format!("--web.listen-address=127.0.0.1:{own}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null()),
    )
    .unwrap();
    listens("Prometheus", own).unwrap();
    let answer = |expression: &str| {
        let url = format!("http://127.0.0.1:{own}/api/v1/query?query={expression}");
        let answer: Value = serde_json::from_str(&fetch(&url)).ok()?;
        let value = &answer["data"]["result"].get(0)?["value"].get(1)?;
        value.as_str().map(str::to_owned)
    };
    let lost = "apiarist_lost_total{reason=\"ring_full_events\"}";
    assert_eq!(until("nothing was scraped", || answer(lost)).unwrap(), "2");
    assert_eq!(
        answer("apiarist_coverage_ratio{workload=\"shop\"}").as_deref(),
        Some("0.5")
    );
    assert_eq!(answer("up").as_deref(), Some("1"));
    until("the rules were not evaluated", || {
        let rules: Value =
            serde_json::from_str(&fetch(&format!("http://127.0.0.1:{own}/api/v1/rules"))).ok()?;
        let rules = rules["data"]["groups"].get(0)?["rules"].as_array()?.clone();
        (rules.len() == 7 && rules.iter().all(|rule| rule["health"] == "ok")).then_some(())
    })
    .unwrap();
    drop(prometheus);
}

fn of_rotel() -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    offered(environment(target, "rotel", &["rotel==0.0.1a15"])).unwrap()
}

/// How often a collector has written these words.
fn count(file: &Path, words: &str) -> usize {
    fs::read_to_string(file).unwrap().matches(words).count()
}

/// Waits until everything was accepted.
fn delivered(agent: &Sinks) {
    until("events are still queued", || {
        agent.status().iter().all(|sink| sink.queued == 0).then_some(())
    })
    .unwrap();
}

/// A collector of others that writes down one signal.
fn rotel(programs: &Path, directory: &Path, signal: &str) -> (Collector, [u16; 2], PathBuf) {
    let ports = [free_port().unwrap(), free_port().unwrap()];
    let said = directory.join(signal);
    let site = fs::read_dir(programs.join("../lib"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let collector = Collector::start(
        Command::new(site.join("site-packages/rotel/rotel-agent"))
            .args(["start", "--exporter", "blackhole", "--debug-log", signal])
            .args(["--debug-log-verbosity", "detailed"])
            .args(["--otlp-grpc-endpoint", &format!("127.0.0.1:{}", ports[0])])
            .args(["--otlp-http-endpoint", &format!("127.0.0.1:{}", ports[1])])
            .stdout(fs::File::create(&said).unwrap())
            .stderr(Stdio::null()),
    )
    .unwrap();
    for port in ports {
        listens("rotel", port).unwrap();
    }
    (collector, ports, said)
}

#[test]
fn a_collector_of_others_takes_logs_and_metrics() {
    let Some(programs) = of_rotel() else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let (logs, log_ports, logged) = rotel(&programs, directory.path(), "logs");
    let (metrics, metric_ports, measured) = rotel(&programs, directory.path(), "metrics");
    let mut targets = Vec::new();
    for [grpc, http] in [log_ports, metric_ports] {
        targets.push(Target::parse(&format!("otlp+grpc://127.0.0.1:{grpc}?metrics=1")).unwrap());
        targets.push(Target::parse(&format!("otlp+http://127.0.0.1:{http}?metrics=1")).unwrap());
    }
    let mut agent = Sinks::start(&targets, &directory.path().join("spool"), 64 << 20).unwrap();
    for number in 0..50 {
        agent.send(&incident(number).unwrap());
    }
    assert!(agent.wants_metrics(clock::now()));
    agent.measure(&status(), clock::now());
    assert!(!agent.wants_metrics(clock::now()), "not twice in a second");
    delivered(&agent);
    // Waits for the metrics under way.
    drop(agent);
    let ways = |file: &Path, word: &str| {
        until(
            &format!("{word} did not arrive twice, by gRPC and by HTTP"),
            || (count(file, word) >= 2).then_some(()),
        )
        .unwrap();
    };
    for number in [0, 49] {
        ways(&logged, &format!("event.id: Str(a{number:06})"));
    }
    for name in [
        "apiarist.exchanges",
        "apiarist.lost",
        "apiarist.coverage",
        "apiarist.sink_queued",
    ] {
        ways(&measured, name);
    }
    drop((logs, metrics));
}

#[test]
fn a_collector_of_others_takes_the_inventory() {
    let Some(programs) = of_rotel() else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let (rotel, [grpc, http], logged) = rotel(&programs, directory.path(), "logs");
    let targets = [
        format!("otlp+grpc://127.0.0.1:{grpc}?inventory=1"),
        format!("otlp+http://127.0.0.1:{http}?inventory=1"),
    ];
    let targets = targets.map(|address| Target::parse(&address).unwrap());
    let mut agent = Sinks::start(&targets, &directory.path().join("spool"), 64 << 20).unwrap();
    assert!(agent.wants_report(clock::now()));
    let fleet = Fleet {
        hosts: 2,
        workloads: 2,
        endpoints: 50,
    };
    let mut host = fleet.host(&fleet.workloads().unwrap(), 0);
    agent.report(&host.snapshot());
    // One endpoint is no more, the others are as they were.
    host.shrink();
    agent.report(&host.snapshot());
    delivered(&agent);
    let kinds = [
        ("endpoint", 100 + 1),
        ("workload", 2),
        ("calls", 4),
        ("baseline", 100),
        ("finding", 10),
        ("risk", 10),
    ];
    let each = |kind: &str| count(&logged, &format!("apiarist.kind: Str({kind})"));
    for (kind, rows) in kinds {
        until(
            &format!("not every {kind} arrived twice, by gRPC and by HTTP"),
            || (each(kind) >= 2 * rows).then_some(()),
        )
        .unwrap();
        assert_eq!(each(kind), 2 * rows, "{kind}");
    }
    assert!(each("node") >= 2);
    assert_eq!(count(&logged, "apiarist.gone: Int(1)"), 2);
    assert_eq!(count(&logged, "apiarist.key: Str(endpoint/0000000000000007)"), 2);
    drop((agent, rotel));
}
