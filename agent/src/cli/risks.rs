//! `apiarist risks`: endpoints and workloads by risk, and what each score is made of.

use serde_json::Value;

use super::{
    Context, Failure,
    list::{List, dash, joined, text},
    query::{self, at},
    source::Topic,
    table::Column,
};
use crate::clock::Timestamp;

const EXAMPLES: &str = "EXAMPLES:
  apiarist risks
  apiarist risks --limit 10
  apiarist risks --filter 'score > 50 and factors.factor == \"sensitive_data\"' -o json
  apiarist risks --store /var/lib/apiarist --workload shop
  apiarist --fleet clickhouse://clickhouse.example.net/apiarist risks --limit 20";

/// List endpoints and workloads by risk, with the factors of each score
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    query: query::Args,
}

const COLUMNS: [Column; 6] = [
    Column::number("RISK"),
    Column::text("SEVERITY"),
    Column::text("WORKLOAD"),
    Column::flexible("ENDPOINT"),
    Column::text("EXPOSURE"),
    Column::text("FACTORS"),
];

pub(super) fn run(args: &Args, context: &mut Context<'_>) -> Result<(), Failure> {
    let list = List {
        topic: Topic::Risks,
        columns: &COLUMNS,
        cells,
        empty: "Nothing with a risk matches.",
    };
    list.show(&args.query, context)
}

fn cells(row: &Value, _now: Timestamp) -> Vec<String> {
    let factors = at(row, "factors").as_array().into_iter().flatten();
    let score = at(row, "score").as_f64();
    vec![
        score.map_or_else(dash, |score| format!("{score:.0}")),
        text(row, "severity"),
        text(row, "workload"),
        text(row, "endpoint_name"),
        text(row, "exposure"),
        joined(factors.map(|factor| text(factor, "factor")), ","),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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
        assert_eq!(cells(&row, Timestamp(0)), expected);
    }
}
