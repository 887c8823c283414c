//! `apiarist doctor`: can this host be watched, and what would stay unseen.
//!
//! The facts are gathered in [`facts`], judged in [`diagnose`] and shown here. `run` uses the same judgement
//! before it starts, so both say the same.

mod diagnose;
mod facts;

use std::io::Write;

pub(crate) use diagnose::{Check, Outcome, diagnose};
pub(crate) use facts::HostFacts;

use super::{
    Context, Failure,
    output::{self, Format},
};

const EXAMPLES: &str = "EXAMPLES:
  apiarist doctor
  apiarist doctor -o json | jq '.[] | select(.outcome == \"fail\")'

Exits with 1 if a check fails. Warnings say what will stay unseen; the rest works.";

/// Check whether this host can be watched, and what would stay unseen
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Form of the result
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    output: Format,
}

pub(super) fn run(args: &Args, context: &mut Context<'_>) -> Result<(), Failure> {
    let checks = diagnose(&HostFacts::gather());
    match args.output {
        Format::Table => list(context.out, context.terminal.colour, &checks)?,
        format => {
            let rows: Vec<_> = checks.iter().map(Check::to_json).collect();
            output::rows(context.out, format, &rows)?;
        }
    }
    match checks.iter().any(|check| check.outcome == Outcome::Fail) {
        true => Err(Failure::check()),
        false => Ok(()),
    }
}

fn list(out: &mut dyn Write, colour: bool, checks: &[Check]) -> Result<(), Failure> {
    for check in checks {
        let (mark, code) = match check.outcome {
            Outcome::Ok => ("ok  ", "32"),
            Outcome::Warn => ("warn", "33"),
            Outcome::Fail => ("FAIL", "31"),
        };
        match colour {
            true => write!(out, "\x1b[{code}m{mark}\x1b[0m")?,
            false => write!(out, "{mark}")?,
        }
        writeln!(out, "  {:<16}{}", check.name, check.finding)?;
        if let Some(fix) = &check.fix {
            writeln!(out, "      {:<16}→ {fix}", "")?;
        }
    }
    Ok(())
}
