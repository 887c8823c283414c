//! `cargo xtask bench pipeline`: recorded events in memory through the whole user side, stage by stage.
//!
//! The work is done by the bench of the same name in the agent's package; this builds it, runs it, and shows its lines.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde_json::Value;

use crate::shell::{cargo, output_of, say};

/// Names of the stages of an exchange, in order.
pub(super) const STAGES: [&str; 3] = ["flow", "inventory", "analysis"];

/// One line of the bench.
#[derive(Debug, Deserialize)]
struct Line {
    case: String,
    stage: String,
    ns: u64,
}

/// Measures, and prints a line for each case. The figures.
pub(super) fn measure(root: &Path) -> Result<Value> {
    let lines = output_of(&mut Command::new(build(root)?))?;
    let lines: Vec<Line> = parse(&lines)?;
    for stages in lines.chunks(STAGES.len()) {
        let Some(first) = stages.first() else { continue };
        let parts: Vec<String> = stages
            .iter()
            .map(|line| format!("{} {}", line.stage, line.ns))
            .collect();
        let sum: u64 = stages.iter().map(|line| line.ns).sum();
        say(format!(
            "{}: {sum} ns per exchange ({})",
            first.case,
            parts.join(", ")
        ));
    }
    let rows = lines
        .iter()
        .map(|line| serde_json::json!({"case": line.case, "stage": line.stage, "ns": line.ns}));
    Ok(Value::Array(rows.collect()))
}

/// Builds the bench; where it lies.
pub(super) fn build(root: &Path) -> Result<PathBuf> {
    say("building what is measured");
    let messages = output_of(cargo(root).args([
        "bench",
        "--quiet",
        "--locked",
        "--profile",
        "gate",
        "--package",
        "apiarist",
        "--bench",
        "pipeline",
        "--no-run",
        "--message-format=json",
    ]))?;
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        // The agent itself is built, too.
        .filter(|message| message.pointer("/target/kind/0").is_some_and(|kind| kind == "bench"))
        .filter_map(|message| message.get("executable")?.as_str().map(PathBuf::from))
        .next_back()
        .context("cargo named no bench: run `cargo bench --bench pipeline --no-run` to see why")
}

/// The lines that the bench has printed.
pub(super) fn parse<T: for<'a> Deserialize<'a>>(text: &str) -> Result<Vec<T>> {
    text.lines()
        .map(|line| {
            serde_json::from_str(line).with_context(|| format!("the bench printed `{line}`: expected JSON"))
        })
        .collect()
}
