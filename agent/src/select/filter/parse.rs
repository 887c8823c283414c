//! Builds the expression tree of a filter by recursive descent, with a bound on its depth.

use regex_lite::{Regex, RegexBuilder};
use serde_json::Value;

use super::{
    FilterError,
    lex::{Kind, Operator, Token, error},
};

/// Nesting of parentheses and `not`. Overflow policy: refused.
const MAX_DEPTH: usize = 64;

/// Size of a regular expression once it is compiled, in bytes: bounds the time that a row takes. Overflow policy: refused.
const MAX_REGEX_BYTES: usize = 64 * 1024;

#[derive(Debug)]
pub(super) enum Expression {
    Or(Vec<Expression>),
    And(Vec<Expression>),
    Not(Box<Expression>),
    /// The field is there and not empty.
    Present(Vec<String>),
    Compare(Vec<String>, Operator, Value),
    /// `~` (true) or `!~` (false).
    Matches(Vec<String>, Pattern, bool),
}

/// What stands right of `~`: text, and the regular expression it also is, if it is one.
#[derive(Debug)]
pub(super) struct Pattern {
    pub(super) text: String,
    pub(super) regex: Option<Regex>,
}

impl Expression {
    pub(super) fn paths<'e>(&'e self, found: &mut Vec<&'e [String]>) {
        match self {
            Self::Or(all) | Self::And(all) => all.iter().for_each(|one| one.paths(found)),
            Self::Not(inner) => inner.paths(found),
            Self::Present(path) | Self::Compare(path, ..) | Self::Matches(path, ..) => found.push(path),
        }
    }
}

pub(super) fn parse(tokens: &[Token]) -> Result<Expression, FilterError> {
    let mut parser = Parser { tokens, depth: 0 };
    let expression = parser.or()?;
    match parser.peek() {
        (_, Kind::End) => Ok(expression),
        (column, _) => Err(error(column, "expected `and`, `or` or the end")),
    }
}

struct Parser<'t> {
    /// What is left; the last token is the end and stays.
    tokens: &'t [Token],
    depth: usize,
}

impl<'t> Parser<'t> {
    fn peek(&self) -> (usize, &'t Kind) {
        self.tokens
            .first()
            .map_or((1, &Kind::End), |token| (token.column, &token.kind))
    }

    fn next(&mut self) -> (usize, &'t Kind) {
        let next = self.peek();
        if let [_, rest @ ..] = self.tokens
            && !rest.is_empty()
        {
            self.tokens = rest;
        }
        next
    }

    fn or(&mut self) -> Result<Expression, FilterError> {
        let mut all = vec![self.and()?];
        while self.peek().1 == &Kind::Or {
            self.next();
            all.push(self.and()?);
        }
        Ok(one_or(all, Expression::Or))
    }

    fn and(&mut self) -> Result<Expression, FilterError> {
        let mut all = vec![self.not()?];
        while self.peek().1 == &Kind::And {
            self.next();
            all.push(self.not()?);
        }
        Ok(one_or(all, Expression::And))
    }

    fn not(&mut self) -> Result<Expression, FilterError> {
        let (column, kind) = self.next();
        match kind {
            Kind::Not => {
                self.enter(column)?;
                let inner = self.not()?;
                self.depth -= 1;
                Ok(Expression::Not(Box::new(inner)))
            }
            Kind::Open => {
                self.enter(column)?;
                let inner = self.or()?;
                self.depth -= 1;
                match self.next() {
                    (_, Kind::Close) => Ok(inner),
                    (column, _) => Err(error(column, "expected `)`")),
                }
            }
            Kind::Path(path) => self.condition(path.clone()),
            _ => Err(error(column, "expected a field, such as `hits`")),
        }
    }

    fn condition(&mut self, path: Vec<String>) -> Result<Expression, FilterError> {
        let (_, Kind::Operator(operator)) = self.peek() else {
            return Ok(Expression::Present(path));
        };
        self.next();
        let (column, kind) = self.next();
        let value = match kind {
            Kind::Text(text) => Value::from(text.as_str()),
            Kind::Number(number) => Value::from(*number),
            Kind::True => Value::Bool(true),
            Kind::False => Value::Bool(false),
            Kind::Null => Value::Null,
            Kind::Path(word) => {
                let message = format!("write text in quotes: \"{}\"", word.join("."));
                return Err(error(column, message));
            }
            _ => {
                return Err(error(
                    column,
                    "expected a value: a number, true, false, null or \"text\"",
                ));
            }
        };
        match (operator, value) {
            (Operator::Matches | Operator::MatchesNot, Value::String(text)) => {
                let regex = regex(&text).map_err(|message| error(column, message))?;
                Ok(Expression::Matches(
                    path,
                    Pattern { text, regex },
                    *operator == Operator::Matches,
                ))
            }
            (Operator::Matches | Operator::MatchesNot, _) => Err(error(
                column,
                "expected \"text\" or a regular expression in quotes",
            )),
            (operator, value) => Ok(Expression::Compare(path, *operator, value)),
        }
    }

    fn enter(&mut self, column: usize) -> Result<(), FilterError> {
        self.depth += 1;
        match self.depth > MAX_DEPTH {
            true => Err(error(column, format!("nested deeper than {MAX_DEPTH}"))),
            false => Ok(()),
        }
    }
}

/// The regular expression that a text is, if it is one.
fn regex(text: &str) -> Result<Option<Regex>, String> {
    match RegexBuilder::new(text).size_limit(MAX_REGEX_BYTES).build() {
        Ok(regex) => Ok(Some(regex)),
        // Nothing but its text tells this error from those of texts that are no expressions.
        Err(error) if error.to_string().contains("size limit") => {
            Err("this regular expression matches too much: repeat less in it".to_owned())
        }
        Err(_) => Ok(None),
    }
}

fn one_or(mut all: Vec<Expression>, several: fn(Vec<Expression>) -> Expression) -> Expression {
    match all.len() {
        1 => all.remove(0),
        _ => several(all),
    }
}
