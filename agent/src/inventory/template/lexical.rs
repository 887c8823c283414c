//! Templates by the shape of segments alone.
//!
//! In: a canonical path. Out: its [`Template`]. Two things are seen besides the segment itself: whether a number
//! stands where versions stand (`/1/cards`, `/api/2.0/users`), and what follows an identifier inside its segment
//! (`42.json`, `42:cancel`), which stays literal.

use std::borrow::Cow;

use super::{
    Parameter, Template, name,
    segment::{self, SegmentType, file_ending},
    trie::PARAMETER,
};
use crate::inventory::path::CanonicalPath;

/// One segment of a path or a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Segment<'a> {
    /// What stays as it is.
    Literal {
        /// The segment.
        text: &'a str,
        /// Its type.
        kind: SegmentType,
    },
    /// A parameter.
    Parameter {
        /// Type of its values.
        kind: SegmentType,
        /// What follows it inside the segment.
        suffix: &'a str,
    },
}

impl<'a> Segment<'a> {
    /// A segment that stays as it is.
    pub(crate) fn literal(text: &'a str) -> Self {
        Segment::Literal {
            text,
            kind: segment::classify(text),
        }
    }

    /// Whether it stays as it is.
    pub(crate) fn is_literal(&self) -> bool {
        matches!(self, Segment::Literal { .. })
    }

    /// Its type.
    pub(crate) fn kind(&self) -> SegmentType {
        match self {
            Segment::Literal { kind, .. } | Segment::Parameter { kind, .. } => *kind,
        }
    }

    /// What it is found by: the segment, or `{}` and what follows the parameter.
    pub(crate) fn key(&self) -> Cow<'a, str> {
        match *self {
            Segment::Literal { text, .. } => text.into(),
            Segment::Parameter { suffix: "", .. } => PARAMETER.into(),
            Segment::Parameter { suffix, .. } => format!("{PARAMETER}{suffix}").into(),
        }
    }
}

/// The lexical template of a path. The same path always gives the same template.
pub fn template(path: &CanonicalPath) -> Template {
    if path.segments().next().is_none() {
        return Template::literal(path);
    }
    render(segments(path).into_iter())
}

/// The segments of a path by their shape.
pub(crate) fn segments(path: &CanonicalPath) -> Vec<Segment<'_>> {
    let texts: Vec<&str> = path.segments().collect();
    let mut previous = None;
    let mut segments = Vec::with_capacity(texts.len());
    for (at, text) in texts.iter().copied().enumerate() {
        let is_last = at + 1 == texts.len();
        let (kind, identifier) = classify(text);
        let is_parameter = kind.is_parameter() && (is_last || !is_version(kind, text, previous));
        segments.push(if is_parameter {
            let suffix = text.get(identifier.len()..).unwrap_or_default();
            Segment::Parameter { kind, suffix }
        } else {
            Segment::Literal { text, kind }
        });
        previous = Some(text);
    }
    segments
}

/// The segments that a template was made of.
pub(crate) fn parse<'a>(template: &'a str, parameters: &[Parameter]) -> Vec<Segment<'a>> {
    let mut kinds = parameters.iter().map(|parameter| parameter.kind);
    let parts = template.split('/').filter(|part| !part.is_empty());
    parts
        .map(
            |part| match part.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
                Some((_, suffix)) => Segment::Parameter {
                    kind: kinds.next().unwrap_or(SegmentType::Name),
                    suffix,
                },
                None => Segment::literal(part),
            },
        )
        .collect()
}

/// Makes a template, with names for its parameters.
pub(crate) fn render<'a>(segments: impl Iterator<Item = Segment<'a>>) -> Template {
    let mut text = String::new();
    let mut parameters: Vec<Parameter> = Vec::new();
    let mut parent = None;
    for segment in segments {
        text.push('/');
        match segment {
            Segment::Parameter { kind, suffix } => {
                let name = unique(name::parameter(parent, kind), &parameters);
                text.push('{');
                text.push_str(&name);
                text.push('}');
                text.push_str(suffix);
                parameters.push(Parameter { name, kind });
            }
            Segment::Literal { text: literal, kind } => {
                text.push_str(literal);
                if kind == SegmentType::Literal {
                    parent = Some(literal);
                }
            }
        }
    }
    if text.is_empty() {
        text.push('/');
    }
    Template {
        text: text.into(),
        parameters,
    }
}

/// The type of a segment and the part of it that has this type: all of it, or what stands before a file ending
/// or a custom method (`:cancel`, google.aip.dev/136).
fn classify(segment: &str) -> (SegmentType, &str) {
    let whole = segment::classify(segment);
    if whole.is_parameter() {
        return (whole, segment);
    }
    let stem = match file_ending(segment) {
        Some(ending) => segment.get(..segment.len() - ending.len() - 1),
        None => segment
            .rsplit_once(':')
            .filter(|(_, verb)| !verb.is_empty() && verb.bytes().all(|b| b.is_ascii_alphabetic()))
            .map(|(stem, _)| stem),
    };
    match stem.map(|stem| (segment::classify(stem), stem)) {
        Some((kind, stem)) if kind.is_parameter() => (kind, stem),
        _ => (whole, segment),
    }
}

/// Whether a value is the version of an API, which only stands before something else: a number such as `2.0`
/// anywhere; in front or after `api` and the like also a digit alone, or the day it was published.
fn is_version(kind: SegmentType, segment: &str, previous: Option<&str>) -> bool {
    const BEFORE: &[&str] = &["api", "rest", "v", "version", "versions", "services"];
    let in_place =
        previous.is_none_or(|previous| BEFORE.iter().any(|word| word.eq_ignore_ascii_case(previous)));
    match kind {
        SegmentType::Float => segment.len() <= 4 && segment.rfind('.') == segment.len().checked_sub(2),
        SegmentType::Int => {
            in_place && (segment.len() == 1 || (segment.len() == 8 && segment.starts_with("20")))
        }
        SegmentType::Date => in_place,
        _ => false,
    }
}

/// The name, with a number behind it if the template has it already.
fn unique(name: String, taken: &[Parameter]) -> String {
    let is_taken = |candidate: &str| taken.iter().any(|parameter| parameter.name == candidate);
    if !is_taken(&name) {
        return name;
    }
    (2..)
        .map(|number| format!("{name}{number}"))
        .find(|candidate| !is_taken(candidate))
        .unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::path::canonical;

    #[track_caller]
    fn assert_template(path: &str, expected: &str) {
        let path = canonical(path).expect(path);
        assert_eq!(&*template(&path).text, expected);
    }

    #[test]
    fn identifiers_become_parameters() {
        assert_template("/v1/users/42", "/v1/users/{userId}");
        assert_template("/v1/users/42/orders/7", "/v1/users/{userId}/orders/{orderId}");
        assert_template(
            "/api/accounts/f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
            "/api/accounts/{accountId}",
        );
        assert_template(
            "/users/ann@example.test/reports/2024-01-31",
            "/users/{userEmail}/reports/{date}",
        );
        assert_template("/users/search", "/users/search");
        assert_template("/en/docs/logo.png", "/en/docs/logo.png");
        assert_template("/", "/");
        assert_template("*", "*");
    }

    #[test]
    fn names_are_unique_and_need_a_parent() {
        assert_template("/users/42/7/9", "/users/{userId}/{userId2}/{userId3}");
        assert_template("/42", "/{id}");
        assert_template("/v1/42", "/v1/{id}");
        assert_template("/users/1/users/2", "/users/{userId}/users/{userId2}");
    }

    #[test]
    fn what_follows_an_identifier_stays() {
        assert_template("/users/42.json", "/users/{userId}.json");
        assert_template("/operations/42:cancel", "/operations/{operationId}:cancel");
        assert_template("/users:batchGet", "/users:batchGet");
        assert_template("/assets/app.min.js", "/assets/app.min.js");
    }

    #[test]
    fn versions_are_not_values() {
        assert_template("/1/cards/507f1f77bcf86cd799439011", "/1/cards/{cardId}");
        assert_template("/api/2.0/users/42", "/api/2.0/users/{userId}");
        assert_template("/2.0/repositories", "/2.0/repositories");
        assert_template("/billing/2.0/invoices", "/billing/2.0/invoices");
        assert_template("/points/48.8566/near", "/points/{value}/near");
        assert_template("/2010-04-01/accounts/42", "/2010-04-01/accounts/{accountId}");
        assert_template("/42/comments", "/{id}/comments");
        assert_template("/points/48.8566", "/points/{value}");
    }

    #[test]
    fn parameters_carry_their_type() {
        let path = canonical("/users/42/mails/ann@example.test").expect("path");
        let kinds: Vec<_> = template(&path)
            .parameters
            .into_iter()
            .map(|p| (p.name, p.kind))
            .collect();
        assert_eq!(
            kinds,
            [
                ("userId".into(), SegmentType::Int),
                ("mailEmail".into(), SegmentType::Email)
            ]
        );
    }
}
