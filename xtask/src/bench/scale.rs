//! `cargo xtask bench scale`: whether an exchange costs the same among few endpoints, connections and workloads as among many.
//!
//! The work is done by the bench `pipeline`; this shows each figure beside that of the smallest size.

use std::{path::Path, process::Command};

use anyhow::Result;
use serde::Deserialize;
use serde_json::{Value, json};

use super::pipeline::{build, parse};
use crate::shell::{output_of, say};

/// One line of the bench.
#[derive(Debug, Deserialize)]
struct Line {
    what: String,
    size: u64,
    ns: u64,
    resident_bytes: u64,
}

/// Measures, and prints a line for each size. The figures.
pub(super) fn measure(root: &Path) -> Result<Value> {
    let text = output_of(Command::new(build(root)?).arg("scale"))?;
    let lines: Vec<Line> = parse(&text)?;
    let mut rows = Vec::new();
    for line in &lines {
        let smallest = lines
            .iter()
            .find(|other| other.what == line.what)
            .map_or(line.ns, |other| other.ns);
        let ratio = line.ns as f64 / smallest.max(1) as f64;
        say(format!(
            "{} {}: {} ns per exchange, {ratio:.2} of the fewest; {:.1} MB resident",
            line.size,
            line.what,
            line.ns,
            line.resident_bytes as f64 / 1e6
        ));
        rows.push(json!({
            "what": line.what,
            "size": line.size,
            "ns": line.ns,
            "ratio": ratio,
            "resident_bytes": line.resident_bytes,
        }));
    }
    Ok(Value::Array(rows))
}
