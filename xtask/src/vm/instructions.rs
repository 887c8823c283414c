//! How hard each kernel's verifier has to work on each program, held against a committed table.
//!
//! In: what the guests print (`verified: PROGRAM: N instructions`; kernels before 5.16 do not tell). Out: the programs whose
//! count moved by more than a fifth, or a new table. The verifier gives up at a million: growth is seen here first.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context as _, Result};

/// The table: counts by program, by kernel (major.minor), in JSON.
const TABLE: &str = "tests/verifier-instructions.json";

/// Largest change that is let pass, as a share of the recorded count.
const TOLERANCE: f64 = 0.2;

/// Counts by program.
pub(super) type Counts = BTreeMap<String, u64>;

/// Counts by kernel.
#[derive(Debug, Default)]
pub(super) struct Table {
    kernels: BTreeMap<String, Counts>,
}

impl Table {
    /// Reads the committed table; empty if there is none.
    pub(super) fn read(root: &Path) -> Result<Self> {
        let path = root.join(TABLE);
        if !path.exists() {
            return Ok(Self::default());
        }
        let text = fs::read(&path).with_context(|| format!("cannot read {TABLE}"))?;
        let kernels = serde_json::from_slice(&text)
            .with_context(|| format!("{TABLE} is damaged: restore it with git"))?;
        Ok(Self { kernels })
    }

    /// Takes a kernel's counts for the recorded ones.
    pub(super) fn update(&mut self, kernel: &str, counts: Counts) {
        if !counts.is_empty() {
            self.kernels.insert(kernel.to_owned(), counts);
        }
    }

    /// Writes the table.
    pub(super) fn write(&self, root: &Path) -> Result<()> {
        let mut text = serde_json::to_string_pretty(&self.kernels)?;
        text.push('\n');
        fs::write(root.join(TABLE), text).with_context(|| format!("cannot write {TABLE}"))
    }

    /// Programs whose count moved too far, one sentence each. A kernel that is not in the table is not compared.
    pub(super) fn compare(&self, kernel: &str, counts: &Counts) -> Vec<String> {
        let Some(recorded) = self.kernels.get(kernel) else {
            return Vec::new();
        };
        counts
            .iter()
            .filter_map(|(program, count)| {
                let before = *recorded.get(program)?;
                let change = (*count as f64 - before as f64) / before as f64;
                (change.abs() > TOLERANCE).then(|| {
                    format!("{program} on {kernel}: {count} verified instructions, {before} recorded")
                })
            })
            .collect()
    }
}

/// Reads `verified: on_send: 66637 instructions`, wherever it stands in a line.
pub(super) fn parse(line: &str) -> Option<(String, u64)> {
    let (_, rest) = line.split_once("verified: ")?;
    let (program, rest) = rest.split_once(": ")?;
    let (count, _) = rest.split_once(" instructions")?;
    Some((program.to_owned(), count.parse().ok()?))
}

/// Reads the release from `apiarist-vm: init, Linux 6.1.0-50-cloud-amd64`: its first two numbers.
pub(super) fn release(line: &str) -> Option<String> {
    let (_, release) = line.split_once("init, Linux ")?;
    let mut numbers = release.split('.');
    Some(format!("{}.{}", numbers.next()?, numbers.next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_release_are_read_from_the_console() {
        assert_eq!(
            parse("  verified: on_send: 66637 instructions"),
            Some(("on_send".to_owned(), 66_637))
        );
        assert_eq!(parse("ok: on_send"), None);
        assert_eq!(
            release("apiarist-vm: init, Linux 6.1.0-50-cloud-amd64").as_deref(),
            Some("6.1")
        );
    }

    #[test]
    fn a_fifth_is_let_pass_and_more_is_named() {
        let counts = |count| Counts::from([("on_send".to_owned(), count)]);
        let mut table = Table::default();
        table.update("6.1", counts(1000));
        assert!(table.compare("6.1", &counts(1200)).is_empty());
        assert!(table.compare("6.1", &counts(800)).is_empty());
        assert_eq!(table.compare("6.1", &counts(1201)).len(), 1);
        assert!(table.compare("7.2", &counts(5)).is_empty());
    }
}
