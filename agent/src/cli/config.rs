//! `apiarist config`: check a file, print the documented defaults, print the JSON Schema.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use super::{Context, Failure};
use crate::config;

const EXAMPLES: &str = "EXAMPLES:
  apiarist config print > apiarist.toml
  apiarist config check apiarist.toml";

/// Check, print or describe the configuration
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Report everything that is wrong with a file, each with its line, on standard error
    #[command(after_help = "EXAMPLES:\n  apiarist config check /etc/apiarist/apiarist.toml")]
    Check {
        /// The file; without it the one that `run` would use
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Print a complete file: every key with its meaning and default
    #[command(after_help = "EXAMPLES:\n  apiarist config print > apiarist.toml")]
    Print,
    /// Print the JSON Schema of the file, for editors
    #[command(after_help = "EXAMPLES:\n  apiarist config schema > apiarist.schema.json")]
    Schema,
}

pub(super) fn run(args: Args, context: &mut Context<'_>) -> Result<(), Failure> {
    match args.action {
        Action::Check { file } => {
            let path = file
                .or_else(|| context.config_path.clone())
                .unwrap_or_else(|| PathBuf::from(config::DEFAULT_PATH));
            check(&path, context, &mut io::stderr())
        }
        Action::Print => Ok(context.out.write_all(config::template().as_bytes())?),
        Action::Schema => {
            serde_json::to_writer_pretty(&mut *context.out, &config::schema()).map_err(io::Error::from)?;
            Ok(writeln!(context.out)?)
        }
    }
}

fn check(path: &std::path::Path, context: &mut Context<'_>, report: &mut dyn Write) -> Result<(), Failure> {
    let shown = path.display();
    let text = config::read_text(path)
        .map_err(|error| Failure::usage(format!("cannot read the configuration {shown}: {error}")))?;
    match config::check(&text) {
        Ok(_) => Ok(writeln!(context.out, "{shown}: ok")?),
        Err(problems) => {
            for problem in &problems {
                writeln!(report, "{shown}:{problem}")?;
            }
            let count = problems.len();
            let noun = if count == 1 { "problem" } else { "problems" };
            Err(Failure::usage(format!(
                "{shown} has {count} {noun}: correct what is listed above"
            )))
        }
    }
}
