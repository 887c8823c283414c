//! What the commands that list rows have in common: select, then a table for people or a form for programs.

use serde_json::Value;

use super::{
    Context, Failure,
    batches::Line,
    fleet,
    output::{self, Format},
    query,
    source::Topic,
    table::{self, Column},
    time::ago,
};
use crate::{
    clock::Timestamp,
    select::{Members, at, each, pick, time_of},
};

/// A list: which rows, and how each becomes a line.
pub(super) struct List<'a> {
    pub(super) topic: Topic,
    pub(super) columns: &'a [Shown],
    /// Said when no row is left.
    pub(super) empty: &'a str,
}

/// A column, and what of a row is in it.
pub(super) struct Shown {
    column: Column,
    content: Content,
}

enum Content {
    /// A member as it is.
    Member(&'static str),
    /// What a function makes of these members at the present time.
    Made(&'static [&'static str], fn(&Value, Timestamp) -> String),
}

impl Shown {
    /// A member as it is, named with dots.
    pub(super) const fn member(column: Column, path: &'static str) -> Self {
        Self {
            column,
            content: Content::Member(path),
        }
    }

    /// What a function makes of some members of a row.
    pub(super) const fn made(
        column: Column,
        members: &'static [&'static str],
        make: fn(&Value, Timestamp) -> String,
    ) -> Self {
        Self {
            column,
            content: Content::Made(members, make),
        }
    }

    /// How long ago it was last seen.
    pub(super) const fn seen() -> Self {
        Self::made(Column::number("SEEN"), &["last_seen"], |row, now| {
            ago(time_of(at(row, "last_seen")), now)
        })
    }

    /// The members that it is made of.
    fn members(&self) -> impl Iterator<Item = &'static str> {
        let (path, members) = match self.content {
            Content::Member(path) => (Some(path), &[][..]),
            Content::Made(members, _) => (None, members),
        };
        let all = path.into_iter().chain(members.iter().copied());
        all.map(|path| path.split('.').next().unwrap_or(path))
    }

    fn cell(&self, row: &Value, now: Timestamp) -> String {
        match self.content {
            Content::Member(path) => text(row, path),
            Content::Made(_, make) => make(row, now),
        }
    }
}

impl List<'_> {
    /// Fetches, selects and writes.
    pub(super) fn show(&self, query: &query::Args, context: &mut Context<'_>) -> Result<(), Failure> {
        let lines = query.lines(self.topic, context)?;
        if query.output != Format::Table {
            return output::lines(context.out, query.output, &lines);
        }
        let node = Shown::made(Column::text("NODE"), &["node", "nodes"], |row, _| {
            fleet::nodes(row)
        });
        let of_fleet = context.fleet.is_some();
        let shown: Vec<&Shown> = self.columns.iter().chain(of_fleet.then_some(&node)).collect();
        let needed: Members = shown.iter().flat_map(|shown| shown.members()).collect();
        let now = context.now;
        let cells = each(&lines, |line: &Line| {
            let row = pick(line, &needed)?;
            Ok(shown.iter().map(|shown| shown.cell(&row, now)).collect())
        });
        let cells = cells.into_iter().collect::<Result<Vec<_>, Failure>>()?;
        let columns: Vec<Column> = shown.iter().map(|shown| shown.column).collect();
        table::write(context.out, context.terminal, &columns, &cells, self.empty)
    }
}

/// The cells of a row at the present time, one for each column.
#[cfg(test)]
pub(super) fn cells(columns: &[Shown], row: &Value, now: Timestamp) -> Vec<String> {
    columns.iter().map(|shown| shown.cell(row, now)).collect()
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
