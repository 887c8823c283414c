//! Rows of a list as they came: lines of JSON, read no further than somebody asks.
//!
//! In: one JSON object a line. Out: the members that a selection needs ([`pick`]), or the whole row ([`whole`]). A list of
//! fifty thousand endpoints is mostly passed on, not understood.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroUsize,
    thread,
};

use serde_json::{Map, Value};

use super::SelectError;
use crate::protocol::json;

/// Threads that read rows. More do not pay: what is left is writing.
const MAX_THREADS: usize = 4;

/// Rows that are worth a thread of their own.
const WORTH_A_THREAD: usize = 2_000;

/// Members that somebody looks at: of a row, and of the objects in it.
#[derive(Debug, Default)]
pub(crate) struct Members(BTreeMap<String, Inner>);

/// What of a member is looked at.
#[derive(Debug)]
enum Inner {
    Whole,
    /// Only these, if it is an object.
    Members(BTreeSet<String>),
}

impl Members {
    /// Adds members of a row, whole.
    pub(crate) fn extend<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) {
        for name in names {
            self.0.insert(name.to_owned(), Inner::Whole);
        }
    }

    /// Adds what a path leads to. What is more than two levels down is looked at with all that surrounds it there.
    pub(super) fn add<'a>(&mut self, mut path: impl Iterator<Item = &'a str>) {
        let Some(first) = path.next() else {
            return;
        };
        let Some(second) = path.next() else {
            return self.extend([first]);
        };
        let inner = self.0.entry(first.to_owned());
        if let Inner::Members(names) = inner.or_insert_with(|| Inner::Members(BTreeSet::new())) {
            names.insert(second.to_owned());
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> FromIterator<&'a str> for Members {
    fn from_iter<I: IntoIterator<Item = &'a str>>(names: I) -> Self {
        let mut members = Self::default();
        members.extend(names);
        members
    }
}

/// These members of a row, as an object; those that it does not have are left out. What stands behind the last of them is
/// not looked at.
pub(crate) fn pick(line: &str, members: &Members) -> Result<Value, SelectError> {
    if !line.starts_with('{') || !line.ends_with('}') {
        return Err(SelectError::Row("it is no object".to_owned()));
    }
    let find = |key: &str| members.0.get_key_value(key);
    let picked = of_object(line.as_bytes(), members.0.len(), find, |inner, value| {
        match (inner, value) {
            (Inner::Members(names), json::Value::Object(text)) => {
                let find = |key: &str| names.get(key).map(|name| (name, &()));
                of_object(text, names.len(), find, |(), value| read(value))
            }
            _ => read(value),
        }
    })?;
    Ok(picked)
}

/// At most so many members of an object, those that are found by their names.
fn of_object<'m, M: 'm>(
    text: &[u8],
    most: usize,
    find: impl Fn(&str) -> Option<(&'m String, &'m M)>,
    read: impl Fn(&'m M, json::Value<'_>) -> Result<Value, SelectError>,
) -> Result<Value, SelectError> {
    let mut picked = Map::new();
    for (key, value) in json::members(text) {
        if picked.len() == most {
            break;
        }
        // No name of a member needs an escape.
        let Some((name, member)) = std::str::from_utf8(key).ok().and_then(&find) else {
            continue;
        };
        picked.insert(name.clone(), read(member, value)?);
    }
    Ok(Value::Object(picked))
}

fn read(value: json::Value<'_>) -> Result<Value, SelectError> {
    match value {
        json::Value::String(text) => match value.text() {
            Some(plain) => Ok(Value::from(plain)),
            None => serde_json::from_slice(&[b"\"", text, b"\""].concat()).map_err(unreadable),
        },
        json::Value::Object(text) | json::Value::Array(text) | json::Value::Other(text) => {
            serde_json::from_slice(text).map_err(unreadable)
        }
    }
}

/// Does the same with each, many at once where there are many; the results are in the same order.
pub(crate) fn each<'a, T: Sync, U: Send>(items: &'a [T], work: impl Fn(&'a T) -> U + Sync) -> Vec<U> {
    if items.len() <= WORTH_A_THREAD {
        return items.iter().map(work).collect();
    }
    let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let share = items.len().div_ceil(threads.min(MAX_THREADS));
    let work = &work;
    thread::scope(|scope| {
        let parts: Vec<_> = items
            .chunks(share)
            .map(|part| scope.spawn(move || part.iter().map(work).collect::<Vec<U>>()))
            .collect();
        let mut done = Vec::with_capacity(items.len());
        for part in parts {
            match part.join() {
                Ok(results) => done.extend(results),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        done
    })
}

/// The names of a row's members.
pub(super) fn names(line: &str) -> Result<Vec<String>, SelectError> {
    match whole(line)? {
        Value::Object(members) => Ok(members.into_iter().map(|(name, _)| name).collect()),
        _ => Ok(Vec::new()),
    }
}

/// The whole row.
pub(crate) fn whole(line: &str) -> Result<Value, SelectError> {
    serde_json::from_str(line).map_err(unreadable)
}

fn unreadable(error: serde_json::Error) -> SelectError {
    SelectError::Row(error.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn members_are_picked_and_the_rest_is_passed_over() {
        let line = r#"{"id":"a","state":"n\u0065w \"x\"","auth":{"rates":{"none":1.0}},"hosts":["x",{"id":2}],"hits":7,"owner":null}"#;
        let pick = |names: &[&str]| pick(line, &names.iter().copied().collect());
        assert_eq!(
            pick(&["state", "auth", "owner", "absent"]).unwrap(),
            json!({"state": "new \"x\"", "auth": {"rates": {"none": 1.0}}, "owner": null})
        );
        assert_eq!(
            pick(&["hits", "hosts"]).unwrap(),
            json!({"hits": 7, "hosts": ["x", {"id": 2}]})
        );
        assert_eq!(pick(&[]).unwrap(), json!({}));
        assert_eq!(
            names(line).unwrap(),
            ["id", "state", "auth", "hosts", "hits", "owner"]
        );
    }

    #[test]
    fn of_an_object_only_what_is_named_is_read() {
        let line = r#"{"auth":{"verdict":"mixed","rates":nonsense},"hosts":["x"],"status":{"2xx":7,"5xx":1},"owner":null}"#;
        let pick = |paths: &[&str]| {
            let mut members = Members::default();
            for path in paths {
                members.add(path.split('.'));
            }
            pick(line, &members)
        };
        assert_eq!(
            pick(&["auth.verdict", "status.5xx", "hosts.name", "owner.x.y"]).unwrap(),
            json!({"auth": {"verdict": "mixed"}, "hosts": ["x"], "status": {"5xx": 1}, "owner": null})
        );
        for whole in [["status", "status.5xx"], ["status.5xx", "status"]] {
            assert_eq!(pick(&whole).unwrap(), json!({"status": {"2xx": 7, "5xx": 1}}));
        }
        assert!(pick(&["auth.rates"]).is_err());
    }

    #[test]
    fn what_is_no_row_is_refused() {
        for line in ["", "[]", "{\"id\"", "null"] {
            assert!(pick(line, &Members::from_iter(["id"])).is_err(), "{line}");
        }
        assert!(pick(r#"{"id":nonsense}"#, &Members::from_iter(["id"])).is_err());
    }

    #[test]
    fn each_keeps_the_order() {
        let numbers: Vec<usize> = (0..10_000).collect();
        assert_eq!(
            each(&numbers, |number| number + 1),
            (1..10_001).collect::<Vec<_>>()
        );
        assert!(each(&[0_u8; 0], |number| *number).is_empty());
    }
}
