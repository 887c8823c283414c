//! `apiarist workloads`: who serves and calls APIs on this host.

use serde_json::Value;

use super::{
    Context, Failure,
    endpoints::text,
    output::{self, Format},
    query::{self, at},
    source::Topic,
    table::{self, Column, Kind},
    time::{self, ago},
};
use crate::clock::Timestamp;

const EXAMPLES: &str = "EXAMPLES:
  apiarist workloads
  apiarist workloads --sort -hits
  apiarist workloads --filter 'kind == \"container\"' -o jsonl";

/// List the workloads that serve or call APIs
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    query: query::Args,
}

const COLUMNS: [Column; 6] = [
    Column {
        heading: "NAME",
        kind: Kind::Text,
    },
    Column {
        heading: "KIND",
        kind: Kind::Text,
    },
    Column {
        heading: "ENDPOINTS",
        kind: Kind::Number,
    },
    Column {
        heading: "HITS",
        kind: Kind::Number,
    },
    Column {
        heading: "SEEN",
        kind: Kind::Number,
    },
    Column {
        heading: "RUNS",
        kind: Kind::Flexible,
    },
];

pub(super) fn run(args: &Args, context: &mut Context<'_>) -> Result<(), Failure> {
    let rows = args.query.rows(Topic::Workloads, context)?;
    match args.query.output {
        Format::Table => {
            let lines: Vec<_> = rows.iter().map(|row| cells(row, context.now)).collect();
            table::write(
                context.out,
                context.terminal,
                &COLUMNS,
                &lines,
                "No workload matches.",
            )
        }
        format => output::rows(context.out, format, &rows),
    }
}

fn cells(row: &Value, now: Timestamp) -> Vec<String> {
    let runs = ["unit", "container", "script", "executable"]
        .iter()
        .map(|name| text(row, name))
        .find(|text| text != "-");
    vec![
        text(row, "name"),
        text(row, "kind"),
        text(row, "endpoints"),
        text(row, "hits"),
        ago(time::of(at(row, "last_seen")), now),
        runs.unwrap_or_else(|| "-".to_owned()),
    ]
}
