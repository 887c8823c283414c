//! A project's pytest suite under `apiarist observe`: what a pipeline gets, ten times over.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Command, Output},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{
    agent::bare,
    binary, note,
    place::{Place, fixture},
    program::{Program, command},
    same,
    servers::{free_port, nginx},
};
use crate::{python::interpreter, schemas};

const RUNS: usize = 10;

/// The suite, and readers of its results that others wrote.
const PACKAGES: [&str; 8] = [
    "pytest",
    "pyyaml",
    "jsonschema",
    "lxml",
    "openapi-spec-validator",
    "sarif-pydantic",
    "sarif-tools",
    "junitparser",
];

/// Files that do not change from run to run.
const STABLE: [&str; 5] = [
    "openapi/leaky_api.py.yaml",
    "apiarist.sarif",
    "junit.xml",
    "summary.md",
    "coverage.json",
];

fn observe(place: &Place, out: &str, arguments: &[&str], command: &[&str]) -> Result<Output> {
    let mut observe = bare(&binary::apiarist()?);
    observe
        .args(["observe", "--out", &place.file(out)])
        .args(arguments)
        .arg("--")
        .args(command)
        // What Python compiles stays out of the sources.
        .env("PYTHONDONTWRITEBYTECODE", "1");
    observe.output().context("cannot run the agent's binary")
}

fn json(place: &Place, path: &str) -> Result<Value> {
    let text = fs::read(place.file(path)).with_context(|| format!("{path} is missing"))?;
    Ok(serde_json::from_slice(&text)?)
}

pub(super) fn a_suite_gives_the_same_ten_times(place: &Place) -> Result<()> {
    let python = interpreter("observe-python", &PACKAGES)?
        .to_string_lossy()
        .into_owned();
    let (suite, document) = (
        fixture("observe/test_leaky_api.py"),
        fixture("observe/openapi.yaml"),
    );
    let command = [&*python, "-m", "pytest", "-q", "-p", "no:cacheprovider", &suite];
    let mut first: BTreeMap<&str, String> = BTreeMap::new();
    for run in 0..RUNS {
        let out = format!("run-{run}");
        let output = observe(place, &out, &["--spec", &document], &command)?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(
            output.status.code() == Some(1),
            "run {run} ended with {}: {said}{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        for name in STABLE {
            let text = fs::read_to_string(Path::new(&place.file(&out)).join(name))
                .with_context(|| format!("{name} is missing: {said}"))?;
            let known = first.entry(name).or_insert_with(|| text.clone());
            let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
            same(
                &format!("lines of {name} in run {run}"),
                &lines(&text),
                &lines(known),
            )?;
        }
    }
    named(place)?;
    let validator = fixture("observe/validate.py");
    let output = Command::new(&python)
        .args([&validator, &place.file("run-0")])
        .output()?;
    ensure!(
        output.status.success(),
        "a result was not taken: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let schemas = schemas::of_this_test()?;
    let judged = Command::new(&python)
        .arg(fixture("reports.py"))
        .args([&schemas.sarif, &schemas.junit])
        .args(["run-0/apiarist.sarif", "run-0/junit.xml"])
        .current_dir(place.path())
        .output()?;
    ensure!(
        judged.status.success(),
        "a report does not fit its schema: {}",
        String::from_utf8_lossy(&judged.stderr)
    );
    note(&format!(
        "{RUNS} runs alike; documents, SARIF results and JUnit cases taken by others' readers: {}",
        String::from_utf8_lossy(&output.stdout).trim()
    ));
    Ok(())
}

/// Every operation that is not documented or not exercised has its name in the results, and the worst comes first.
fn named(place: &Place) -> Result<()> {
    let coverage = json(place, "run-0/coverage.json")?;
    let each = coverage.get("each").and_then(Value::as_array);
    let missing: Vec<String> = each
        .into_iter()
        .flatten()
        .filter(|operation| operation.get("hits") == Some(&0.into()))
        .map(|operation| {
            let text = |name: &str| operation.get(name).and_then(Value::as_str).unwrap_or_default();
            format!("{} {}", text("method"), text("path"))
        })
        .collect();
    same(
        "operations not exercised",
        &missing,
        &[
            "DELETE /users/{username}".to_owned(),
            "PUT /users/{username}/password".to_owned(),
        ],
    )?;
    let sarif = json(place, "run-0/apiarist.sarif")?;
    let results = sarif.pointer("/runs/0/results").and_then(Value::as_array);
    let of_rule = |rule: &str| -> Vec<String> {
        results
            .into_iter()
            .flatten()
            .filter(|result| result.get("ruleId").and_then(Value::as_str) == Some(rule))
            .filter_map(|result| {
                let name = "/locations/0/logicalLocations/0/fullyQualifiedName";
                Some(result.pointer(name)?.as_str()?.to_owned())
            })
            .collect()
    };
    same(
        "shadow endpoints",
        &of_rule("shadow_endpoint"),
        &["GET /export".to_owned()],
    )?;
    // What the answer has and the document has not; optional parameters and fields that were absent are nothing.
    same(
        "undocumented fields",
        &of_rule("undocumented_field"),
        &["GET /books/{title}".to_owned()],
    )?;
    for silent in ["required_field_absent", "type_mismatch", "undocumented_parameter"] {
        same(silent, &of_rule(silent), &[])?;
    }
    let risks = json(place, "run-0/risks.json")?;
    let first = risks
        .as_array()
        .into_iter()
        .flatten()
        .find(|row| row.get("endpoint").is_some_and(Value::is_string));
    let first = first
        .and_then(|row| row.get("endpoint_name"))
        .and_then(Value::as_str);
    ensure!(first == Some("GET /users/_debug"), "the worst is {first:?}");
    Ok(())
}

pub(super) fn exit_codes_are_for_pipelines(place: &Place) -> Result<()> {
    for (command, gate, expected) in [
        (&["true"][..], "high", 0),
        (&["sh", "-c", "exit 7"], "high", 7),
        (&["sh", "-c", "kill -9 $$"], "high", 137),
        (&["/no/such/program"], "high", 127),
        (&["true"], "no-such-thing!", 2),
    ] {
        let output = observe(place, "out", &["--fail-on", gate], command)?;
        ensure!(
            output.status.code() == Some(expected),
            "{command:?} gave {}, not {expected}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    // Daemons that a command leaves behind belong to it, others do not.
    let endpoints = json(place, "out/endpoints.json")?;
    ensure!(endpoints == Value::Array(Vec::new()), "{endpoints}");
    Ok(())
}

/// Whatever else the machine does costs no room in the rings: results do not depend on it.
pub(super) fn neighbours_are_not_looked_at(place: &Place) -> Result<()> {
    let port = free_port()?;
    let server = format!("server {{ listen 127.0.0.1:{port}; location / {{ return 200 'x'; }} }}");
    let _server = nginx(place, "nginx-neighbour", port, &server)?;
    let url = format!("http://127.0.0.1:{port}/");
    let mut load = command("wrk")?;
    let neighbour = Program::start(load.args(["-t1", "-c8", "-d60s", &url]), place)?;
    let asks = format!("for i in 1 2 3 4 5; do curl -s '{url}observed'; sleep 0.2; done");
    let output = observe(place, "out", &[], &["sh", "-c", &asks])?;
    drop(neighbour);
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let status = json(place, "out/status.json")?;
    let count = |path: &str| status.pointer(path).and_then(Value::as_u64);
    let (events, lost) = (count("/events"), count("/lost/ring_full_events"));
    // Five calls: announcements, requests, answers, closes, and what else a shell does.
    ensure!(
        events.is_some_and(|events| (5..200).contains(&events)) && lost == Some(0),
        "{events:?} events were read, {lost:?} lost"
    );
    Ok(())
}
