//! `apiarist endpoints`: the inventory as a list.

use serde_json::Value;

use super::{
    list::{List, Shown, dash, joined, operation, text},
    source::Topic,
    table::Column,
};
use crate::select::at;

/// Shown by `--help`.
pub(super) const EXAMPLES: &str = "EXAMPLES:
  apiarist endpoints
  apiarist endpoints --workload shop --sort -hits --limit 20
  apiarist endpoints --filter 'hits > 10 and method == \"GET\" and template ~ \"users\"'
  apiarist endpoints --since 1h -o json | jq '.[].template'
  apiarist endpoints --store /var/lib/apiarist -o csv > endpoints.csv
  apiarist --fleet clickhouse://clickhouse.example.net/apiarist endpoints --sort -risk --limit 20";

const COLUMNS: [Shown; 10] = [
    Shown::made(Column::text("ID"), &["id"], |row, _| {
        // The beginning of an id is enough for `apiarist endpoint`.
        text(row, "id").chars().take(12).collect()
    }),
    Shown::member(Column::text("WORKLOAD"), "workload"),
    Shown::member(Column::text("METHOD"), "method"),
    Shown::made(Column::flexible("PATH"), &["operation", "template"], |row, _| {
        operation(row)
    }),
    Shown::member(Column::number("HITS"), "hits"),
    Shown::made(Column::text("STATUS"), &["status"], |row, _| {
        status(at(row, "status"))
    }),
    Shown::made(Column::number("P99 MS"), &["latency_ms"], |row, _| {
        let p99 = at(row, "latency_ms.p99").as_f64();
        p99.map_or_else(dash, |ms| format!("{ms:.1}"))
    }),
    Shown::member(Column::text("AUTH"), "auth.verdict"),
    Shown::made(Column::text("SENSITIVE"), &["sensitive"], |row, _| {
        sensitive(at(row, "sensitive"))
    }),
    Shown::seen(),
];

/// The list.
pub(super) const LIST: List<'static> = List {
    topic: Topic::Endpoints,
    columns: &COLUMNS,
    empty: "No endpoint matches.",
};

/// `2xx:10 5xx:1`, without the classes that never came.
fn status(counts: &Value) -> String {
    let seen = counts
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, count)| count.as_u64() != Some(0));
    joined(seen.map(|(class, count)| format!("{class}:{count}")), " ")
}

/// The distinct types, in order of appearance; a question mark after those that are only suspected.
fn sensitive(findings: &Value) -> String {
    let mut types: Vec<String> = Vec::new();
    for finding in findings.as_array().into_iter().flatten() {
        let mark = if at(finding, "suspected") == &Value::Bool(true) {
            "?"
        } else {
            ""
        };
        let shown = format!("{}{mark}", text(finding, "type"));
        if !types.contains(&shown) {
            types.push(shown);
        }
    }
    joined(types.into_iter(), ",")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{cli::list::cells, clock::Timestamp};

    #[test]
    fn a_row_shows_what_matters_and_dashes_for_what_is_unknown() {
        let row = json!({
            "id": "9f31c2aa00bb11cc22", "workload": "shop", "method": "GET", "template": "/v1/users/{userId}", "operation": null,
            "hits": 12, "status": {"2xx": 11, "4xx": 0, "5xx": 1}, "latency_ms": {"p99": 7.25}, "auth": {"verdict": "mixed"},
            "sensitive": [{"type": "email"}, {"type": "iban", "suspected": true}, {"type": "email"}], "last_seen": 100.0,
        });
        let now = Timestamp(160 * 1_000_000_000);
        assert_eq!(
            cells(&COLUMNS, &row, now),
            [
                "9f31c2aa00bb",
                "shop",
                "GET",
                "/v1/users/{userId}",
                "12",
                "2xx:11 5xx:1",
                "7.2",
                "mixed",
                "email,iban?",
                "1m"
            ]
        );
        assert_eq!(
            cells(&COLUMNS, &json!({"operation": "/pkg.Users/Get"}), now)[3],
            "/pkg.Users/Get"
        );
        assert!(cells(&COLUMNS, &json!({}), now).iter().all(|cell| cell == "-"));
    }
}
