//! `apiarist observe -- CMD…`: a test suite under observation, for pipelines.
//!
//! Here: options, the summary, and the exit code. The work itself is [`crate::observe`]'s.

use std::{ffi::OsString, os::unix::process::ExitStatusExt as _, path::PathBuf, process::ExitStatus};

use super::{
    Context, Failure,
    doctor::HostFacts,
    run::preflight,
    spec::{cases, read, summary, write_table},
};
use crate::{
    observe::{self, Ended, Outcome, Task},
    spec::{Gate, report::Report},
    verdict::Severity,
};

const EXAMPLES: &str = "EXAMPLES:
  apiarist observe -- pytest tests/
  apiarist observe --spec openapi.yml --out api-report -- npm test
  apiarist observe --spec openapi.yml --fail-on high,shadow_endpoint -- ./integration-tests.sh

Watches the command and everything it starts, and nothing else. Leaves in DIR: openapi/*.yaml (what was
observed), apiarist.sarif, junit.xml, summary.md, findings.json, risks.json, endpoints.json,
incidents.json, coverage.json, status.json.

Exit code: that of the command if it is not 0 (128 and the signal that ended it); else 1 when the check
failed, 2 when the command could not be observed, 0 when all is well.";

/// Operations that are named in the summary. Overflow policy: the first, and how many more.
const MAX_NAMED: usize = 50;

/// Run a command, such as a test suite, and watch the APIs it serves and calls
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// OpenAPI document to compare with; may be given several times
    #[arg(long, value_name = "FILE")]
    spec: Vec<PathBuf>,
    /// What fails the check, with exit code 1: a severity (info, low, medium, high, critical: this or graver),
    /// names of rules, or none
    #[arg(long, value_name = "LIST", default_value = "high", value_parser = gate)]
    fail_on: Gate,
    /// Directory of the results
    #[arg(long, value_name = "DIR", default_value = "apiarist-report")]
    out: PathBuf,
    /// The command and its arguments
    #[arg(required = true, last = true, value_name = "CMD")]
    command: Vec<OsString>,
}

fn gate(text: &str) -> Result<Gate, String> {
    text.parse()
}

pub(super) fn run(args: &Args, context: &mut Context<'_>) -> Result<(), Failure> {
    let documents = read(&args.spec)?;
    let config = context.config()?;
    let policies = config.policies.rules().map_err(Failure::usage)?;
    let own: Vec<&str> = policies.iter().map(|rule| rule.name.as_str()).collect();
    args.fail_on.check(&own).map_err(Failure::usage)?;
    preflight(&HostFacts::gather())?;
    let task = Task {
        command: &args.command,
        documents: &documents,
        out: args.out.clone(),
        config,
    };
    // The console belongs to the command while it runs.
    let ended = observe::observe(&task, |_| {})
        .map_err(|error| Failure::usage(format!("cannot observe: {error:#}")))?;
    let Ended {
        status,
        outcome,
        has_group: _,
    } = ended;
    let cases = match &outcome.diff {
        Some(diff) => cases(diff),
        None => outcome
            .endpoints
            .iter()
            .map(|row| format!("{} {}", row.method, row.template))
            .collect(),
    };
    let report = Report {
        check: "observe",
        cases: &cases,
        issues: &outcome.issues,
        gate: &args.fail_on,
    };
    let lines = lines(&outcome, status);
    outcome
        .write(&args.out, &report, &lines)
        .map_err(|error| Failure::usage(format!("{error:#}")))?;
    let shown: Vec<_> = outcome
        .issues
        .iter()
        .filter(|issue| issue.severity > Severity::Info)
        .cloned()
        .collect();
    let mut table = Vec::new();
    write_table(&mut table, context, &shown, &lines)?;
    context.out.write_all(&table)?;
    writeln!(context.out, "results: {}", args.out.display())?;
    match status.map(code) {
        None => Err(Failure::usage(
            "stopped before the command had ended: the results are those up to there",
        )),
        Some(0) if report.failed() => Err(Failure::check()),
        Some(0) => Ok(()),
        Some(code) => Err(Failure::command(code)),
    }
}

/// As a shell gives it: the code, or 128 and the signal.
fn code(status: ExitStatus) -> u8 {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}

/// What came of it, in a few lines.
fn lines(outcome: &Outcome, status: Option<ExitStatus>) -> Vec<String> {
    let mut lines = vec![format!(
        "{} endpoints, {} exchanges, {} findings, {} incidents",
        outcome.endpoints.len(),
        outcome.status.exchanges,
        outcome.findings.len(),
        outcome.incidents.len()
    )];
    lines.extend(outcome.diff.iter().flat_map(summary));
    lines.extend(not_exercised(outcome));
    let gaps = outcome.gaps();
    if !gaps.is_empty() {
        lines.push(format!("not everything was seen: {}", gaps.join(", ")));
    }
    match status {
        Some(status) if status.success() => {}
        Some(status) => lines.push(format!("the command ended with {}", code(status))),
        None => lines.push("the command had not ended".to_owned()),
    }
    lines
}

/// Operations of the documents that nobody asked for, by name.
fn not_exercised(outcome: &Outcome) -> Option<String> {
    let coverage = &outcome.diff.as_ref()?.coverage;
    let names: Vec<String> = coverage
        .each
        .iter()
        .filter(|operation| operation.hits == 0)
        .map(|operation| format!("{} {}", operation.method, operation.path))
        .collect();
    let more = names.len().saturating_sub(MAX_NAMED);
    let shown = names
        .iter()
        .take(MAX_NAMED)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    match (names.is_empty(), more) {
        (true, _) => None,
        (false, 0) => Some(format!("not exercised: {shown}")),
        (false, more) => Some(format!(
            "not exercised: {shown} and {more} more, see coverage.json"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_a_shell() {
        assert_eq!(code(ExitStatus::from_raw(0)), 0);
        assert_eq!(code(ExitStatus::from_raw(3 << 8)), 3);
        assert_eq!(code(ExitStatus::from_raw(9)), 137);
    }
}
