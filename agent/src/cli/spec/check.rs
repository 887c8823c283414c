//! What all checks of documents share: reading them, the form of the result, and whether it failed.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use clap::ValueEnum;

use crate::{
    cli::{
        Context, Failure,
        output::{self, Format},
        table::{self, Column, Kind},
        target::Target,
    },
    spec::{
        Gate, Given, Issue,
        report::{self, Report},
    },
};

/// Form of the result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(in crate::cli) enum Form {
    /// For people
    #[default]
    Table,
    /// One JSON document with everything
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// JUnit XML, for test reports
    Junit,
    /// Markdown, for a merge request or a job's summary
    Markdown,
}

/// How the result of a check is given.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(in crate::cli) struct Output {
    /// Form of the result
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    output: Form,
    /// Write the result to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// What fails the check, with exit code 1: a severity (info, low, medium, high, critical: this or graver),
    /// names of rules, or none
    #[arg(long, value_name = "LIST", default_value = "medium", value_parser = gate)]
    fail_on: Gate,
}

fn gate(text: &str) -> Result<Gate, String> {
    text.parse()
}

/// Reads documents.
pub(in crate::cli) fn read(files: &[PathBuf]) -> Result<Vec<Given>, Failure> {
    files.iter().map(|path| read_one(path)).collect()
}

fn read_one(path: &Path) -> Result<Given, Failure> {
    let shown = path.display();
    let bytes =
        std::fs::read(path).map_err(|error| Failure::usage(format!("cannot read {shown}: {error}")))?;
    Given::read(shown.to_string(), &bytes).map_err(|error| Failure::usage(format!("{shown}: {error}")))
}

impl Output {
    /// Writes a result and fails if the check did. `all` is everything, for JSON; `summary` is for people.
    pub(super) fn give(
        &self,
        context: &mut Context<'_>,
        (check, cases, issues): (&str, &[String], &[Issue]),
        all: &serde_json::Value,
        summary: &[String],
    ) -> Result<(), Failure> {
        self.fail_on.check(&[]).map_err(Failure::usage)?;
        let report = Report {
            check,
            cases,
            issues,
            gate: &self.fail_on,
        };
        let mut text = Vec::new();
        match self.output {
            Form::Table => write_table(&mut text, context, issues, summary)?,
            Form::Json => output::object(&mut text, Format::Json, all)?,
            Form::Sarif => output::object(&mut text, Format::Json, &report::sarif(&report))?,
            Form::Junit => text.extend(report::junit(&report).bytes()),
            Form::Markdown => text.extend(report::markdown(&report, summary).bytes()),
        }
        Target::of(self.file.as_deref())?.write(context.out, |out| out.write_all(&text))?;
        match report.failed() {
            true => Err(Failure::check()),
            false => Ok(()),
        }
    }
}

const COLUMNS: [Column; 4] = [
    Column {
        heading: "SEVERITY",
        kind: Kind::Text,
    },
    Column {
        heading: "RULE",
        kind: Kind::Text,
    },
    Column {
        heading: "ENDPOINT",
        kind: Kind::Text,
    },
    Column {
        heading: "WHAT",
        kind: Kind::Flexible,
    },
];

/// Issues as a table, with a summary below.
pub(in crate::cli) fn write_table(
    out: &mut dyn Write,
    context: &Context<'_>,
    issues: &[Issue],
    summary: &[String],
) -> Result<(), Failure> {
    let lines: Vec<_> = issues
        .iter()
        .map(|issue| {
            vec![
                issue.severity.as_str().to_owned(),
                issue.rule.to_string(),
                issue.endpoint.clone(),
                issue.text.clone(),
            ]
        })
        .collect();
    table::write(out, context.terminal, &COLUMNS, &lines, "Nothing was found.")?;
    for (at, line) in summary.iter().enumerate() {
        if at == 0 {
            writeln!(out)?;
        }
        writeln!(out, "{}", table::visible(line))?;
    }
    Ok(())
}
