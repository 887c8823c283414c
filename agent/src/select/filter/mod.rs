//! The expression language of `--filter`: conditions over the JSON rows of a query.
//!
//! In: text such as `hits > 10 and method == "GET"`. Out: a [`Filter`] that accepts or rejects rows, or an error
//! that names the column. Fields are named as in the JSON, with dots for members (`latency_ms.p99`,
//! `status."2xx"`); a list matches if any of its items does. Operators: `== != < <= > >=`, `~` and `!~` (contains
//! the text, or matches it as a regular expression), `and`, `or`, `not`, parentheses. A field alone asks whether
//! it is there and not empty. Refuses anything else; there are no functions and no side effects.

mod evaluate;
mod lex;
mod parse;
mod sql;

use std::{collections::BTreeSet, fmt};

pub(super) use evaluate::compare_text;

use super::{SelectError, line::Row};

/// Longest expression, in bytes. Overflow policy: refused.
const MAX_BYTES: usize = 4096;

/// A parsed expression.
#[derive(Debug)]
pub(crate) struct Filter {
    expression: parse::Expression,
}

/// Why an expression was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FilterError {
    /// Column in characters, from 1.
    pub(crate) column: usize,
    /// What was wrong there and what would be right.
    pub(crate) message: String,
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at column {}: {}", self.column, self.message)
    }
}

impl Filter {
    /// Parses an expression.
    pub(crate) fn parse(text: &str) -> Result<Self, FilterError> {
        if text.len() > MAX_BYTES {
            return Err(FilterError {
                column: 1,
                message: format!("the expression is longer than {MAX_BYTES} bytes"),
            });
        }
        let expression = parse::parse(&lex::tokens(text)?)?;
        Ok(Self { expression })
    }

    /// Whether the row is wanted.
    ///
    /// # Errors
    /// What it looks at is no JSON.
    pub(crate) fn accepts<R: Row + ?Sized>(&self, row: &R) -> Result<bool, SelectError> {
        evaluate::accepts(&self.expression, row)
    }

    /// Top-level members that the expression names.
    pub(crate) fn members(&self) -> BTreeSet<&str> {
        let paths = self.paths().into_iter();
        paths
            .filter_map(|path| path.first().map(String::as_str))
            .collect()
    }

    /// What the expression looks at: members from the outside in.
    fn paths(&self) -> Vec<&[String]> {
        let mut found = Vec::new();
        self.expression.paths(&mut found);
        found
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn accepts(text: &str) -> bool {
        let row = json!({
            "hits": 12, "method": "GET", "template": "/v1/users/{userId}", "risk": null, "hosts": [],
            "latency_ms": {"p99": 7.5}, "status": {"2xx": 11, "5xx": 1},
            "sensitive": [{"type": "email", "count": 3}, {"type": "iban", "count": 1}],
            "suspected": false,
        });
        Filter::parse(text)
            .unwrap_or_else(|e| panic!("{text}: {e}"))
            .accepts(&row.to_string())
            .unwrap()
    }

    #[test]
    fn comparisons_follow_the_types_of_json() {
        for text in [
            "hits > 10",
            "hits == 12",
            "hits == 12.0",
            "hits != 13",
            "latency_ms.p99 <= 7.5",
            "method == \"GET\"",
            "method == 'GET'",
            "method < \"POST\"",
            "suspected == false",
            "risk == null",
            "status.2xx == 11",
            "status.\"2xx\" == 11",
            "hits > -1",
        ] {
            assert!(accepts(text), "{text}");
        }
        for text in [
            "hits > 12",
            "method > 5",
            "hits == \"12\"",
            "absent == 1",
            "absent < 1",
        ] {
            assert!(!accepts(text), "{text}");
        }
    }

    #[test]
    fn what_is_absent_differs_from_everything() {
        assert!(accepts("absent != 1"));
        assert!(accepts("absent == null"));
        assert!(accepts("absent !~ \"x\""));
    }

    #[test]
    fn lists_match_by_any_item() {
        assert!(accepts("sensitive.type == \"iban\""));
        assert!(!accepts("sensitive.type == \"card\""));
        assert!(!accepts("sensitive.type != \"iban\""));
        assert!(accepts("sensitive.count > 2"));
    }

    #[test]
    fn tilde_takes_text_or_a_regular_expression() {
        assert!(accepts("template ~ \"users\""));
        assert!(accepts("template ~ \"/users/{userId}\""));
        assert!(accepts("template ~ \"^/v[0-9]+/\""));
        assert!(accepts("template !~ \"orders\""));
        assert!(
            accepts("template ~ \"v1/users/{\""),
            "not a regular expression, still text"
        );
    }

    #[test]
    fn words_bind_as_in_the_usual_languages() {
        assert!(accepts("hits > 100 or method == \"GET\" and hits > 1"));
        assert!(!accepts("(hits > 100 or method == \"GET\") and hits > 20"));
        assert!(accepts("not hits > 100 and not (method == \"POST\")"));
        assert!(accepts("!suspected && hits > 1 || risk"));
    }

    #[test]
    fn a_field_alone_asks_for_presence() {
        assert!(accepts("sensitive"));
        assert!(!accepts("hosts"));
        assert!(!accepts("risk"));
        assert!(!accepts("absent"));
    }

    #[test]
    fn errors_point_at_the_column() {
        for (text, column, part) in [
            ("", 1, "expected a field"),
            ("hits >", 7, "expected a value"),
            ("hits > and", 8, "expected a value"),
            ("method == GET", 11, "in quotes: \"GET\""),
            ("hits = 1", 6, "use `==`"),
            ("hits > 1 method", 10, "expected `and`"),
            ("(hits > 1", 10, "expected `)`"),
            ("method == \"GET", 11, "is not closed"),
            ("hits > 1 and é == 2", 14, "not expected here"),
            ("10 < hits", 1, "expected a field"),
            ("hits > 1..2", 8, "not a number"),
        ] {
            let error = Filter::parse(text).unwrap_err();
            assert_eq!(error.column, column, "{text}: {error}");
            assert!(error.message.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn depth_and_length_are_bounded() {
        let deep = format!("{}hits{}", "(".repeat(2000), ")".repeat(2000));
        assert!(Filter::parse(&deep).unwrap_err().message.contains("nested"));
        assert!(Filter::parse(&"not ".repeat(1000)).is_err());
        assert!(Filter::parse(&"a".repeat(5000)).is_err());
    }

    #[test]
    fn regular_expressions_are_bounded() {
        let error = Filter::parse("template ~ \"(a{0,1000}){0,1000}\"").unwrap_err();
        assert_eq!(error.column, 12);
        assert!(error.message.contains("matches too much"), "{error}");
    }

    #[test]
    fn the_members_an_expression_names_are_known() {
        let filter = Filter::parse("hits > 1 and (status.2xx > 0 or not owner)").unwrap();
        assert_eq!(
            filter.members().into_iter().collect::<Vec<_>>(),
            ["hits", "owner", "status"]
        );
    }
}
