//! `apiarist risks`: endpoints and workloads by risk, and what each score is made of.

use super::{
    list::{List, Shown, dash, joined, text},
    source::Topic,
    table::Column,
};
use crate::select::at;

/// Shown by `--help`.
pub(super) const EXAMPLES: &str = "EXAMPLES:
  apiarist risks
  apiarist risks --limit 10
  apiarist risks --filter 'score > 50 and factors.factor == \"sensitive_data\"' -o json
  apiarist risks --store /var/lib/apiarist --workload shop
  apiarist --fleet clickhouse://clickhouse.example.net/apiarist risks --limit 20";

const COLUMNS: [Shown; 6] = [
    Shown::made(Column::number("RISK"), &["score"], |row, _| {
        at(row, "score")
            .as_f64()
            .map_or_else(dash, |score| format!("{score:.0}"))
    }),
    Shown::member(Column::text("SEVERITY"), "severity"),
    Shown::member(Column::text("WORKLOAD"), "workload"),
    Shown::member(Column::flexible("ENDPOINT"), "endpoint_name"),
    Shown::member(Column::text("EXPOSURE"), "exposure"),
    Shown::made(Column::text("FACTORS"), &["factors"], |row, _| {
        let factors = at(row, "factors").as_array().into_iter().flatten();
        joined(factors.map(|factor| text(factor, "factor")), ",")
    }),
];

/// The list.
pub(super) const LIST: List<'static> = List {
    topic: Topic::Risks,
    columns: &COLUMNS,
    empty: "Nothing with a risk matches.",
};

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{cli::list::cells, clock::Timestamp};

    #[test]
    fn a_risk_is_a_row_with_its_factors() {
        let row = json!({
            "endpoint": "aa11000000000000", "workload": "shop", "endpoint_name": "GET /v1/users", "severity": "high",
            "exposure": "internet", "score": 87.4,
            "factors": [{"factor": "unauthenticated_success"}, {"factor": "sensitive_data"}],
        });
        let expected = [
            "87",
            "high",
            "shop",
            "GET /v1/users",
            "internet",
            "unauthenticated_success,sensitive_data",
        ];
        assert_eq!(cells(&COLUMNS, &row, Timestamp(0)), expected);
    }
}
