//! The results as files, under names that pipelines can rely on.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use serde::Serialize;

use super::Outcome;
use crate::spec::report::{self, Report};

/// Files of a result, and what is in them. Beside them there is `openapi/<workload>.yaml` for each workload.
pub const FILES: [(&str, &str); 9] = [
    (
        "apiarist.sarif",
        "findings and drift as SARIF 2.1.0, for code scanning",
    ),
    (
        "junit.xml",
        "the same as JUnit: one test case for each endpoint and operation",
    ),
    ("summary.md", "the same as Markdown"),
    ("findings.json", "what should be changed, with reasons"),
    ("risks.json", "risk of endpoints, with every factor"),
    (
        "endpoints.json",
        "endpoints as `apiarist endpoints -o json` lists them",
    ),
    ("incidents.json", "what looked like attacks"),
    (
        "coverage.json",
        "operations, statuses and fields of the documents given that were exercised; null without documents",
    ),
    ("status.json", "health of the agent: what was lost"),
];

/// Longest name of a file of a document, in characters. Overflow policy: the first so many.
const MAX_NAME: usize = 100;

impl Outcome {
    /// Writes everything into a directory. Documents of an earlier result are replaced.
    ///
    /// # Errors
    /// What cannot be written, and why.
    pub fn write(&self, directory: &Path, report: &Report<'_>, summary: &[String]) -> Result<()> {
        let documents = directory.join("openapi");
        fs::create_dir_all(&documents)
            .with_context(|| format!("cannot make the directory {}", documents.display()))?;
        for specification in &self.specifications {
            let text = serde_norway::to_string(&specification.document)?;
            let name = format!("{}.yaml", file_name(&specification.workload));
            put(&documents.join(name), text.as_bytes())?;
        }
        let json = |name: &str, value: &dyn erased::Json| put(&directory.join(name), &value.text()?);
        json("apiarist.sarif", &report::sarif(report))?;
        put(&directory.join("junit.xml"), report::junit(report).as_bytes())?;
        put(
            &directory.join("summary.md"),
            report::markdown(report, summary).as_bytes(),
        )?;
        json("findings.json", &self.findings)?;
        json("risks.json", &self.risks)?;
        json("endpoints.json", &self.endpoints)?;
        json("incidents.json", &self.incidents)?;
        json("coverage.json", &self.coverage())?;
        json("status.json", &self.status)
    }
}

mod erased {
    //! Anything that is written as JSON.

    use super::{Result, Serialize};

    pub(super) trait Json {
        fn text(&self) -> Result<Vec<u8>>;
    }

    impl<T: Serialize> Json for T {
        fn text(&self) -> Result<Vec<u8>> {
            let mut text = serde_json::to_vec_pretty(self)?;
            text.push(b'\n');
            Ok(text)
        }
    }
}

fn put(path: &Path, text: &[u8]) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// A name that is one segment of a path everywhere.
fn file_name(workload: &str) -> String {
    let plain = |c: char| match c {
        c if c.is_ascii_alphanumeric() || "-_.".contains(c) => c,
        _ => '_',
    };
    let name: String = workload.chars().take(MAX_NAME).map(plain).collect();
    match name.trim_start_matches('.') {
        "" => "workload".to_owned(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::file_name;

    #[test]
    fn names_are_one_segment() {
        for (workload, name) in [
            ("app.py", "app.py"),
            ("../etc", "_etc"),
            ("a b/c", "a_b_c"),
            ("..", "workload"),
        ] {
            assert_eq!(file_name(workload), name);
        }
    }
}
