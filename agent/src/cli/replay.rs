//! `apiarist replay FILE…`: analyse recorded traffic as if it happened now.

use std::path::PathBuf;

use super::{Context, Failure};

/// Analyse recorded traffic: pcap, HAR, a recording, or an exchanges file
#[derive(Debug, clap::Args)]
#[command(after_help = "EXAMPLES:\n  apiarist replay traffic.pcap --store ./result")]
pub(super) struct Args {
    /// Files, told apart by content
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Directory of the store that is left
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
}

pub(super) fn run(args: Args, _context: &mut Context<'_>) -> Result<(), Failure> {
    let Args { files, store: _ } = args;
    Err(Failure::usage(format!(
        "cannot replay {} file(s): this build has no replay",
        files.len()
    )))
}
