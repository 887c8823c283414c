//! `apiarist findings`: facts about endpoints that somebody should change.

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
  apiarist findings
  apiarist findings --sort -severity --workload shop
  apiarist findings --filter 'severity >= \"high\" and owasp ~ \"API8\"' -o json
  apiarist findings --store /var/lib/apiarist -o csv > findings.csv
  apiarist --fleet clickhouse://clickhouse.example.net/apiarist findings --filter 'nodes > 1'";

/// List findings: what should be changed about endpoints, and how
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    query: query::Args,
}

const COLUMNS: [Column; 7] = [
    Column::text("SEVERITY"),
    Column::text("RULE"),
    Column::text("OWASP"),
    Column::text("WORKLOAD"),
    Column::flexible("ENDPOINT"),
    Column::number("COUNT"),
    Column::number("SEEN"),
];

pub(super) fn run(args: &Args, context: &mut Context<'_>) -> Result<(), Failure> {
    let list = List {
        topic: Topic::Findings,
        columns: &COLUMNS,
        cells,
        empty: "No finding matches.",
    };
    list.show(&args.query, context)
}

fn cells(row: &Value, now: Timestamp) -> Vec<String> {
    vec![
        text(row, "severity"),
        text(row, "rule"),
        text(row, "owasp"),
        text(row, "workload"),
        text(row, "endpoint_name"),
        text(row, "count"),
        ago(time::of(at(row, "last_seen")), now),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::fixture::finding;

    #[test]
    fn a_finding_is_a_row() {
        let row = serde_json::to_value(finding("f1")).unwrap();
        let now = Timestamp::from_rfc3339("2026-01-31T09:00:00Z").unwrap();
        let expected = [
            "medium",
            "plain_http_credentials",
            "API8:2023",
            "shop",
            "POST /v1/login",
            "12",
            "1h",
        ];
        assert_eq!(cells(&row, now), expected);
    }
}
