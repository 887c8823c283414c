//! What changed, as log records: one for each row that a database would get.
//!
//! In: a [`Row`]. Out: a [`LogRecord`] with what the query commands show as the body, and the columns as attributes. The same
//! row, sent twice, has the same `event.id`; a newer one of the same thing has the same `apiarist.key`.

use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, KeyValue, any_value},
    logs::v1::{LogRecord, SeverityNumber},
};
use serde_json::{Map, Value};

use super::{attribute, severity, string, text};
use crate::{
    fleet::{Row, Table},
    inventory::EndpointId,
    verdict::Severity,
};

/// The record of a row; `None` for what is no row.
pub(super) fn record(row: &Row) -> Option<LogRecord> {
    let mut columns: Map<String, Value> = serde_json::from_str(&row.json).ok()?;
    let made_ms = columns.remove("v")?.as_u64()?;
    // Ids of endpoints as everything else shows them.
    for name in ["endpoint", "id"] {
        if let Some(id) = columns.get(name).and_then(Value::as_u64) {
            columns.insert(name.to_owned(), EndpointId(id).to_string().into());
        }
    }
    let body = match columns.remove("record") {
        Some(Value::String(record)) => record,
        _ => Value::Object(columns.clone()).to_string(),
    };
    let key: Vec<&str> = row
        .table
        .key()
        .iter()
        .filter_map(|name| columns.get(*name)?.as_str())
        .collect();
    let kind = kind(row.table);
    let key = format!("{kind}/{}", key.join("/"));
    let mut attributes = vec![
        text("event.id", &format!("{key}/{made_ms}")),
        text("apiarist.key", &key),
        text("apiarist.kind", kind),
    ];
    let named = columns.iter().filter_map(|(name, value)| column(name, value));
    attributes.extend(named);
    let nanoseconds = made_ms.saturating_mul(1_000_000);
    let (number, name) = match columns.get("severity").and_then(Value::as_str) {
        Some(name) => severity(Severity::named(name).unwrap_or(Severity::Info)),
        None => (SeverityNumber::Info, "INFO"),
    };
    Some(LogRecord {
        time_unix_nano: nanoseconds,
        observed_time_unix_nano: nanoseconds,
        severity_number: number.into(),
        severity_text: name.to_owned(),
        body: Some(string(body)),
        attributes,
        event_name: format!("apiarist.{kind}"),
        ..Default::default()
    })
}

/// A column as an attribute, unless it holds nothing.
fn column(name: &str, value: &Value) -> Option<KeyValue> {
    let number = |value| AnyValue { value: Some(value) };
    let value = match value {
        Value::String(text) if text.is_empty() => return None,
        Value::String(text) => string(text.clone()),
        Value::Number(_) => match (value.as_i64(), value.as_f64()) {
            (Some(whole), _) => number(any_value::Value::IntValue(whole)),
            (None, Some(real)) => number(any_value::Value::DoubleValue(real)),
            (None, None) => return None,
        },
        // Lists are in the body.
        _ => return None,
    };
    Some(attribute(&format!("apiarist.{name}"), value))
}

/// What one row of a table tells of.
const fn kind(table: Table) -> &'static str {
    match table {
        Table::Nodes => "node",
        Table::Endpoints => "endpoint",
        Table::Workloads => "workload",
        Table::Calls => "calls",
        Table::Baselines => "baseline",
        Table::Findings => "finding",
        Table::Risks => "risk",
        Table::Alerts => "alert",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(table: Table, columns: &Value) -> LogRecord {
        let json = columns.to_string();
        record(&Row { table, json }).unwrap()
    }

    /// In order of their keys.
    fn attributes(record: &LogRecord) -> Vec<String> {
        let of = |one: &KeyValue| format!("{}={:?}", one.key, one.value.clone().unwrap().value.unwrap());
        let mut all: Vec<String> = record.attributes.iter().map(of).collect();
        all.sort();
        all
    }

    #[test]
    fn a_row_is_a_record_with_its_columns() {
        let row = json!({"id": 255, "node": "n1", "template": "/a", "owner": "", "hits": 3, "risk": 0.5, "sensitive": ["email"],
            "record": "{\"template\":\"/a\"}", "v": 1_800_000_000_000_u64});
        let record = of(Table::Endpoints, &row);
        assert_eq!(record.event_name, "apiarist.endpoint");
        assert_eq!(record.time_unix_nano, 1_800_000_000_000_000_000);
        assert_eq!(record.body, Some(string(r#"{"template":"/a"}"#.to_owned())));
        assert_eq!(
            attributes(&record),
            [
                "apiarist.hits=IntValue(3)",
                r#"apiarist.id=StringValue("00000000000000ff")"#,
                r#"apiarist.key=StringValue("endpoint/00000000000000ff")"#,
                r#"apiarist.kind=StringValue("endpoint")"#,
                r#"apiarist.node=StringValue("n1")"#,
                "apiarist.risk=DoubleValue(0.5)",
                r#"apiarist.template=StringValue("/a")"#,
                r#"event.id=StringValue("endpoint/00000000000000ff/1800000000000")"#,
            ]
        );
    }

    #[test]
    fn what_is_gone_says_so_and_findings_say_how_bad_they_are() {
        let gone = of(
            Table::Calls,
            &json!({"caller": "a", "callee": "b", "direction": "in", "gone": 1, "node": "n", "v": 7}),
        );
        let said = attributes(&gone);
        assert!(said.contains(&"apiarist.gone=IntValue(1)".to_owned()), "{said:?}");
        assert!(
            said.contains(&r#"apiarist.key=StringValue("calls/a/b/in")"#.to_owned()),
            "{said:?}"
        );
        let finding = of(
            Table::Findings,
            &json!({"id": "f1", "severity": "critical", "record": "{}", "node": "n", "v": 7}),
        );
        assert_eq!(finding.severity_text, "FATAL");
        for bad in ["", "{}", r#"{"v": "x"}"#] {
            let (table, json) = (Table::Nodes, bad.to_owned());
            assert_eq!(record(&Row { table, json }), None, "{bad}");
        }
    }
}
