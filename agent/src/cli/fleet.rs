//! `apiarist fleet migrate`: makes a database of ClickHouse what agents write to.

use std::time::Duration;

use super::{Context, Failure};
use crate::fleet::{self, Address, Client, FleetError, NEWEST};

/// How long a statement may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

const EXAMPLES: &str = "EXAMPLES:
  apiarist fleet migrate clickhouse://clickhouse.example.net:8123/apiarist
  apiarist fleet migrate 'clickhouse://admin@127.0.0.1/apiarist?password_file=/etc/apiarist/clickhouse'

User and password come from the address and the file it names, or from APIARIST_CLICKHOUSE_USER and
APIARIST_CLICKHOUSE_PASSWORD. Agents need INSERT on the tables, readers SELECT.";

/// Prepare a ClickHouse database for the rows of many hosts
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Migrate(Migrate),
}

/// Make the tables, or bring those of an older version up to date
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
struct Migrate {
    /// clickhouse://HOST:PORT/DATABASE, or clickhouse+https:// for TLS
    #[arg(value_name = "ADDRESS")]
    address: String,
}

pub(super) fn run(args: &Args, context: &mut Context<'_>) -> Result<(), Failure> {
    let Command::Migrate(Migrate { address }) = &args.command;
    let address = Address::parse(address).map_err(Failure::usage)?;
    let database = address.database.clone();
    let applied = fleet::migrate(&Client::new(address, PATIENCE)).map_err(failure)?;
    let done = match applied.as_slice() {
        [] => format!("{database} has version {NEWEST} already"),
        [first, ..] => format!("{database} was brought from version {} to {NEWEST}", first - 1),
    };
    Ok(writeln!(context.out, "{done}")?)
}

/// What a database refused, with the exit code for it.
pub(super) fn failure(error: FleetError) -> Failure {
    match error {
        FleetError::Unreachable { .. } => Failure::unreachable(error),
        other => Failure::usage(other),
    }
}
