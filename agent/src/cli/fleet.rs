//! All hosts at once: `apiarist fleet migrate` makes a database of ClickHouse what agents write to, `--fleet` asks it.

use std::time::Duration;

use serde_json::Value;

use super::{Context, Failure, batches::Line, list::text, query, source::Topic};
use crate::{
    clock::Timestamp,
    fleet::{self, Address, Client, FleetError, NEWEST, View, Wanted},
    select::Options,
};

/// How long a statement may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Rows of an answer when no number is asked for.
const LIMIT: usize = 1000;

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

/// The rows of all hosts that a query asks for.
pub(super) fn lines(
    address: &str,
    topic: Topic,
    query: &query::Args,
    now: Timestamp,
) -> Result<Vec<Line>, Failure> {
    let view = match topic {
        Topic::Endpoints => fleet::ENDPOINTS,
        Topic::Workloads => fleet::WORKLOADS,
        Topic::Alerts => fleet::ALERTS,
        Topic::Anomalies => fleet::ANOMALIES,
        Topic::Findings => fleet::FINDINGS,
        Topic::Risks => fleet::RISKS,
        Topic::Listeners | Topic::Specifications | Topic::Status => {
            return Err(Failure::usage("this command asks one agent: leave out --fleet"));
        }
    };
    query.source.alone()?;
    let member = |name: &str| view.member(name);
    let selection = query.selection(now)?;
    let (conditions, necessary) = match selection.filter() {
        Some(filter) => {
            let condition = filter.to_sql(&member);
            let condition = condition.map_err(|name| unknown("--filter", &name, &view))?;
            (vec![condition], filter.necessary(&member))
        }
        None => (Vec::new(), Vec::new()),
    };
    let Options {
        workload,
        methods,
        path,
        since,
        sort,
        filter: _,
        offset,
        limit: asked,
    } = selection.options().clone();
    let sort = match sort.as_deref() {
        Some(key) => {
            let (name, descending) = key.strip_prefix('-').map_or((key, false), |name| (name, true));
            view.member(name).ok_or_else(|| unknown("--sort", name, &view))?;
            Some((name.to_owned(), descending))
        }
        None => None,
    };
    let limit = asked.unwrap_or(LIMIT);
    let wanted = Wanted {
        conditions,
        necessary,
        workload,
        methods,
        path,
        since,
        sort,
        offset,
        // One more tells whether there are more.
        limit: limit.saturating_add(1),
    };
    let mut rows = fleet::ask(&client(address)?, &view, &wanted).map_err(failure)?;
    if rows.len() > limit {
        rows.truncate(limit);
        if asked.is_none() {
            tracing::warn!("only the first {limit} rows are shown: ask for more with --limit");
        }
    }
    Ok(rows.iter().map(Value::to_string).collect())
}

/// Who calls whom over all hosts, as rows of workloads.
pub(super) fn graph(address: &str) -> Result<Vec<Value>, Failure> {
    fleet::graph(&client(address)?).map_err(failure)
}

/// The host that a row is of, and how many more there are.
pub(super) fn nodes(row: &Value) -> String {
    let name = text(row, "node");
    match row.get("nodes").and_then(Value::as_u64) {
        Some(nodes @ 2..) => format!("{name} +{}", nodes - 1),
        _ => name,
    }
}

fn client(address: &str) -> Result<Client, Failure> {
    let address = Address::parse(address).map_err(|error| Failure::usage(format!("--fleet: {error}")))?;
    Ok(Client::new(address, PATIENCE))
}

fn unknown(option: &str, name: &str, view: &View) -> Failure {
    let all: Vec<&str> = view.members.iter().map(|member| member.name).collect();
    Failure::usage(format!(
        "{option}: a fleet cannot be asked by `{name}`: there are {}",
        all.join(", ")
    ))
}

/// What a database refused, with the exit code for it.
fn failure(error: FleetError) -> Failure {
    match error {
        FleetError::Unreachable { .. } => Failure::unreachable(error),
        other => Failure::usage(other),
    }
}
