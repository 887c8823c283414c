//! Decides whether a row satisfies a filter expression.

use std::cmp::Ordering;

use serde_json::Value;

use super::{
    lex::Operator,
    parse::{Expression, Pattern},
};
use crate::{
    select::{SelectError, line::Row, raw::Raw},
    verdict::Severity,
};

/// What does not decide any more is not looked at.
pub(super) fn accepts<R: Row + ?Sized>(expression: &Expression, row: &R) -> Result<bool, SelectError> {
    match expression {
        Expression::Or(all) => first(all, row, true),
        Expression::And(all) => first(all, row, false).map(|is_one_wrong| !is_one_wrong),
        Expression::Not(inner) => accepts(inner, row).map(|is_accepted| !is_accepted),
        Expression::Present(path) => of_row(row, path, &|value| !value.is_empty()),
        Expression::Compare(path, Operator::Equal, Value::Null) => {
            of_row(row, path, &|value| *value != Raw::Null).map(|found| !found)
        }
        Expression::Compare(path, Operator::NotEqual, Value::Null) => {
            of_row(row, path, &|value| *value != Raw::Null)
        }
        Expression::Compare(path, Operator::NotEqual, wanted) => {
            let is_equal = |value: &Raw<'_>| compare(value, wanted) == Some(Ordering::Equal);
            of_row(row, path, &is_equal).map(|found| !found)
        }
        Expression::Compare(path, operator, wanted) => of_row(row, path, &|value| {
            compare(value, wanted).is_some_and(|order| holds(*operator, order))
        }),
        Expression::Matches(path, pattern, wanted) => {
            of_row(row, path, &|value| matches(value, pattern)).map(|found| found == *wanted)
        }
    }
}

/// Whether one of them accepts the row, or does not.
fn first<R: Row + ?Sized>(all: &[Expression], row: &R, wanted: bool) -> Result<bool, SelectError> {
    for one in all {
        if accepts(one, row)? == wanted {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether any value at the path satisfies the test. Lists stand for their items.
fn of_row<R: Row + ?Sized>(
    row: &R,
    path: &[String],
    test: &dyn Fn(&Raw<'_>) -> bool,
) -> Result<bool, SelectError> {
    match path.split_first().map(|(name, rest)| (row.member(name), rest)) {
        Some((Some(member), rest)) => any(&Raw::of(member)?, rest, test),
        _ => Ok(false),
    }
}

fn any(value: &Raw<'_>, path: &[String], test: &dyn Fn(&Raw<'_>) -> bool) -> Result<bool, SelectError> {
    if let Some(items) = value.items() {
        for item in items {
            if any(&Raw::of(item)?, path, test)? {
                return Ok(true);
            }
        }
        return Ok(false);
    }
    match path {
        [] => Ok(test(value)),
        [name, rest @ ..] => match value.member(name) {
            Some(member) => any(&Raw::of(member)?, rest, test),
            None => Ok(false),
        },
    }
}

/// Order of two values of the same type; none for different types.
fn compare(value: &Raw<'_>, wanted: &Value) -> Option<Ordering> {
    match (value, wanted) {
        (Raw::Number(a, _), Value::Number(b)) => a.partial_cmp(&b.as_f64()?),
        (Raw::Text(a), Value::String(b)) => Some(compare_text(a, b)),
        (Raw::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
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

fn matches(value: &Raw<'_>, pattern: &Pattern) -> bool {
    let found = |text: &str| {
        text.contains(&pattern.text) || pattern.regex.as_ref().is_some_and(|regex| regex.is_match(text))
    };
    match value {
        Raw::Text(text) => found(text),
        Raw::Number(_, text) => found(text),
        _ => false,
    }
}
