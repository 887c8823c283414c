//! `cargo xtask bench gate`: instructions per exchange on the hot path, held against a committed table.
//!
//! Counts of callgrind do not depend on what else the machine does, so small losses show. They do depend on the compiler
//! and the C library: with another compiler than the table's nothing is compared. They also depend on where the heap's
//! blocks come to lie, and so on the length of the program's path and of its environment: both are always the same here.
//! A stage that became dearer fails; one that became cheaper is named, to be recorded.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    fs,
    path::Path,
    process::Command,
};

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use super::pipeline::{build, parse};
use crate::{
    setup::{self, Purpose},
    shell::{output_of, say},
    workspace,
};

/// The table, in JSON.
const TABLE: &str = "agent/benches/instructions.json";

/// Largest change that is not named, as a share of the recorded count. The same program differs by up to 0.4 %.
const TOLERANCE: f64 = 0.03;

/// The function of the bench whose every call is a count of its own.
const MEASURED: &str = "pipeline::measured";

/// Instructions per exchange, and what they were counted with.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Table {
    /// The compiler, as it names itself.
    compiler: String,
    /// By case and stage: `json/flow`.
    instructions: BTreeMap<String, u64>,
}

/// One line of the bench.
#[derive(Debug, Deserialize)]
struct Line {
    case: String,
    stage: String,
    exchanges: u64,
}

/// Counts and compares, or records.
///
/// # Errors
/// A count rose by more than [`TOLERANCE`], a stage is missing on one side, or counting failed.
pub(crate) fn check(update: bool) -> Result<()> {
    setup::prepare(Purpose::Gate)?;
    let root = workspace::root()?;
    let counted = count(&root)?;
    for (name, count) in &counted.instructions {
        say(format!("{name}: {count} instructions per exchange"));
    }
    let path = root.join(TABLE);
    if update {
        let mut text = serde_json::to_string_pretty(&counted)?;
        text.push('\n');
        fs::write(&path, text).with_context(|| format!("cannot write {TABLE}"))?;
        say(format!("recorded in {TABLE}"));
        return Ok(());
    }
    let text = fs::read(&path).with_context(|| format!("cannot read {TABLE}"))?;
    let recorded: Table =
        serde_json::from_slice(&text).with_context(|| format!("{TABLE} is damaged: restore it with git"))?;
    if recorded.compiler != counted.compiler {
        say(format!(
            "counted with {}, recorded with {}: not compared",
            counted.compiler, recorded.compiler
        ));
        return Ok(());
    }
    let Moved { dearer, cheaper } = recorded.compare(&counted);
    if !cheaper.is_empty() {
        say(format!(
            "cheaper than recorded: {}. Keep it so with `cargo xtask bench gate --update`",
            cheaper.join("; ")
        ));
    }
    if !dearer.is_empty() {
        bail!(
            "the cost of an exchange rose: {}. Mend it, or record it with `cargo xtask bench gate --update`",
            dearer.join("; ")
        );
    }
    say("no exchange costs more than recorded");
    Ok(())
}

/// Counts that moved by more than [`TOLERANCE`], each with its name and both figures.
#[derive(Debug, Default, PartialEq)]
struct Moved {
    /// Those that rose, and those that only one side has.
    dearer: Vec<String>,
    /// Those that fell.
    cheaper: Vec<String>,
}

impl Table {
    /// What moved from these counts to `counted`.
    fn compare(&self, counted: &Self) -> Moved {
        let names: BTreeSet<&String> = self
            .instructions
            .keys()
            .chain(counted.instructions.keys())
            .collect();
        let shown = |count: Option<&u64>| count.map_or("nothing".to_owned(), u64::to_string);
        let mut moved = Moved::default();
        for name in names {
            let (before, now) = (self.instructions.get(name), counted.instructions.get(name));
            let change = match (before, now) {
                (Some(before), Some(now)) => *now as f64 / *before as f64 - 1.0,
                _ => f64::INFINITY,
            };
            let line = || format!("{name} {} instead of {}", shown(now), shown(before));
            if change > TOLERANCE {
                moved.dearer.push(line());
            } else if change < -TOLERANCE {
                moved.cheaper.push(line());
            }
        }
        moved
    }
}

/// Runs the bench under callgrind, which writes one file for each call of the measured function.
fn count(root: &Path) -> Result<Table> {
    let bench = build(root)?;
    let directory = workspace::target_directory(root).join("callgrind");
    if directory.exists() {
        fs::remove_dir_all(&directory).with_context(|| format!("cannot empty {}", directory.display()))?;
    }
    fs::create_dir_all(&directory).with_context(|| format!("cannot create {}", directory.display()))?;
    let out = directory.join("out");
    say("counting instructions");
    let (Some(place), Some(name)) = (bench.parent(), bench.file_name().and_then(OsStr::to_str)) else {
        bail!("{} is no program", bench.display());
    };
    let text = output_of(
        Command::new("valgrind")
            .current_dir(place)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .args(["--tool=callgrind", "--quiet"])
            .arg(format!("--dump-before={MEASURED}"))
            .arg(format!("--dump-after={MEASURED}"))
            .arg(format!("--callgrind-out-file={}", out.display()))
            .arg(format!("./{name}"))
            .arg("count"),
    )?;
    // Every second file counts what came between two calls.
    let totals = (1_u32..)
        .map_while(|number| fs::read_to_string(out.with_extension(number.to_string())).ok())
        .filter(|dump| dump.contains("Trigger: --dump-after="))
        .map(|dump| total(&dump))
        .collect::<Option<Vec<u64>>>()
        .with_context(|| format!("a count in {} cannot be read", directory.display()))?;
    let lines: Vec<Line> = parse(&text)?;
    if totals.len() != lines.len() {
        bail!(
            "{} counts of {} stages: is {MEASURED} still called once for each?",
            totals.len(),
            lines.len()
        );
    }
    let instructions = lines
        .into_iter()
        .zip(totals)
        .map(|(line, total)| {
            (
                format!("{}/{}", line.case, line.stage),
                total / line.exchanges.max(1),
            )
        })
        .collect();
    Ok(Table {
        compiler: output_of(Command::new("rustc").arg("-V").current_dir(root))?,
        instructions,
    })
}

/// The sum of a dump of callgrind: `totals: 123`.
fn total(dump: &str) -> Option<u64> {
    let line = dump.lines().find_map(|line| line.strip_prefix("totals:"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(count: u64) -> Table {
        Table {
            compiler: String::new(),
            instructions: [("json/flow".to_owned(), count)].into(),
        }
    }

    #[test]
    fn a_little_is_let_pass_and_more_is_named() {
        let moved = |before, now| table(before).compare(&table(now));
        assert_eq!(moved(1_000, 1_029), Moved::default());
        assert_eq!(moved(1_000, 971), Moved::default());
        assert_eq!(moved(1_000, 1_031).dearer, ["json/flow 1031 instead of 1000"]);
        assert_eq!(moved(1_000, 969).cheaper, ["json/flow 969 instead of 1000"]);
    }

    #[test]
    fn a_stage_of_one_side_only_is_named() {
        assert_eq!(
            Table::default().compare(&table(1)).dearer,
            ["json/flow 1 instead of nothing"]
        );
        assert_eq!(
            table(1).compare(&Table::default()).dearer,
            ["json/flow nothing instead of 1"]
        );
    }

    #[test]
    fn totals_are_read_from_dumps() {
        assert_eq!(total("events: Ir\nfn=(1)\n1 5\ntotals: 77\n"), Some(77));
        assert_eq!(total("events: Ir\n"), None);
    }
}
