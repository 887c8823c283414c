//! `apiarist workloads`: who serves and calls APIs on this host.

use super::{
    list::{List, Shown, dash, text},
    source::Topic,
    table::Column,
};

/// Shown by `--help`.
pub(super) const EXAMPLES: &str = "EXAMPLES:
  apiarist workloads
  apiarist workloads --sort -hits
  apiarist workloads --filter 'kind == \"container\"' -o jsonl";

/// What a workload is known by, the most telling first.
const RUNS: [&str; 4] = ["unit", "container", "script", "executable"];

const COLUMNS: [Shown; 6] = [
    Shown::member(Column::text("NAME"), "name"),
    Shown::member(Column::text("KIND"), "kind"),
    Shown::member(Column::number("ENDPOINTS"), "endpoints"),
    Shown::member(Column::number("HITS"), "hits"),
    Shown::seen(),
    Shown::made(Column::flexible("RUNS"), &RUNS, |row, _| {
        let mut named = RUNS.iter().map(|name| text(row, name));
        named.find(|name| *name != dash()).unwrap_or_else(dash)
    }),
];

/// The list.
pub(super) const LIST: List<'static> = List {
    topic: Topic::Workloads,
    columns: &COLUMNS,
    empty: "No workload matches.",
};
