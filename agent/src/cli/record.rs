//! `apiarist record -o FILE`: keep what the kernel reports, to replay it later.

use std::{path::PathBuf, time::Duration};

use super::{Context, Failure, time};

const EXAMPLES: &str = "EXAMPLES:
  apiarist record -o shop.apr --duration 1m";

/// Record socket events to a file
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// File to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Stop after this time, such as 30s or 10m; without it, on SIGINT
    #[arg(long, value_name = "SPAN", value_parser = time::span)]
    duration: Option<Duration>,
}

pub(super) fn run(args: Args, _context: &mut Context<'_>) -> Result<(), Failure> {
    let Args { output, duration: _ } = args;
    Err(Failure::usage(format!(
        "cannot record to {}: this build has no recorder",
        output.display()
    )))
}
