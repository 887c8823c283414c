//! The command line as a user meets it: the built binary, its exit codes, its sentences, its output.

#![expect(clippy::unwrap_used, reason = "a test may be blunt")]

#[path = "cli/agent.rs"]
mod agent;

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Output, Stdio},
};

use agent::{alert, endpoints, finding, with_agent, with_older_agent};
use apiarist::{
    analysis::Changes,
    clock::Timestamp,
    status::Status,
    store::{Batch, Row, Store},
};
use serde_json::{Value, json};

/// Runs the binary without what the environment of the tests could change.
fn apiarist(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_apiarist"));
    command.args(arguments).stdin(Stdio::null());
    for name in ["RUST_LOG", "APIARIST_CONFIG", "APIARIST_SOCKET", "NO_COLOR"] {
        command.env_remove(name);
    }
    command
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Asserts that the binary fails with this code and exactly one sentence that contains `part`.
fn refuses(arguments: &[&str], code: i32, part: &str) {
    let output = apiarist(arguments);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    assert_eq!(said.lines().count(), 1, "{arguments:?}: {said}");
    assert!(said.starts_with("apiarist: "), "{arguments:?}: {said}");
    assert!(said.contains(part), "{arguments:?}: {said}");
    assert!(output.stdout.is_empty(), "{arguments:?}");
}

fn succeeds(arguments: &[&str]) -> String {
    let output = apiarist(arguments);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {said}");
    assert_eq!(said, "", "{arguments:?}");
    text(&output.stdout).to_owned()
}

#[test]
fn bad_usage_is_one_sentence_and_code_2() {
    refuses(&[], 2, "a command is missing");
    refuses(&["endpoints", "--sokcet", "x"], 2, "'--socket'");
    refuses(
        &["endpoints", "-o", "xml"],
        2,
        "possible values: table, json, jsonl, csv, yaml",
    );
    refuses(&["endpoint"], 2, "<ID>");
    refuses(
        &["endpoints", "--filter", "hits > and"],
        2,
        "at column 8: expected a value",
    );
    refuses(&["endpoints", "--since", "yesterday"], 2, "is no time");
    refuses(&["endpoints", "--limit=-1"], 2, "--limit");
    refuses(&["endpoints", "--limit", "99999999999999999999"], 2, "--limit");
    refuses(
        &["endpoints", "--sort", &"x".repeat(2000)],
        2,
        "--sort is longer than 1024 bytes: shorten it",
    );
    refuses(
        &["endpoints", "--filter", "template ~ '(a{0,1000}){0,1000}'"],
        2,
        "--filter is wrong at column 12: this regular expression matches too much",
    );
    refuses(
        &["endpoints", "--store", "a", "--socket", "b"],
        2,
        "cannot be used with",
    );
    refuses(&["workloads", "--method", "GET"], 2, "a workload has neither");
    refuses(&["run", "--port", "0"], 2, "1..=65535");
    refuses(&["run", "--duration", "soon"], 2, "write a span such as 30s");
    refuses(
        &["run", "--container", "abc"],
        2,
        "at least its first 12 hex digits",
    );
    refuses(
        &["run", "--config", "/nonexistent.toml"],
        2,
        "cannot read the configuration /nonexistent.toml",
    );
    refuses(&["endpoints", "--log", "=-="], 2, "log filter");
}

#[test]
fn an_agent_that_is_not_there_is_code_3() {
    refuses(
        &["status", "--socket", "/nonexistent/api.sock"],
        3,
        "start one with `apiarist run`",
    );
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("dead.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    refuses(
        &["endpoints", "--socket", path.to_str().unwrap()],
        3,
        "no agent listens on",
    );
}

#[test]
fn queries_show_what_the_agent_answers() {
    with_agent(|socket| {
        let rows: Value =
            serde_json::from_str(&succeeds(&["endpoints", "--socket", socket, "-o", "json"])).unwrap();
        assert_eq!(rows, serde_json::to_value(endpoints()).unwrap());
        let table = succeeds(&["endpoints", "--socket", socket]);
        assert!(table.starts_with("ID "), "{table}");
        assert!(
            !table.contains('\u{1b}'),
            "neither colour nor what the network sent: {table}"
        );
        let lines = succeeds(&[
            "endpoints",
            "--socket",
            socket,
            "-o",
            "jsonl",
            "--filter",
            "hits > 10",
        ]);
        assert_eq!(lines.lines().count(), 1);
        let csv = succeeds(&["endpoints", "--socket", socket, "-o", "csv", "--sort", "hits"]);
        assert!(
            csv.starts_with("id,workload,kind,method,") && csv.contains("\nbb22"),
            "{csv}"
        );
        let yaml = succeeds(&[
            "endpoints",
            "--socket",
            socket,
            "-o",
            "yaml",
            "--since",
            "2026-01-31T08:30:00Z",
        ]);
        assert!(yaml.starts_with("- id: bb22000000000000\n"), "{yaml}");
        let one = succeeds(&["endpoint", "aa", "--socket", socket]);
        assert!(one.contains("template: /v1/users/{userId}\n"), "{one}");
        refuses(
            &["endpoint", "cc", "--socket", socket],
            2,
            "no endpoint has the id `cc`",
        );
        refuses(
            &["endpoints", "--socket", socket, "--sort", "hit"],
            2,
            "--sort: no row has `hit`: did you mean `hits`?",
        );
        let pages = [("0", "1"), ("1", "1"), ("2", "18446744073709551615")].map(|(offset, limit)| {
            let page = ["--offset", offset, "--limit", limit, "--sort", "-hits"];
            succeeds(&[&["endpoints", "--socket", socket, "-o", "jsonl"], &page[..]].concat())
        });
        let all = succeeds(&["endpoints", "--socket", socket, "-o", "jsonl", "--sort", "-hits"]);
        assert_eq!(pages.concat(), all);
        let status: Value =
            serde_json::from_str(&succeeds(&["status", "--socket", socket, "-o", "json"])).unwrap();
        assert_eq!(status["tier"], 1);
        assert!(succeeds(&["status", "--coverage", "--socket", socket]).contains("No workload seen yet."));
    });
}

#[test]
fn what_an_older_agent_does_not_select_is_selected_here() {
    // The first endpoint has more hits: an answer of one row does not hold the one that is wanted.
    with_older_agent(2, |socket| {
        let run = ["endpoints", "--socket", socket, "-o", "jsonl", "--limit", "1"];
        let found = succeeds(&[&run[..], &["--sort", "hits"]].concat());
        let row: Value = serde_json::from_str(&found).unwrap();
        let fewest = endpoints().into_iter().min_by_key(|row| row.hits).unwrap();
        assert_eq!(row, serde_json::to_value(fewest).unwrap());
    });
}

#[test]
fn verdicts_are_listed_live_and_from_a_store() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().to_str().unwrap();
    let mut batch = Batch::default();
    batch.add_changes(&Changes {
        alerts: vec![alert()],
        anomalies: vec![alert()],
        findings: vec![finding()],
    });
    let mut writer = store_with_status(directory.path());
    writer.save(&batch).unwrap();
    with_agent(|socket| {
        for source in [["--socket", socket], ["--store", store]] {
            let run = |arguments: &[&str]| succeeds(&[arguments, &source[..]].concat());
            for command in ["alerts", "anomalies"] {
                let table = run(&[command]);
                assert!(
                    table.contains("high      sqli   shop      GET /v1/users/{userId}  10.0.0.7      3  open   a1b2c3d4e5f6"),
                    "{table}"
                );
                let rows: Value = serde_json::from_str(&run(&[command, "-o", "json"])).unwrap();
                assert_eq!(rows, json!([serde_json::to_value(alert()).unwrap()]));
                assert_eq!(
                    run(&[command, "--since", "2026-02-01T00:00:00Z", "-o", "jsonl"]),
                    ""
                );
            }
            let table = run(&["findings", "--filter", "severity >= \"medium\""]);
            assert!(table.contains("medium    plain_http_credentials"), "{table}");
            assert_eq!(run(&["findings", "--method", "GET"]), "No finding matches.\n");
        }
        let table = succeeds(&["risks", "--socket", socket]);
        assert!(table.contains("sensitive_data"), "{table}");
        assert_eq!(
            succeeds(&["risks", "--store", store]),
            "Nothing with a risk matches.\n"
        );
    });
}

#[test]
fn alerts_are_followed_until_the_agent_stops() {
    with_agent(|socket| {
        let lines = succeeds(&["alerts", "-f", "--socket", socket, "-o", "jsonl"]);
        let row: Value = serde_json::from_str(&lines).unwrap();
        assert_eq!(row, serde_json::to_value(alert()).unwrap());
        let text = succeeds(&["alerts", "--follow", "--socket", socket]);
        assert!(text.ends_with("10.0.0.7  open: SQL in query.full\n"), "{text}");
        let none = succeeds(&[
            "alerts",
            "-f",
            "--socket",
            socket,
            "--filter",
            "severity > \"high\"",
        ]);
        assert_eq!(none, "");
    });
    refuses(&["alerts", "-f", "--store", "x"], 2, "cannot be used with");
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let mut child = command(&["completions", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(&output.stderr), "");
}

fn store_with_status(directory: &Path) -> Store {
    let mut store = Store::open(directory, 1 << 24, Timestamp(0)).unwrap().store;
    let status = serde_json::to_vec(&Status {
        exchanges: 7,
        ..Status::default()
    })
    .unwrap();
    store
        .save(&Batch {
            status: Some(status),
            ..Batch::default()
        })
        .unwrap();
    store
}

#[test]
fn a_store_is_read_beside_its_writer_and_after_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    let store = store_with_status(directory.path());
    for _ in 0..2 {
        let status: Value =
            serde_json::from_str(&succeeds(&["status", "--store", path, "-o", "json"])).unwrap();
        assert_eq!(status["exchanges"], 7);
    }
    drop(store);
    assert!(succeeds(&["status", "--store", path]).contains("exchanges   7\n"));
    assert_eq!(succeeds(&["endpoints", "--store", path, "-o", "json"]), "[]\n");
}

#[test]
fn a_store_that_cannot_be_read_is_explained() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    refuses(&["endpoints", "--store", path], 2, "there is no store in");
    fs::write(
        directory.path().join("apiarist.db"),
        "a text, and no database at all",
    )
    .unwrap();
    refuses(&["endpoints", "--store", path], 2, "is damaged");
}

#[test]
fn a_damaged_store_is_told_and_repaired() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    refuses(&["store", "check", "--store", path], 2, "there is no store in");
    refuses(&["store", "repair", "--store", path], 2, "there is no store in");
    drop(store_with_status(directory.path()));
    let told = succeeds(&["store", "check", "--store", path]);
    assert!(told.contains("is whole"), "{told}");
    let told = succeeds(&["store", "repair", "--store", path]);
    assert!(told.ends_with("is whole: nothing was changed\n"), "{told}");
    fs::write(
        directory.path().join("apiarist.db"),
        "a text, and no database at all",
    )
    .unwrap();
    let checked = apiarist(&["store", "check", "--store", path]);
    assert_eq!(checked.status.code(), Some(1));
    let told = String::from_utf8(checked.stdout).unwrap();
    assert!(
        told.contains("is damaged: stop the agent and run `apiarist store repair"),
        "{told}"
    );
    let told = succeeds(&["store", "repair", "--store", path]);
    assert!(told.contains("was repaired: 0 rows were kept"), "{told}");
    succeeds(&["store", "check", "--store", path]);
}

/// A command as a shell would run it on a terminal: all that it shows there.
fn on_a_terminal(arguments: &[&str]) -> Option<String> {
    let words = [&[env!("CARGO_BIN_EXE_apiarist")], arguments].concat();
    let script = Command::new("script")
        .args(["-qec", &words.join(" "), "/dev/null"])
        .env("TERM", "xterm")
        .output();
    Some(String::from_utf8_lossy(&script.ok()?.stdout).into_owned())
}

#[test]
fn what_takes_long_is_said_on_a_terminal_and_nowhere_else() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    drop(store_with_status(directory.path()));
    let file = format!("{path}/report.html");
    let arguments = ["report", "--store", path, "-o", &file];
    let piped = apiarist(&arguments);
    assert_eq!((piped.status.code(), text(&piped.stderr)), (Some(0), ""));
    match on_a_terminal(&arguments) {
        Some(shown) => assert!(shown.contains("gathering what is known"), "{shown:?}"),
        None => eprintln!("skipped: there is no `script` to make a terminal"),
    }
}

#[test]
fn records_of_another_version_are_skipped_and_it_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = Store::open(directory.path(), 1 << 24, Timestamp(0))
        .unwrap()
        .store;
    let row = Row {
        id: "a".into(),
        workload: "w".into(),
        last_seen: Timestamp(1),
        record: b"{\"version\":99}".to_vec(),
    };
    store
        .save(&Batch {
            endpoints: vec![row],
            ..Batch::default()
        })
        .unwrap();
    let output = apiarist(&["endpoints", "--store", directory.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(&output.stdout), "No endpoint matches.\n");
    assert!(
        text(&output.stderr).contains("skipped=1"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn config_check_reports_every_problem_with_its_line() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    write!(
        file,
        "[capture]\nbudget_bytes = 1\nring_byts = 4\n[store]\nflush_seconds = \"x\"\n"
    )
    .unwrap();
    let path = file.path().to_str().unwrap();
    let output = apiarist(&["config", "check", path]);
    assert_eq!(output.status.code(), Some(2));
    let said: Vec<&str> = text(&output.stderr).lines().collect();
    assert_eq!(
        said[0],
        format!("{path}:2:16: `capture.budget_bytes` must be from 256 to 65536")
    );
    assert_eq!(
        said[1],
        format!("{path}:3:1: unknown key `capture.ring_byts`: did you mean `ring_bytes`?")
    );
    assert_eq!(
        said[2],
        format!("{path}:5:17: `store.flush_seconds` must be an integer, not a string")
    );
    assert_eq!(
        said[3],
        format!("apiarist: {path} has 3 problems: correct what is listed above")
    );
    refuses(
        &["run", "--config", path],
        2,
        "(and 2 more: see `apiarist config check",
    );
}

#[test]
fn the_printed_configuration_passes_the_check() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(succeeds(&["config", "print"]).as_bytes()).unwrap();
    let path = file.path().to_str().unwrap();
    assert_eq!(succeeds(&["config", "check", path]), format!("{path}: ok\n"));
    let schema: Value = serde_json::from_str(&succeeds(&["config", "schema"])).unwrap();
    assert_eq!(
        schema["properties"]["capture"]["properties"]["budget_bytes"]["default"],
        8192
    );
}

#[test]
fn completions_exist_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(succeeds(&["completions", shell]).contains("apiarist"), "{shell}");
    }
    refuses(&["completions", "tcsh"], 2, "possible values");
}

#[test]
fn manual_pages_are_written() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("man1");
    succeeds(&["man", "--out", out.to_str().unwrap()]);
    assert!(
        fs::read_to_string(out.join("apiarist-run.1"))
            .unwrap()
            .contains("EXAMPLES")
    );
}

#[test]
fn doctor_lists_every_check_and_its_code_agrees() {
    let output = apiarist(&["doctor", "-o", "json"]);
    let checks: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let failed = checks.iter().any(|check| check["outcome"] == "fail");
    assert_eq!(output.status.code(), Some(i32::from(failed)));
    assert!(checks.iter().any(|check| check["check"] == "privileges"));
}

#[test]
fn help_and_version_go_to_standard_output() {
    assert!(succeeds(&["--version"]).starts_with("apiarist "));
    for command in [
        "run",
        "endpoints",
        "endpoint",
        "workloads",
        "status",
        "doctor",
        "config",
        "record",
        "replay",
        "completions",
    ] {
        let help = succeeds(&[command, "--help"]);
        assert!(help.contains("EXAMPLES:"), "{command}: {help}");
        assert!(!help.contains('\u{1b}'), "{command}: colour in a pipe");
    }
}
