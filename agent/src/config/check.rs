//! Finds everything that is wrong with a configuration text, not only the first thing.
//!
//! In: TOML text. Out: the [`Config`], or all [`Problem`]s in order of position. The text is parsed with
//! recovery, then walked beside the JSON Schema (unknown keys, types, ranges), then deserialised and checked
//! for what a schema cannot say.

use std::{fmt, ops::Range};

use serde::Deserialize as _;
use serde_json::Value;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{Config, schema};

/// Problems that are kept. Overflow policy: later ones are dropped; the first hundred say enough.
const MAX_PROBLEMS: usize = 100;

/// One thing that is wrong with a configuration, and where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong and what would be right.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.message)
    }
}

/// Reads a configuration.
///
/// # Errors
/// All problems of the text, in order of position, at most one hundred; never empty.
pub fn check(text: &str) -> Result<Config, Vec<Problem>> {
    let (document, errors) = DeTable::parse_recoverable(text);
    let mut found = Found {
        text,
        problems: Vec::new(),
    };
    for error in &errors {
        found.add(error.span().unwrap_or(0..0), error.message().to_owned());
    }
    found.table(&schema(), document.get_ref(), "");
    if found.problems.is_empty() {
        match Config::deserialize(toml::de::Deserializer::from(document.clone())) {
            Ok(config) => {
                for (path, message) in config.conflicts() {
                    let key = path.join(".");
                    found.add(span_of(document.get_ref(), path), format!("`{key}` {message}"));
                }
                if found.problems.is_empty() {
                    return Ok(config);
                }
            }
            Err(error) => found.add(error.span().unwrap_or(0..0), error.message().to_owned()),
        }
    }
    found.problems.sort();
    found.problems.dedup();
    Err(found.problems)
}

struct Found<'t> {
    text: &'t str,
    problems: Vec<Problem>,
}

impl Found<'_> {
    fn add(&mut self, span: Range<usize>, message: String) {
        if self.problems.len() >= MAX_PROBLEMS {
            return;
        }
        let (line, column) = position(self.text, span.start);
        self.problems.push(Problem {
            line,
            column,
            message,
        });
    }

    fn table(&mut self, schema: &Value, table: &DeTable<'_>, path: &str) {
        let known = schema.get("properties").and_then(Value::as_object);
        for (key, value) in table.iter() {
            let name = key.get_ref().as_ref();
            let full = join(path, name);
            match known.and_then(|known| known.get(name)) {
                Some(schema) => self.value(schema, value, &full),
                None => {
                    let names: Vec<&str> = known.into_iter().flatten().map(|(k, _)| k.as_str()).collect();
                    self.add(key.span(), unknown(&full, name, &names));
                }
            }
        }
    }

    fn value(&mut self, schema: &Value, value: &Spanned<DeValue<'_>>, path: &str) {
        let wanted = types(schema);
        let given = match value.get_ref() {
            DeValue::String(_) => "string",
            DeValue::Integer(_) => "integer",
            DeValue::Float(_) => "number",
            DeValue::Boolean(_) => "boolean",
            DeValue::Datetime(_) => "date",
            DeValue::Array(_) => "array",
            DeValue::Table(_) => "object",
        };
        let fits = wanted.is_empty()
            || wanted.contains(&given)
            || (given == "integer" && wanted.contains(&"number"));
        if !fits {
            let wanted = wanted
                .iter()
                .find(|name| **name != "null")
                .copied()
                .unwrap_or("value");
            let message = format!("`{path}` must be {}, not {}", article(wanted), article(given));
            return self.add(value.span(), message);
        }
        match value.get_ref() {
            DeValue::Table(table) => self.table(schema, table, path),
            DeValue::Array(items) => {
                if let Some(schema) = schema.get("items") {
                    for item in items.iter() {
                        self.value(schema, item, path);
                    }
                }
            }
            DeValue::Integer(number) => {
                let digits = number.as_str().replace('_', "");
                let parsed = i128::from_str_radix(&digits, number.radix());
                if let Some(message) = out_of_range(schema, parsed.ok(), path) {
                    self.add(value.span(), message);
                }
            }
            DeValue::String(text) => {
                let choices = choices(schema);
                if !choices.is_empty() && !choices.contains(&text.as_ref()) {
                    self.add(
                        value.span(),
                        format!("`{path}` must be one of {}", choices.join(", ")),
                    );
                }
            }
            DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {}
        }
    }
}

fn join(path: &str, name: &str) -> String {
    match path {
        "" => name.to_owned(),
        path => format!("{path}.{name}"),
    }
}

fn unknown(full: &str, name: &str, known: &[&str]) -> String {
    let nearest = known
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(candidate, name), candidate))
        .min()
        .filter(|(distance, candidate)| *distance <= (candidate.len() / 3).max(1));
    match nearest {
        Some((_, candidate)) => format!("unknown key `{full}`: did you mean `{candidate}`?"),
        None => format!("unknown key `{full}`: known here are {}", known.join(", ")),
    }
}

fn types(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(one)) => vec![one.as_str()],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ if schema.get("oneOf").is_some() => vec!["string"],
        _ => Vec::new(),
    }
}

/// The values of an enumeration, in either form the schema generator writes it.
pub(super) fn choices(schema: &Value) -> Vec<&str> {
    let alternatives = schema.get("oneOf").and_then(Value::as_array);
    let constants = alternatives
        .into_iter()
        .flatten()
        .filter_map(|one| one.get("const"));
    let listed = schema.get("enum").and_then(Value::as_array).into_iter().flatten();
    constants.chain(listed).filter_map(Value::as_str).collect()
}

fn out_of_range(schema: &Value, number: Option<i128>, path: &str) -> Option<String> {
    let bound = |name: &str| {
        schema
            .get(name)
            .and_then(Value::as_f64)
            .map(|bound| bound as i128)
    };
    let (low, high) = (bound("minimum"), bound("maximum"));
    let inside = number.is_some_and(|n| low.is_none_or(|low| n >= low) && high.is_none_or(|high| n <= high));
    match (inside, low, high) {
        (true, ..) => None,
        (false, Some(low), Some(high)) => Some(format!("`{path}` must be from {low} to {high}")),
        (false, Some(low), None) => Some(format!("`{path}` must be at least {low}")),
        (false, None, Some(high)) => Some(format!("`{path}` must be at most {high}")),
        (false, None, None) => Some(format!("`{path}` is too large a number")),
    }
}

fn article(kind: &str) -> &str {
    match kind {
        "string" => "a string",
        "integer" => "an integer",
        "number" => "a number",
        "boolean" => "true or false",
        "date" => "a date",
        "array" => "a list",
        "object" => "a table",
        _ => "a value",
    }
}

fn span_of(table: &DeTable<'_>, path: &[&str]) -> Range<usize> {
    let mut table = table;
    let mut span = 0..0;
    for name in path {
        let Some((key, value)) = table.iter().find(|(key, _)| key.get_ref().as_ref() == *name) else {
            return span;
        };
        span = key.span();
        match value.get_ref() {
            DeValue::Table(inner) => table = inner,
            _ => return span,
        }
    }
    span
}

fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    let column = before.get(start..).unwrap_or_default().chars().count() + 1;
    (line, column)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        check(text).unwrap_err().iter().map(Problem::to_string).collect()
    }

    #[test]
    fn all_problems_are_reported_at_once_in_order() {
        let found = lines(
            "[capture]\nbudget_bytes = 1\nring_byts = 4\nshards = \"two\"\n\n[sore]\npath = 1\n[log]\nformat = \"xml\"\n",
        );
        assert_eq!(
            found,
            [
                "2:16: `capture.budget_bytes` must be from 256 to 65536",
                "3:1: unknown key `capture.ring_byts`: did you mean `ring_bytes`?",
                "4:10: `capture.shards` must be an integer, not a string",
                "6:2: unknown key `sore`: did you mean `store`?",
                "9:10: `log.format` must be one of text, json",
            ]
        );
    }

    #[test]
    fn broken_syntax_does_not_hide_the_rest() {
        let found = lines("[capture]\nbudget_bytes = \nshard = 1\n[control]\nsocket = 5\n");
        assert!(found.iter().any(|p| p.starts_with("2:")), "{found:?}");
        assert!(
            found.iter().any(|p| p.starts_with("3:1: unknown key")),
            "{found:?}"
        );
        assert!(found.iter().any(|p| p.starts_with("5:10: ")), "{found:?}");
    }

    #[test]
    fn items_of_lists_are_checked_where_they_stand() {
        assert_eq!(
            lines("[capture.scope]\nports = [80, 70000,\n \"x\"]\n"),
            [
                "2:14: `capture.scope.ports` must be from 0 to 65535",
                "3:2: `capture.scope.ports` must be an integer, not a string",
            ]
        );
    }

    #[test]
    fn what_a_schema_cannot_say_is_checked_too() {
        assert_eq!(
            lines("[capture]\nring_bytes = 100000\nshards = 3\n[control]\nsocket = \"x\"\n"),
            [
                "2:1: `capture.ring_bytes` must be a power of two: use 65536 or 131072",
                "3:1: `capture.shards` must be 0, 1, 2 or 4",
                "5:1: `control.socket` must be an absolute path",
            ]
        );
    }

    #[test]
    fn numbers_may_be_written_in_any_toml_form() {
        assert_eq!(
            check("[capture]\nbudget_bytes = 0x1000\n")
                .unwrap()
                .capture
                .budget_bytes,
            4096
        );
        assert_eq!(
            check("[capture]\nbudget_bytes = 4_096\n")
                .unwrap()
                .capture
                .budget_bytes,
            4096
        );
        assert_eq!(
            lines("[store]\nmax_bytes = 99999999999999999999999999999999999999999\n").len(),
            1
        );
    }

    #[test]
    fn arbitrary_text_is_refused_not_feared() {
        for text in [
            "\u{0}",
            "[[[",
            "a=\"\u{1F41D}",
            "= = =\n[",
            "é = 1",
            "[capture]\n[capture]\n",
        ] {
            assert!(check(text).is_err(), "{text:?}");
        }
    }
}
