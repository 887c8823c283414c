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
const RUNS: [&str; 7] = [
    "namespace",
    "controller",
    "image",
    "unit",
    "container",
    "script",
    "executable",
];

const COLUMNS: [Shown; 7] = [
    Shown::member(Column::text("NAME"), "name"),
    Shown::member(Column::text("KIND"), "kind"),
    Shown::member(Column::text("OWNER"), "owner"),
    Shown::member(Column::number("ENDPOINTS"), "endpoints"),
    Shown::member(Column::number("HITS"), "hits"),
    Shown::seen(),
    Shown::made(Column::flexible("RUNS"), &RUNS, |row, _| {
        let [namespace, named @ ..] = RUNS.map(|name| text(row, name));
        let named = named
            .into_iter()
            .find(|name| *name != dash())
            .unwrap_or_else(dash);
        match namespace == dash() {
            true => named,
            false => format!("{namespace}/{named}"),
        }
    }),
];

/// The list.
pub(super) const LIST: List<'static> = List {
    topic: Topic::Workloads,
    columns: &COLUMNS,
    empty: "No workload matches.",
};

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{cli::list::cells, clock::Timestamp};

    #[test]
    fn the_most_telling_comes_last_in_a_row() {
        let id = format!("podman://{}", "3f".repeat(32));
        for (row, expected) in [
            (
                json!({"namespace": "prod", "controller": "Deployment/shop", "image": "shop:2", "container": &id}),
                "prod/Deployment/shop",
            ),
            (
                json!({"image": "shop:2", "container": &id, "script": "app.py"}),
                "shop:2",
            ),
            (
                json!({"unit": "shop.service", "executable": "/usr/bin/shop"}),
                "shop.service",
            ),
            (
                json!({"script": "app.py", "executable": "/usr/bin/python3"}),
                "app.py",
            ),
            (json!({}), "-"),
        ] {
            let cells = cells(&COLUMNS, &row, Timestamp(0));
            assert_eq!(cells.last().map(String::as_str), Some(expected));
        }
        let owned = json!({"name": "shop", "kind": "pod", "owner": "payments"});
        assert_eq!(
            cells(&COLUMNS, &owned, Timestamp(0))[..3],
            ["shop", "pod", "payments"]
        );
    }
}
