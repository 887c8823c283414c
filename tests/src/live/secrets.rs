//! Secrets that pass through the agent are nowhere in what it leaves: files, logs, alerts, answers.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt as _, path::Path, time::Duration};

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;

use super::{
    agent::{Agent, PATIENCE, bare},
    binary, lacks, note,
    place::{Place, fixture},
    program::{Program, command},
    wait::until,
};

/// Questions whose answers are searched; more than one word is options.
const QUESTIONS: &[&[&str]] = &[
    &["endpoints"],
    &["workloads"],
    &["alerts"],
    &["anomalies"],
    &["findings"],
    &["risks"],
    &["status"],
    &["graph"],
    &["baseline"],
    &["spec", "export"],
];

/// A secret at every place that has room for one: none of them is kept, sent, logged or answered.
pub(super) fn secrets_are_kept_nowhere(place: &Place) -> Result<()> {
    let alerts = place.file("alerts.jsonl");
    // One sink that nobody answers for: what waits for it is searched as well.
    let config = place.write(
        "config.toml",
        "[store]\nflush_seconds = 1\n[alerts]\n\
         sinks = [\"syslog+tcp://127.0.0.1:1?events=incident,anomaly,finding\"]\n",
    )?;
    let agent = Agent::of(
        place,
        &["--config", &config, "--alerts", &alerts, "--log", "debug"],
    )?;
    let seeds = sow(place)?;
    until(3 * PATIENCE, || {
        let rows = agent.endpoints()?;
        let seen = |part: &str| rows.iter().any(|row| row.template.contains(part));
        ensure!(seen("/v1/login") && seen("/chat"), "not all was seen: {rows:?}");
        ensure!(!fs::read(&alerts)?.is_empty(), "no alert was sent");
        Ok(())
    })?;
    let mut left: Vec<(String, Vec<u8>)> = Vec::new();
    for question in QUESTIONS {
        let mut asked = bare(&binary::apiarist()?);
        asked
            .args(*question)
            .args(["--socket", &place.file("agent.sock"), "-o", "json"]);
        let mut output = asked.output()?;
        if !output.status.success() {
            let mut asked = bare(&binary::apiarist()?);
            asked
                .args(*question)
                .args(["--socket", &place.file("agent.sock")]);
            output = asked.output()?;
        }
        let answer = [output.stdout, output.stderr].concat();
        ensure!(answer.len() > 2, "{question:?} has no answer");
        left.push((format!("the answer to {question:?}"), answer));
    }
    let report = place.file("report.html");
    let mut asked = bare(&binary::apiarist()?);
    asked.args(["report", "--socket", &place.file("agent.sock"), "-o", &report]);
    ensure!(asked.status()?.success(), "no report was written");
    let ended = agent.stop(Signal::TERM)?;
    left.push(("standard output".to_owned(), ended.out.into_bytes()));
    left.push(("the log".to_owned(), ended.err.into_bytes()));
    for file in [alerts, report] {
        left.push((file.clone(), fs::read(file)?));
    }
    collect(Path::new(&place.file("store")), &mut left)?;
    let spooled = left
        .iter()
        .any(|(name, text)| name.contains("spool") && !text.is_empty());
    ensure!(spooled, "nothing waits for the sink");
    let bytes: usize = left.iter().map(|(_, text)| text.len()).sum();
    let found = found(&seeds, &left);
    ensure!(found.is_empty(), "secrets were kept:\n{}", found.join("\n"));
    note(&format!(
        "{} secrets, none in {} KiB of {} places",
        seeds.len(),
        bytes >> 10,
        left.len()
    ));
    Ok(())
}

/// Asked to record, the agent keeps what was said, for the owner of the file alone.
pub(super) fn a_recording_is_its_owners(place: &Place) -> Result<()> {
    let recording = place.file("seeded.apr");
    let mut record = bare(&binary::apiarist()?);
    record.args(["record", "-o", &recording]);
    let recorder = Program::start(&mut record, place)?;
    until(PATIENCE, || {
        ensure!(fs::metadata(&recording)?.len() > 0, "nothing is recorded");
        Ok(())
    })?;
    let seeds = sow(place)?;
    recorder.signal(Signal::TERM)?;
    recorder.end(PATIENCE)?.success()?;
    let mode = fs::metadata(&recording)?.permissions().mode() & 0o777;
    ensure!(mode == 0o600, "its mode is {mode:o}");
    let text = fs::read(&recording)?;
    let bearer = seeds.iter().find(|(place, _)| place.starts_with("bearer"));
    let (_, bearer) = bearer.context("no such seed")?;
    ensure!(has(&text, bearer), "what was asked for is not there");
    Ok(())
}

/// Sends the secrets; each with its place.
fn sow(place: &Place) -> Result<BTreeMap<String, String>> {
    for module in ["grpc", "websockets"] {
        if !Path::new("/usr/lib/python3/dist-packages").join(module).is_dir() {
            return Err(lacks(&format!("python3-{module}")));
        }
    }
    let mut program = command("python3")?;
    program.arg(fixture("seeded.py"));
    let said = Program::run(&mut program, place, Duration::from_secs(60))?.success()?;
    serde_json::from_str(&said).context("the secrets are not told")
}

/// All files below a directory.
fn collect(directory: &Path, left: &mut Vec<(String, Vec<u8>)>) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        match path.is_dir() {
            true => collect(&path, left)?,
            false => left.push((path.display().to_string(), fs::read(&path)?)),
        }
    }
    Ok(())
}

fn found(seeds: &BTreeMap<String, String>, left: &[(String, Vec<u8>)]) -> Vec<String> {
    let mut found = Vec::new();
    for (place, seed) in seeds {
        let kept = left.iter().filter(|(_, text)| has(text, seed));
        found.extend(kept.map(|(name, _)| format!("{place} in {name}")));
    }
    found
}

fn has(text: &[u8], part: &str) -> bool {
    memchr::memmem::find(text, part.as_bytes()).is_some()
}
