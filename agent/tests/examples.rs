//! The examples of `--help`, run: those of the commands that can answer from a store, on a store of a replay.
//!
//! That the examples of all commands are accepted is tested where they are defined.

#![expect(clippy::unwrap_used, reason = "a test may be blunt")]

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

const BINARY: &str = env!("CARGO_BIN_EXE_apiarist");

const COMMANDS: [&str; 8] = [
    "endpoints",
    "workloads",
    "alerts",
    "anomalies",
    "findings",
    "risks",
    "status",
    "report",
];

/// Runs a line as a shell would, in a directory.
fn shell(line: &str, directory: &Path) -> Output {
    Command::new("sh")
        .args(["-c", line])
        .current_dir(directory)
        .output()
        .unwrap()
}

/// The examples of a command, without what a pipe or a file would do with their output.
fn examples(command: &str) -> Vec<String> {
    let help = Command::new(BINARY).args([command, "--help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let (_, after) = help.split_once("EXAMPLES:").unwrap();
    let lines = after
        .lines()
        .filter_map(|line| line.trim().strip_prefix("apiarist "));
    lines
        .map(|line| line.split(" | ").next().unwrap_or(line))
        .map(|line| {
            line.split(" > ")
                .next()
                .filter(|_| !line.contains("--filter"))
                .unwrap_or(line)
        })
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_example_that_a_store_can_answer_works() {
    let directory = tempfile::tempdir().unwrap();
    let lines =
        "{\"workload\":\"shop\",\"method\":\"GET\",\"target\":\"/v1/users/7\",\"status\":200}\n".repeat(3);
    fs::write(directory.path().join("shop.jsonl"), lines).unwrap();
    let replayed = shell(
        &format!("'{BINARY}' replay shop.jsonl --store ./store"),
        directory.path(),
    );
    assert!(replayed.status.success(), "{replayed:?}");
    for command in COMMANDS {
        let mut ran = 0;
        for example in examples(command) {
            // These need an agent.
            if example.contains("--follow") || example.contains("--socket") {
                continue;
            }
            let line = match example.contains("--store ") {
                true => example.replace("/var/lib/apiarist", "./store"),
                false => format!("{example} --store ./store"),
            };
            let output = shell(&format!("'{BINARY}' {line}"), directory.path());
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && said.is_empty(), "{line}: {said}");
            ran += 1;
        }
        assert!(ran > 0, "`{command} --help` has no example for a store");
    }
}
