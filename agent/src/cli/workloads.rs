//! `apiarist workloads`: who serves and calls APIs on this host.

use serde_json::Value;

use super::{
    Context, Failure,
    list::{List, text},
    query::{self, at},
    source::Topic,
    table::Column,
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
    Column::text("NAME"),
    Column::text("KIND"),
    Column::number("ENDPOINTS"),
    Column::number("HITS"),
    Column::number("SEEN"),
    Column::flexible("RUNS"),
];

pub(super) fn run(args: &Args, context: &mut Context<'_>) -> Result<(), Failure> {
    let list = List {
        topic: Topic::Workloads,
        columns: &COLUMNS,
        cells,
        empty: "No workload matches.",
    };
    list.show(&args.query, context)
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
