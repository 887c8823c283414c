//! `apiarist policy test FILE`: runs the tests that a file of policies holds.

use std::{collections::BTreeMap, path::PathBuf};

use super::{
    Context, Failure,
    table::{self, Column},
};
use crate::{
    capture::file,
    config,
    policy::{Case, Policies, PolicyFile, read},
    replay::{Options, Replay},
};

const EXAMPLES: &str = "EXAMPLES:
  apiarist policy test /etc/apiarist/policies.toml
  apiarist policy test policies.toml --replay monday.har --replay traffic.jsonl.gz";

/// Check policies
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Test(Test),
}

const TEST_EXAMPLES: &str = "EXAMPLES:
  apiarist policy test policies.toml
  apiarist policy test policies.toml --replay traffic.pcap

A test is a table [[test]] with exchanges as an exchanges file has them, and the names of the rules that
must hold at the last of them. Exits with 1 when a test fails.";

/// Run the tests in a file of policies, and count what its rules find in recorded traffic
#[derive(Debug, clap::Args)]
#[command(after_help = TEST_EXAMPLES)]
struct Test {
    /// File of policies, as TOML
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Recorded traffic: captures, HAR, recordings, exchanges files
    #[arg(long, value_name = "FILE")]
    replay: Vec<PathBuf>,
}

const COLUMNS: [Column; 3] = [
    Column::text("RULE"),
    Column::text("ACTION"),
    Column::number("HELD"),
];

pub(super) fn run(args: &Args, context: &mut Context<'_>) -> Result<(), Failure> {
    let Command::Test(args) = &args.command;
    let policies = load(&args.file)?;
    let mut failed = 0;
    for case in &policies.tests {
        let held = held(&policies, case)?;
        let passed = held == case.expect;
        failed += usize::from(!passed);
        let name = table::visible(&case.name);
        if passed {
            writeln!(context.out, "ok      {name}")?;
        } else {
            writeln!(
                context.out,
                "failed  {name}: {} held, {} expected",
                list(&held),
                list(&case.expect)
            )?;
        }
    }
    writeln!(
        context.out,
        "{} rules, {} tests, {failed} failed",
        policies.rules.len(),
        policies.tests.len()
    )?;
    if !args.replay.is_empty() {
        count(&policies, &args.replay, context)?;
    }
    match failed {
        0 => Ok(()),
        _ => Err(Failure::check()),
    }
}

/// Reads a file of policies.
pub(super) fn load(path: &std::path::Path) -> Result<PolicyFile, Failure> {
    let shown = path.display();
    let text =
        config::read_text(path).map_err(|error| Failure::usage(format!("cannot read {shown}: {error}")))?;
    read(&text).map_err(|error| Failure::usage(format!("{shown}: {error}")))
}

/// The rules that hold at the last exchange of a test.
fn held(policies: &PolicyFile, case: &Case) -> Result<Vec<String>, Failure> {
    let after = |count: usize| {
        let lines: String = case
            .exchanges
            .iter()
            .take(count)
            .map(|exchange| format!("{exchange}\n"))
            .collect();
        let mut replay = replay(policies);
        let report =
            file::read(lines.as_bytes(), &Replay::redactor(), &mut replay).map(|report| report.problems);
        let problem = match report {
            Ok(problems) => problems.first,
            Err(error) => Some(error.to_string()),
        };
        match problem.filter(|_| count > 0) {
            Some(problem) => Err(Failure::usage(format!("test `{}`: {problem}", case.name))),
            None => Ok(replay.policy_hits().clone()),
        }
    };
    let all = case.exchanges.len();
    let (before, now) = (after(all.saturating_sub(1))?, after(all)?);
    let more = |name: &String| now.get(name) > before.get(name);
    Ok(policies
        .rules
        .iter()
        .map(|rule| rule.name.clone())
        .filter(more)
        .collect())
}

fn replay(policies: &PolicyFile) -> Replay {
    let mut replay = Replay::new(&Options::default());
    replay.set_policies(Policies::new(policies.rules.clone()));
    replay
}

fn list(names: &[String]) -> String {
    match names {
        [] => "none".to_owned(),
        names => names.join(", "),
    }
}

/// Counts what the rules find in recorded traffic.
fn count(policies: &PolicyFile, files: &[PathBuf], context: &mut Context<'_>) -> Result<(), Failure> {
    let mut replay = replay(policies);
    for path in files {
        let shown = path.display();
        let input = std::fs::File::open(path)
            .map_err(|error| Failure::usage(format!("cannot open {shown}: {error}")))?;
        file::read(input, &Replay::redactor(), &mut replay)
            .map_err(|error| Failure::usage(format!("{shown}: {error}")))?;
        replay.end_of_file();
    }
    let hits: BTreeMap<String, u64> = replay.policy_hits().clone();
    let rows: Vec<Vec<String>> = policies
        .rules
        .iter()
        .map(|rule| {
            vec![
                rule.name.clone(),
                format!("{:?}", rule.action).to_ascii_lowercase(),
                hits.get(&rule.name).copied().unwrap_or(0).to_string(),
            ]
        })
        .collect();
    table::write(
        context.out,
        context.terminal,
        &COLUMNS,
        &rows,
        "No rule is given.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
[[rule]]
name = "admin"
action = "incident"
when = { template = ["/admin/**"], status = ["2xx"] }
[[rule]]
name = "fast"
action = "finding"
when = { rate = { count = 1, seconds = 60 } }
[[test]]
name = "one request"
exchanges = [{ method = "GET", target = "/admin/users", status = 200, client = "203.0.113.9" }]
expect = ["admin"]
[[test]]
name = "refused, and often"
exchanges = [{ method = "GET", target = "/a", status = 403, ts = 1 }, { method = "GET", target = "/a", status = 403, ts = 2 }]
expect = ["fast"]
"#;

    #[test]
    fn tests_of_a_file_are_run() {
        let policies = read(FILE).unwrap();
        for case in &policies.tests {
            assert_eq!(held(&policies, case).unwrap(), case.expect, "{}", case.name);
        }
        let broken = Case {
            name: "x".into(),
            exchanges: vec![serde_json::json!({"method": 1})],
            expect: Vec::new(),
        };
        assert!(held(&policies, &broken).is_err());
    }
}
