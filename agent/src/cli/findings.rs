//! `apiarist findings`: facts about endpoints that somebody should change.

use super::{
    list::{List, Shown},
    source::Topic,
    table::Column,
};

/// Shown by `--help`.
pub(super) const EXAMPLES: &str = "EXAMPLES:
  apiarist findings
  apiarist findings --sort -severity --workload shop
  apiarist findings --filter 'severity >= \"high\" and owasp ~ \"API8\"' -o json
  apiarist findings --store /var/lib/apiarist -o csv > findings.csv
  apiarist --fleet clickhouse://clickhouse.example.net/apiarist findings --filter 'nodes > 1'";

const COLUMNS: [Shown; 7] = [
    Shown::member(Column::text("SEVERITY"), "severity"),
    Shown::member(Column::text("RULE"), "rule"),
    Shown::member(Column::text("OWASP"), "owasp"),
    Shown::member(Column::text("WORKLOAD"), "workload"),
    Shown::member(Column::flexible("ENDPOINT"), "endpoint_name"),
    Shown::member(Column::number("COUNT"), "count"),
    Shown::seen(),
];

/// The list.
pub(super) const LIST: List<'static> = List {
    topic: Topic::Findings,
    columns: &COLUMNS,
    empty: "No finding matches.",
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cli::list::cells, clock::Timestamp, verdict::fixture::finding};

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
        assert_eq!(cells(&COLUMNS, &row, now), expected);
    }
}
