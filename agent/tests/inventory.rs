//! `apiarist inventory`: a snapshot of one day, compared with the next, as a pipeline would.

#![expect(clippy::unwrap_used, reason = "a test may be blunt")]

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use serde_json::{Value, json};

fn apiarist(directory: &Path, arguments: &[&str]) -> Output {
    let binary = env!("CARGO_BIN_EXE_apiarist");
    Command::new(binary)
        .args(arguments)
        .current_dir(directory)
        .output()
        .unwrap()
}

fn said(directory: &Path, arguments: &[&str]) -> String {
    let output = apiarist(directory, arguments);
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// A store of ten calls of each path, with a token or without, answered with a body.
fn store(directory: &Path, name: &str, calls: &[(&str, bool, Value)]) {
    let mut lines = String::new();
    for (target, has_token, answer) in calls {
        for _ in 0..10 {
            let headers = match has_token {
                true => json!([["authorization", "Bearer 0123456789abcdef0123456789abcdef"]]),
                false => json!([]),
            };
            let line = json!({"workload": "shop", "method": "GET", "target": target, "status": 200,
                "request": {"headers": headers},
                "response": {"headers": [["content-type", "application/json"]], "body": answer.to_string()}});
            lines.push_str(&format!("{line}\n"));
        }
    }
    let input = format!("{name}.jsonl");
    fs::write(directory.join(&input), lines).unwrap();
    said(directory, &["replay", &input, "--store", name]);
}

#[test]
fn what_changed_between_two_snapshots_is_told_and_fails_the_pipeline() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let user = json!({"id": 7, "name": "lamp"});
    store(
        directory,
        "monday",
        &[("/v1/users", true, user.clone()), ("/v1/old", true, user.clone())],
    );
    let leaky = json!({"id": "seven", "name": "lamp", "iban": "DE89370400440532013000"});
    store(
        directory,
        "friday",
        &[("/v1/users", false, leaky), ("/v1/new", true, user)],
    );
    said(
        directory,
        &["inventory", "snapshot", "--store", "monday", "-o", "monday.json"],
    );
    let snapshot = said(directory, &["inventory", "snapshot", "--store", "friday"]);
    assert!(!snapshot.contains("DE89"), "{snapshot}");
    fs::write(directory.join("friday.json"), snapshot).unwrap();

    let text = said(
        directory,
        &["inventory", "diff", "monday.json", "friday.json", "-o", "json"],
    );
    let changes: Vec<Value> = serde_json::from_str(&text).unwrap();
    let told = |change: &str, template: &str, place: Option<&str>| {
        changes.iter().any(|row| {
            row["change"] == change && row["template"] == template && row["place"].as_str() == place
        })
    };
    assert!(told("new", "/v1/new", None), "{text}");
    assert!(told("gone", "/v1/old", None), "{text}");
    assert!(told("auth", "/v1/users", None), "{text}");
    assert!(told("schema", "/v1/users", Some("response 2XX $.id")), "{text}");
    assert!(told("schema", "/v1/users", Some("response 2XX $.iban")), "{text}");
    assert!(told("sensitive", "/v1/users", Some("response $.iban")), "{text}");

    // Directories of stores stand for what is in them; a table is for people.
    let table = said(directory, &["inventory", "diff", "monday", "friday"]);
    assert!(
        table.starts_with("CHANGE") && table.contains("/v1/new"),
        "{table}"
    );
    let same = said(
        directory,
        &[
            "inventory",
            "diff",
            "friday.json",
            "--store",
            "friday",
            "--fail-on",
            "any",
        ],
    );
    assert_eq!(same, "Nothing changed.\n");
    for (kinds, code) in [("new", 1), ("any", 1), ("exposure", 0)] {
        let arguments = [
            "inventory",
            "diff",
            "monday.json",
            "friday.json",
            "--fail-on",
            kinds,
        ];
        assert_eq!(
            apiarist(directory, &arguments).status.code(),
            Some(code),
            "{kinds}"
        );
    }
}

#[test]
fn what_cannot_be_compared_is_explained() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    store(directory, "friday", &[("/v1/users", true, json!({"id": 7}))]);
    for (old, word) in [
        ("nothing.json", "neither a snapshot, a store nor a time"),
        ("7d", "keeps no snapshot"),
        ("friday.jsonl", "it is no snapshot"),
    ] {
        let output = apiarist(directory, &["inventory", "diff", old, "--store", "friday"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{old}: {said}");
        assert!(said.contains(word) && said.lines().count() == 1, "{old}: {said}");
    }
}
