//! One row of one table, as ClickHouse takes it.

use serde_json::{Map, Value};

/// A table of the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// Hosts, and how their agents are.
    Nodes,
    /// Endpoints.
    Endpoints,
    /// Workloads.
    Workloads,
    /// Edges of the graph of calls.
    Calls,
    /// Baselines, in a few numbers.
    Baselines,
    /// Findings.
    Findings,
    /// Risk of endpoints and workloads.
    Risks,
    /// Incidents and anomalies.
    Alerts,
}

impl Table {
    /// Every table.
    pub const ALL: [Self; 8] = [
        Self::Nodes,
        Self::Endpoints,
        Self::Workloads,
        Self::Calls,
        Self::Baselines,
        Self::Findings,
        Self::Risks,
        Self::Alerts,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nodes => "nodes",
            Self::Endpoints => "endpoints",
            Self::Workloads => "workloads",
            Self::Calls => "calls",
            Self::Baselines => "baselines",
            Self::Findings => "findings",
            Self::Risks => "risks",
            Self::Alerts => "alerts",
        }
    }

    /// The columns that tell a row from the others of the same host.
    pub const fn key(self) -> &'static [&'static str] {
        match self {
            Self::Nodes => &[],
            Self::Endpoints | Self::Workloads | Self::Findings | Self::Alerts => &["id"],
            Self::Calls => &["caller", "callee", "direction"],
            Self::Baselines => &["endpoint"],
            Self::Risks => &["endpoint", "workload"],
        }
    }
}

/// A row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Of which table.
    pub table: Table,
    /// An object on one line, whose members are columns.
    pub json: String,
}

impl Row {
    /// As a line of text: the name of the table, a space, the object.
    pub fn line(&self) -> String {
        format!("{} {}", self.table.name(), self.json)
    }

    /// Reads such a line; `None` for what is none, or names a table that this version does not know.
    pub fn of_line(line: &[u8]) -> Option<Self> {
        let (name, json) = std::str::from_utf8(line).ok()?.split_once(' ')?;
        let table = Table::ALL.into_iter().find(|table| table.name() == name)?;
        Some(Self {
            table,
            json: json.to_owned(),
        })
    }
}

/// A row that is being made: its key, and the rest.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Draft {
    pub(super) table: Table,
    /// What tells it from the other rows of this host in its table.
    pub(super) key: Map<String, Value>,
    pub(super) columns: Map<String, Value>,
}

impl Draft {
    pub(super) fn new(table: Table, key: Value, columns: Value) -> Self {
        Self {
            table,
            key: object(key),
            columns: object(columns),
        }
    }

    /// The row as of a version.
    pub(super) fn finish(self, node: &str, version_ms: u64) -> Row {
        let mut columns = self.columns;
        columns.extend(self.key);
        columns.insert("node".to_owned(), node.into());
        columns.insert("v".to_owned(), version_ms.into());
        Row {
            table: self.table,
            json: Value::Object(columns).to_string(),
        }
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_reads_back_and_others_do_not() {
        let draft = Draft::new(Table::Calls, json!({"caller": "a b"}), json!({"exchanges": 3}));
        let row = draft.finish("n1", 7);
        let columns: Value = serde_json::from_str(&row.json).unwrap();
        assert_eq!(
            columns,
            json!({"caller": "a b", "exchanges": 3, "node": "n1", "v": 7})
        );
        assert_eq!(Row::of_line(row.line().as_bytes()), Some(row));
        for bad in ["", "calls", "nothing {}"] {
            assert_eq!(Row::of_line(bad.as_bytes()), None, "{bad}");
        }
    }
}
