//! The examples of every `--help`, run as they stand on a store of a replay, each or with the reason why it is not.
//!
//! That all of them are accepted is tested where they are defined.

#![expect(clippy::unwrap_used, reason = "a test may be blunt")]

use std::{
    env, fs,
    path::Path,
    process::{Command, Output},
};

use apiarist::{
    clock::Timestamp,
    snapshot::{Snapshot, VERSION},
    store::{Batch, Row, Store},
};

const BINARY: &str = env!("CARGO_BIN_EXE_apiarist");

/// What is not run here, and why.
const ELSEWHERE: [(&str, &str); 11] = [
    ("apiarist run", "needs root and a kernel: the live tests run it"),
    (
        "apiarist record",
        "needs root and a kernel: the live tests run it",
    ),
    (
        "apiarist observe",
        "needs root and a kernel: the live tests run it",
    ),
    ("apiarist top", "needs a terminal: tests/top.rs runs it"),
    ("--follow", "needs an agent: tests/cli.rs runs it"),
    ("--fleet", "needs a database"),
    ("apiarist fleet", "needs a database"),
    (
        "apiarist deny",
        "needs an incident: its formats are tested where they are made",
    ),
    ("apiarist listeners", "needs an agent that has looked at sockets"),
    (
        "apiarist doctor",
        "says what this host lacks: tests/cli.rs runs it",
    ),
    (
        "apiarist completions",
        "writes to places of the system: tests/cli.rs runs it",
    ),
];

/// Commands that check: they may end with 1.
const CHECKS: [&str; 4] = ["spec diff", "spec lint", "inventory diff", "policy test"];

/// Commands that answer from an agent, unless a store is named.
const ANSWERS: [&str; 16] = [
    "endpoints",
    "endpoint",
    "workloads",
    "workload",
    "graph",
    "inventory",
    "egress",
    "alerts",
    "anomalies",
    "findings",
    "risks",
    "status",
    "report",
    "spec export",
    "spec diff",
    "listeners",
];

/// Runs a line as a shell would, in a directory, with `apiarist` where shells look for it.
fn shell(line: &str, directory: &Path) -> Output {
    let own = Path::new(BINARY).parent().unwrap().display().to_string();
    let path = format!("{own}:{}", env::var("PATH").unwrap_or_default());
    Command::new("sh")
        .args(["-c", line])
        .env("PATH", path)
        .current_dir(directory)
        .output()
        .unwrap()
}

/// The examples of a command and of all below it.
fn examples(command: &[&str], found: &mut Vec<String>) {
    let help = Command::new(BINARY).args(command).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let has_examples = help.contains("EXAMPLES:");
    assert!(
        has_examples,
        "`apiarist {} --help` has no example",
        command.join(" ")
    );
    let (_, after) = help.split_once("EXAMPLES:").unwrap();
    let lines = after
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("apiarist "));
    found.extend(lines.map(str::to_owned));
    let inner = help.split_once("\nCommands:\n").map_or("", |(_, inner)| inner);
    for line in inner.lines().take_while(|line| !line.is_empty()) {
        // A name stands two spaces in; what continues its description, further.
        let name = line.strip_prefix("  ").filter(|rest| !rest.starts_with(' '));
        if let Some(name) = name.and_then(|rest| rest.split_whitespace().next()) {
            examples(&[command, &[name]].concat(), found);
        }
    }
}

/// An example with the files of this test in the place of the system's.
fn here(example: &str, endpoint: &str) -> String {
    let line = example.split(" | ").next().unwrap_or(example);
    let line = line
        .replace("/var/lib/apiarist", "./store")
        .replace("/etc/apiarist/", "./")
        .replace("9f31c2", endpoint)
        .replace("workload 0f3c", "workload shop");
    let asks = ANSWERS
        .iter()
        .any(|command| line.starts_with(&format!("apiarist {command}")));
    if !asks || line.contains("--store") {
        return line;
    }
    match line.split_once(" > ").filter(|_| !line.contains("--filter")) {
        Some((command, file)) => format!("{command} --store ./store > {file}"),
        None => format!("{line} --store ./store"),
    }
}

/// The files that the examples name.
fn prepare(directory: &Path) {
    let write = |name: &str, text: &str| fs::write(directory.join(name), text).unwrap();
    let exchange = "{\"workload\":\"shop\",\"method\":\"GET\",\"target\":\"/v1/users/7\",\"status\":200}\n";
    for name in [
        "traffic.pcap",
        "monday.har",
        "tuesday.jsonl.gz",
        "traffic.jsonl.gz",
        "shop.apr",
    ] {
        // Told apart by content, not by name.
        write(name, &exchange.repeat(3));
    }
    let document = "openapi: 3.0.3\ninfo: {title: Shop, version: '1'}\npaths:\n  /v1/users/{userId}:\n    get:\n      responses: {'200': {description: A user}}\n";
    for name in ["openapi.yml", "users.yml"] {
        write(name, document);
    }
    write(
        "orders.json",
        r#"{"openapi":"3.0.3","info":{"title":"Orders","version":"1"},"paths":{}}"#,
    );
    write("policies.toml", "");
    write("apiarist.toml", "");
    for store in ["store", "result"] {
        let made = shell(
            &format!("apiarist replay traffic.pcap --store ./{store}"),
            directory,
        );
        assert!(made.status.success(), "{made:?}");
    }
    for name in ["monday.json", "friday.json"] {
        let made = shell(
            &format!("apiarist inventory snapshot --store ./store -o {name}"),
            directory,
        );
        assert!(made.status.success(), "{made:?}");
    }
    keep_a_snapshot(&directory.join("store"));
}

/// What an agent does once a day, long ago.
fn keep_a_snapshot(store: &Path) {
    let snapshot = Snapshot {
        apiarist_snapshot: VERSION,
        taken: "2023-11-14T22:13:20Z".to_owned(),
        endpoints: Vec::new(),
    };
    let row = Row {
        id: "2023-11-14".to_owned(),
        workload: String::new(),
        last_seen: Timestamp(1_700_000_000_000_000_000),
        record: snapshot.pack().unwrap(),
    };
    let batch = Batch {
        snapshots: vec![row],
        ..Batch::default()
    };
    let mut opened = Store::open(store, 1 << 30, Timestamp(0)).unwrap();
    opened.store.save(&batch).unwrap();
}

#[test]
fn every_example_works_or_has_a_reason() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    prepare(directory);
    let listed = shell("apiarist endpoints --store ./store -o jsonl", directory);
    let row: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    let endpoint = row["id"].as_str().unwrap();

    let mut found = Vec::new();
    examples(&[], &mut found);
    let mut ran = 0;
    for example in &found {
        if ELSEWHERE.iter().any(|(part, _)| example.contains(part)) {
            continue;
        }
        let line = here(example, endpoint);
        let output = shell(&line, directory);
        let said = String::from_utf8_lossy(&output.stderr);
        let is_check = CHECKS.iter().any(|command| line.contains(command));
        let is_well = output.status.success() || (is_check && output.status.code() == Some(1));
        assert!(
            is_well && !said.contains("apiarist: "),
            "{example}\n{line}\n{output:?}"
        );
        ran += 1;
    }
    assert!(ran > 60, "only {ran} of {} examples were run", found.len());
}
