//! `apiarist store check|repair`: whether a store is whole, and what can be kept of one that is not.

use std::path::PathBuf;

use super::{Context, Failure};
use crate::store::{self, Store};

const EXAMPLES: &str = "EXAMPLES:
  apiarist store check --store /var/lib/apiarist
  apiarist store repair --store /var/lib/apiarist";

const CHECK_EXAMPLES: &str = "EXAMPLES:
  apiarist store check --store /var/lib/apiarist

Reads every page, index and record; an agent may write to the store meanwhile. Exits with 1 when it is damaged.";

const REPAIR_EXAMPLES: &str = "EXAMPLES:
  apiarist store repair --store /var/lib/apiarist

Stop the agent first. A damaged database is kept beside the new one, which starts with all rows that can be read. The
agent does the same when it starts and finds its store damaged.";

/// Check and repair a store
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Tell whether a store is whole
    #[command(after_help = CHECK_EXAMPLES)]
    Check(Directory),
    /// Keep what can be read of a damaged store
    #[command(after_help = REPAIR_EXAMPLES)]
    Repair(Directory),
}

#[derive(Debug, clap::Args)]
struct Directory {
    /// Directory of the store
    #[arg(long, value_name = "DIR")]
    store: PathBuf,
}

pub(super) fn run(args: &Args, context: &mut Context<'_>) -> Result<(), Failure> {
    match &args.command {
        Command::Check(directory) => check(directory, context),
        Command::Repair(directory) => repair(directory, context),
    }
}

fn check(Directory { store }: &Directory, context: &mut Context<'_>) -> Result<(), Failure> {
    let checked = store::check(store).map_err(Failure::usage)?;
    let shown = store.display();
    if checked.is_whole() {
        writeln!(context.out, "the store {shown} is whole: {} rows", checked.rows)?;
        return Ok(());
    }
    writeln!(
        context.out,
        "the store {shown} is damaged: stop the agent and run `apiarist store repair --store {shown}`, which keeps what can be read"
    )?;
    for fault in &checked.faults {
        writeln!(context.out, "  {}", fault.replace('\n', "; "))?;
    }
    Err(Failure::check())
}

fn repair(Directory { store }: &Directory, context: &mut Context<'_>) -> Result<(), Failure> {
    let max_bytes = context.config()?.store.max_bytes;
    let opened = Store::repair(store, max_bytes, context.now).map_err(Failure::usage)?;
    let shown = store.display();
    match opened.damaged {
        None => writeln!(context.out, "the store {shown} is whole: nothing was changed")?,
        Some(aside) => writeln!(
            context.out,
            "the store {shown} was repaired: {} rows were kept; what it was is in {}",
            opened.salvaged,
            aside.display()
        )?,
    }
    Ok(())
}
