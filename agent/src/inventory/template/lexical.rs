//! Templates by the shape of segments alone.
//!
//! In: a canonical path. Out: its [`Template`]. Two things are seen besides the segment itself: whether a number
//! stands where versions stand (`/1/cards`, `/api/2.0/users`), and what follows an identifier inside its segment
//! (`42.json`, `42:cancel`), which stays literal.

use super::{
    Parameter, Template, name,
    segment::{self, SegmentType, file_ending},
};
use crate::inventory::path::CanonicalPath;

/// The lexical template of a path. The same path always gives the same template.
pub fn template(path: &CanonicalPath) -> Template {
    let segments: Vec<&str> = path.segments().collect();
    if segments.is_empty() {
        return Template::literal(path);
    }
    let mut text = String::with_capacity(path.as_str().len());
    let mut parameters: Vec<Parameter> = Vec::new();
    let mut parent = None;
    let mut previous = None;
    for (at, segment) in segments.iter().copied().enumerate() {
        text.push('/');
        let is_last = at + 1 == segments.len();
        let (kind, identifier) = classify(segment);
        if kind.is_parameter() && (is_last || !is_version(kind, segment, previous)) {
            let name = unique(name::parameter(parent, kind), &parameters);
            text.push('{');
            text.push_str(&name);
            text.push('}');
            text.push_str(segment.get(identifier.len()..).unwrap_or_default());
            parameters.push(Parameter { name, kind });
        } else {
            text.push_str(segment);
            if kind == SegmentType::Literal {
                parent = Some(segment);
            }
        }
        previous = Some(segment);
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
