//! Sinks against collectors that others wrote: what they received is compared with what was sent.
//!
//! A collector that is not installed is named, and the test passes; in CI it fails.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail like the tests themselves"
)]

use std::{
    fs,
    io::Write as _,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use apiarist::sink::{Event, Sinks, format::Format, target::Target};
use apiarist_tests::python::environment;
use serde_json::json;

/// Longest wait for a collector to have everything.
const PATIENCE: Duration = Duration::from_secs(60);

fn alert(number: usize) -> Event {
    let value = json!({
        "id": format!("a{number:06}"), "fingerprint": format!("f{}", number % 7), "kind": "incident", "class": "sqli",
        "owasp": "API8:2023", "severity": "high", "confidence": 0.9, "workload": "shop|\\=\t\"", "endpoint": null,
        "endpoint_name": "GET /users/{userId}", "actor": "10.0.0.7", "opened": "2026-01-02T03:04:05Z",
        "updated": "2026-01-02T03:04:06Z", "count": 1, "state": "open", "evidence_quality": "complete",
        "reasons": [{"group": "signature", "detector": "signature", "text": "a tautology | in = a value", "observed": "1",
                     "expected": null, "n": 1, "window": null}],
        "exchanges": ["1-1"], "owner": "payments",
    });
    serde_json::from_value(value).unwrap()
}

fn finding() -> Event {
    let value = json!({
        "id": "g1", "rule": "unauthenticated_sensitive_response", "title": "t", "advice": "a", "owasp": "API2:2023",
        "severity": "critical", "confidence": 1.0, "workload": "shop", "endpoint": null,
        "endpoint_name": "GET /users/{userId}", "first_seen": "2026-01-02T03:04:05Z",
        "last_seen": "2026-01-02T03:04:05Z", "count": 1, "reasons": [], "owner": null,
    });
    serde_json::from_value(value).unwrap()
}

/// A process that ends with the test.
struct Collector(Child);

impl Collector {
    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        // One that has ended already is fine.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// Waits until `look` finds what it looks for.
fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    #[expect(clippy::disallowed_methods, reason = "a test's edge: how long it has waited")]
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "{what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

fn sinks(directory: &Path, addresses: &[String]) -> Sinks {
    let targets: Vec<Target> = addresses
        .iter()
        .map(|address| Target::parse(address).unwrap())
        .collect();
    Sinks::start(&targets, directory, 64 << 20).unwrap()
}

fn delivered(sinks: &Sinks) {
    until("events are still queued", || {
        sinks.status().iter().all(|sink| sink.queued == 0).then_some(())
    });
}

/// Whether the collector is there; without it a test in CI fails.
fn has(program: &str) -> bool {
    let there = Command::new(program).arg("-v").output().is_ok();
    let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    assert!(
        there || !in_ci,
        "{program} is not installed: run `cargo xtask setup --for test`"
    );
    if !there {
        // Nothing can be done when this fails.
        writeln!(std::io::stderr(), "skipped: {program} is not installed").ok();
    }
    there
}

/// rsyslog on this port, which writes what it receives to a file.
fn rsyslogd(directory: &Path, port: u16) -> Collector {
    let file = directory.join("received");
    let configuration = format!(
        "global(workDirectory=\"{work}\" maxMessageSize=\"64k\")\n\
         module(load=\"imtcp\")\ninput(type=\"imtcp\" port=\"{port}\" address=\"127.0.0.1\")\n\
         template(name=\"raw\" type=\"string\" string=\"%APP-NAME%\\t%PRI%\\t%MSGID%\\t%msg%\\n\")\n\
         action(type=\"omfile\" file=\"{file}\" template=\"raw\" asyncWriting=\"off\" flushOnTXEnd=\"on\")\n",
        work = directory.display(),
        file = file.display(),
    );
    let path = directory.join("rsyslog.conf");
    fs::write(&path, configuration).unwrap();
    let child = Command::new("/usr/sbin/rsyslogd")
        .args(["-n", "-f"])
        .arg(&path)
        .arg("-i")
        .arg(directory.join("pid"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until("rsyslogd does not listen", || {
        std::net::TcpStream::connect(("127.0.0.1", port)).ok()
    });
    Collector(child)
}

#[test]
fn rsyslog_gets_everything_in_order_though_it_was_killed() {
    if !has("/usr/sbin/rsyslogd") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (spool, port) = (directory.path().join("spool"), free_port());
    let address = [format!("syslog+tcp://127.0.0.1:{port}")];
    let mut collector = rsyslogd(directory.path(), port);
    let mut agent = sinks(&spool, &address);
    for number in 0..500 {
        agent.send(&alert(number));
    }
    delivered(&agent);
    collector.kill();
    for number in 500..2_000 {
        agent.send(&alert(number));
    }
    // The agent ends, too, before the collector is back.
    drop(agent);
    let collector = rsyslogd(directory.path(), port);
    let mut agent = sinks(&spool, &address);
    for number in 2_000..2_100 {
        agent.send(&alert(number));
    }
    delivered(&agent);
    drop((agent, collector));

    let received = fs::read_to_string(directory.path().join("received")).unwrap();
    let mut ids: Vec<String> = Vec::new();
    for line in received.lines() {
        let fields: Vec<&str> = line.splitn(4, '\t').collect();
        assert_eq!(fields[..3], ["apiarist", "83", "sqli"], "{line}");
        let message: serde_json::Value = serde_json::from_str(fields[3].trim_start()).unwrap();
        ids.push(message["id"].as_str().unwrap().to_owned());
    }
    // At least once: a batch may come twice when its end was not seen.
    let mut order = ids.clone();
    order.sort();
    order.dedup();
    let expected: Vec<String> = (0..2_100).map(|number| format!("a{number:06}")).collect();
    assert_eq!(order, expected);
    let mut first_of_each: Vec<&String> = Vec::new();
    for id in &ids {
        if first_of_each.last().is_none_or(|last| *last < id) {
            first_of_each.push(id);
        }
    }
    assert_eq!(first_of_each.len(), expected.len(), "out of order");
}

fn programs() -> Option<PathBuf> {
    let packages = ["py-ocsf-models", "pycef", "grpcio", "opentelemetry-proto"];
    match environment(Path::new(env!("CARGO_TARGET_TMPDIR")), "collectors", &packages) {
        Ok(programs) => Some(programs),
        Err(error) => {
            let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
            assert!(!in_ci, "{error:#}");
            writeln!(std::io::stderr(), "skipped: {error:#}").ok();
            None
        }
    }
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

#[test]
fn otlp_and_webhook_arrive_whole_and_signed() {
    let Some(programs) = programs() else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let (grpc, http) = (free_port(), free_port());
    let key = directory.path().join("key");
    fs::write(&key, "secret\n").unwrap();
    let received = directory.path().join("received");
    let mut agent = sinks(
        &directory.path().join("spool"),
        &[
            format!("otlp+grpc://127.0.0.1:{grpc}"),
            format!("otlp+http://127.0.0.1:{http}"),
            format!(
                "webhook+http://127.0.0.1:{http}/hook?secret_file={}",
                key.display()
            ),
        ],
    );
    // Sent while nobody listens yet.
    for number in 0..300 {
        agent.send(&alert(number));
    }
    let collector = Collector(
        Command::new(programs.join("python3"))
            .arg(fixture("collector.py"))
            .args([grpc.to_string(), http.to_string(), "secret".to_owned()])
            .stdout(fs::File::create(&received).unwrap())
            .spawn()
            .unwrap(),
    );
    delivered(&agent);
    drop((agent, collector));
    let text = fs::read_to_string(received).unwrap();
    for way in ["grpc", "http", "webhook"] {
        let of_way = |line: &str| line.strip_prefix(&format!("{way} ")).map(str::to_owned);
        let lines: Vec<String> = text.lines().filter_map(of_way).collect();
        let expected: Vec<String> = (0..300).map(|number| format!("a{number:06} sqli")).collect();
        assert_eq!(lines, expected, "{way}");
    }
}

#[test]
fn parsers_of_others_take_every_format() {
    let Some(programs) = programs() else {
        return;
    };
    let mut input = String::new();
    for event in [alert(1), finding()] {
        for (name, format) in [("ocsf", Format::Ocsf), ("cef", Format::Cef)] {
            input.push_str(&format!("{name}\t{}\n", format.render(&event)));
        }
    }
    let mut child = Command::new(programs.join("python3"))
        .arg(fixture("formats.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "4");
}

#[test]
fn a_file_is_rotated_and_holds_every_line_once() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("alerts.jsonl");
    let address = format!("file://{}?rotate_bytes=20000&keep=50", file.display());
    let mut agent = sinks(&directory.path().join("spool"), &[address]);
    for number in 0..400 {
        agent.send(&alert(number));
        if number % 40 == 0 {
            delivered(&agent);
        }
    }
    drop(agent);
    let mut ids = Vec::new();
    let mut files = 0;
    for entry in fs::read_dir(directory.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            files += 1;
            for line in fs::read_to_string(path).unwrap().lines() {
                let event: Event = serde_json::from_str(line).unwrap();
                let Event::Alert(alert) = event else {
                    continue;
                };
                ids.push(alert.id);
            }
        }
    }
    ids.sort();
    let expected: Vec<String> = (0..400).map(|number| format!("a{number:06}")).collect();
    assert_eq!(ids, expected);
    assert!(files > 3, "{files} files");
}
