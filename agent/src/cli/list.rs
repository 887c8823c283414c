//! What the commands that list rows have in common: select, then a table for people or a form for programs.

use serde_json::Value;

use super::{
    Context, Failure, fleet,
    output::{self, Format},
    query::{self, at},
    rows::{self, Line},
    source::Topic,
    table::{self, Column},
};
use crate::clock::Timestamp;

/// A list: which rows, and how each becomes a line.
pub(super) struct List<'a> {
    pub(super) topic: Topic,
    pub(super) columns: &'a [Column],
    /// The cells of a row at the present time, one for each column.
    pub(super) cells: fn(&Value, Timestamp) -> Vec<String>,
    /// Said when no row is left.
    pub(super) empty: &'a str,
}

impl List<'_> {
    /// Fetches, selects and writes.
    pub(super) fn show(&self, query: &query::Args, context: &mut Context<'_>) -> Result<(), Failure> {
        let lines = query.lines(self.topic, context)?;
        match query.output {
            Format::Table => {
                let mut columns = self.columns.to_vec();
                let of_fleet = context.fleet.is_some();
                columns.extend(of_fleet.then_some(Column::text("NODE")));
                let cells = |line: &Line| {
                    let row = rows::whole(line)?;
                    let mut cells = (self.cells)(&row, context.now);
                    cells.extend(of_fleet.then(|| fleet::nodes(&row)));
                    Ok(cells)
                };
                let cells = lines.iter().map(cells).collect::<Result<Vec<_>, Failure>>()?;
                table::write(context.out, context.terminal, &columns, &cells, self.empty)
            }
            format => output::lines(context.out, format, &lines),
        }
    }
}

/// A scalar as it is, `-` for what is absent.
pub(super) fn text(row: &Value, path: &str) -> String {
    match at(row, path) {
        Value::String(text) if !text.is_empty() => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(yes) => yes.to_string(),
        _ => dash(),
    }
}

/// The operation of an endpoint if its protocol names its own, else the path template.
pub(super) fn operation(row: &Value) -> String {
    match text(row, "operation") {
        operation if operation != dash() => operation,
        _ => text(row, "template"),
    }
}

/// Parts with a separator between them; `-` without any.
pub(super) fn joined(parts: impl Iterator<Item = String>, separator: &str) -> String {
    let parts: Vec<String> = parts.collect();
    match parts.is_empty() {
        true => dash(),
        false => parts.join(separator),
    }
}

/// What stands for something absent.
pub(super) fn dash() -> String {
    "-".to_owned()
}
