//! Values of a row as they stand in its text: understood no further than somebody looks.
//!
//! In: the outline of a value. Out: its type, and of a scalar its value. Refuses what is no JSON.

use std::borrow::Cow;

use serde_json::Value;

use super::SelectError;
use crate::{clock::Timestamp, protocol::json};

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Raw<'a> {
    Null,
    Bool(bool),
    /// A number, and how it is written.
    Number(f64, &'a str),
    Text(Cow<'a, str>),
    /// With its brackets.
    List(&'a [u8]),
    /// With its brackets.
    Object(&'a [u8]),
}

impl<'a> Raw<'a> {
    /// Understands a value.
    pub(super) fn of(value: json::Value<'a>) -> Result<Self, SelectError> {
        Ok(match value {
            json::Value::Object(text) => Self::Object(text),
            json::Value::Array(text) => Self::List(text),
            json::Value::String(text) => match value.text() {
                Some(plain) => Self::Text(Cow::Borrowed(plain)),
                None => Self::Text(Cow::Owned(
                    serde_json::from_slice(&[b"\"", text, b"\""].concat()).map_err(unreadable)?,
                )),
            },
            json::Value::Other(b"null") => Self::Null,
            json::Value::Other(b"true") => Self::Bool(true),
            json::Value::Other(b"false") => Self::Bool(false),
            json::Value::Other(text) => {
                let text = std::str::from_utf8(text).map_err(unreadable)?;
                let is_number = text.bytes().all(|byte| b"0123456789+-.eE".contains(&byte));
                match text.parse() {
                    Ok(number) if is_number => Self::Number(number, text),
                    _ => return Err(SelectError::Row("a value in it is none of JSON".to_owned())),
                }
            }
        })
    }

    /// The value at a path; null where there is none.
    pub(super) fn at<'p>(self, path: impl Iterator<Item = &'p str>) -> Result<Self, SelectError> {
        let mut value = self;
        for name in path {
            value = match value.member(name) {
                Some(member) => Self::of(member)?,
                None => return Ok(Self::Null),
            };
        }
        Ok(value)
    }

    /// A member, if it is an object that has it.
    pub(super) fn member(&self, name: &str) -> Option<json::Value<'a>> {
        let Self::Object(text) = self else {
            return None;
        };
        json::members(text).find_map(|(key, value)| (key == name.as_bytes()).then_some(value))
    }

    /// Its items, if it is a list.
    pub(super) fn items(&self) -> Option<impl Iterator<Item = json::Value<'a>> + use<'a>> {
        match self {
            Self::List(text) => Some(json::elements(text)),
            _ => None,
        }
    }

    /// Whether nothing is in it.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Null | Self::Bool(false) => true,
            Self::Bool(true) | Self::Number(..) => false,
            Self::Text(text) => text.is_empty(),
            Self::List(text) => json::elements(text).next().is_none(),
            Self::Object(text) => json::members(text).next().is_none(),
        }
    }

    /// A time: nanoseconds or seconds since the epoch, or RFC 3339 text.
    pub(super) fn time(&self) -> Option<Timestamp> {
        match self {
            Self::Text(text) => Timestamp::from_rfc3339(text),
            Self::Number(_, text) => super::time_of(&text.parse().map(Value::Number).ok()?),
            _ => None,
        }
    }
}

pub(super) fn unreadable(error: impl std::fmt::Display) -> SelectError {
    SelectError::Row(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::select::line::Row as _;

    const ROW: &str = r#"{"state":"n\u0065w \"x\"","auth":{"rates":{"none":1.50}},"hosts":["x",{"id":-2e3}],"bad":nan,"inf":Infinity}"#;

    fn at(path: &str) -> Result<Raw<'static>, SelectError> {
        let mut path = path.split('.');
        let first = ROW.member(path.next().unwrap()).unwrap();
        Raw::of(first)?.at(path)
    }

    #[test]
    fn values_are_understood_where_they_stand() {
        assert_eq!(at("state"), Ok(Raw::Text("new \"x\"".into())));
        assert_eq!(at("auth.rates.none"), Ok(Raw::Number(1.5, "1.50")));
        assert_eq!(at("auth.rates.absent.more"), Ok(Raw::Null));
        assert_eq!(at("hosts.id"), Ok(Raw::Null));
        let items: Vec<_> = at("hosts").unwrap().items().unwrap().collect();
        let second = Raw::of(items[1]).unwrap().at(["id"].into_iter());
        assert_eq!(second, Ok(Raw::Number(-2000.0, "-2e3")));
    }

    #[test]
    fn what_is_no_json_is_refused() {
        assert!(at("bad").is_err());
        assert!(at("inf").is_err());
    }

    #[test]
    fn what_is_empty_is_told() {
        for (text, is_empty) in [
            (r#"{"a":[]}"#, true),
            (r#"{"a":{}}"#, true),
            (r#"{"a":""}"#, true),
            (r#"{"a":false}"#, true),
            (r#"{"a":null}"#, true),
            (r#"{"a":[null]}"#, false),
            (r#"{"a":{"b":0}}"#, false),
            (r#"{"a":0}"#, false),
            (r#"{"a":true}"#, false),
        ] {
            let value = Raw::of(text.member("a").unwrap()).unwrap();
            assert_eq!(value.is_empty(), is_empty, "{text}");
        }
    }
}
