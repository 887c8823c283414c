//! Decides whether a row satisfies a filter expression.

use std::cmp::Ordering;

use serde_json::Value;

use super::{
    lex::Operator,
    parse::{Expression, Pattern},
};
use crate::verdict::Severity;

pub(super) fn accepts(expression: &Expression, row: &Value) -> bool {
    match expression {
        Expression::Or(all) => all.iter().any(|one| accepts(one, row)),
        Expression::And(all) => all.iter().all(|one| accepts(one, row)),
        Expression::Not(inner) => !accepts(inner, row),
        Expression::Present(path) => any(row, path, &|value| !is_empty(value)),
        Expression::Compare(path, Operator::Equal, Value::Null) => !any(row, path, &|v| !v.is_null()),
        Expression::Compare(path, Operator::NotEqual, Value::Null) => any(row, path, &|v| !v.is_null()),
        Expression::Compare(path, Operator::NotEqual, wanted) => !any(row, path, &|value| {
            compare(value, wanted) == Some(Ordering::Equal)
        }),
        Expression::Compare(path, operator, wanted) => any(row, path, &|value| {
            compare(value, wanted).is_some_and(|order| holds(*operator, order))
        }),
        Expression::Matches(path, pattern, wanted) => {
            any(row, path, &|value| matches(value, pattern)) == *wanted
        }
    }
}

/// Whether any value at the path satisfies the test. Lists stand for their items.
fn any(value: &Value, path: &[String], test: &dyn Fn(&Value) -> bool) -> bool {
    match (value, path) {
        (Value::Array(items), _) => items.iter().any(|item| any(item, path, test)),
        (value, []) => test(value),
        (Value::Object(members), [name, rest @ ..]) => {
            members.get(name).is_some_and(|member| any(member, rest, test))
        }
        _ => false,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(true) | Value::Number(_) => false,
    }
}

/// Order of two values of the same type; none for different types.
fn compare(value: &Value, wanted: &Value) -> Option<Ordering> {
    match (value, wanted) {
        (Value::Number(a), Value::Number(b)) => a.as_f64()?.partial_cmp(&b.as_f64()?),
        (Value::String(a), Value::String(b)) => Some(compare_text(a, b)),
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

/// By alphabet; severities by how bad they are.
pub(in crate::select) fn compare_text(a: &str, b: &str) -> Ordering {
    match (Severity::named(a), Severity::named(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => a.cmp(b),
    }
}

fn holds(operator: Operator, order: Ordering) -> bool {
    match operator {
        Operator::Equal => order.is_eq(),
        Operator::NotEqual => order.is_ne(),
        Operator::Less => order.is_lt(),
        Operator::LessOrEqual => order.is_le(),
        Operator::Greater => order.is_gt(),
        Operator::GreaterOrEqual => order.is_ge(),
        Operator::Matches | Operator::MatchesNot => false,
    }
}

fn matches(value: &Value, pattern: &Pattern) -> bool {
    let found = |text: &str| {
        text.contains(&pattern.text) || pattern.regex.as_ref().is_some_and(|regex| regex.is_match(text))
    };
    match value {
        Value::String(text) => found(text),
        Value::Number(number) => found(&number.to_string()),
        _ => false,
    }
}
