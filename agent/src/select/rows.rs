//! Rows of a list as they came: lines of JSON, read no further than somebody asks.
//!
//! In: one JSON object a line. Out: the members that are shown ([`pick`]), or the whole row ([`whole`]). A list of
//! fifty thousand endpoints is mostly passed on, not understood.

use std::{collections::BTreeSet, num::NonZeroUsize, thread};

use serde_json::{Map, Value};

use super::{SelectError, line::Row as _, raw::unreadable};
use crate::protocol::json;

/// Threads that read rows. More do not pay: what is left is writing.
const MAX_THREADS: usize = 4;

/// Rows that are worth a thread of their own.
const WORTH_A_THREAD: usize = 2_000;

/// Members that somebody looks at.
#[derive(Debug, Default)]
pub(crate) struct Members(BTreeSet<String>);

impl<'a> FromIterator<&'a str> for Members {
    fn from_iter<I: IntoIterator<Item = &'a str>>(names: I) -> Self {
        Self(names.into_iter().map(str::to_owned).collect())
    }
}

/// These members of a row, as an object; those that it does not have are left out. What stands behind the last of them is
/// not looked at.
pub(crate) fn pick(line: &str, members: &Members) -> Result<Value, SelectError> {
    if !line.is_object() {
        return Err(no_object());
    }
    let mut picked = Map::new();
    for (key, value) in json::members(line.as_bytes()) {
        if picked.len() == members.0.len() {
            break;
        }
        // No name of a member needs an escape.
        let Some(name) = std::str::from_utf8(key).ok().and_then(|key| members.0.get(key)) else {
            continue;
        };
        picked.insert(name.clone(), read(value)?);
    }
    Ok(Value::Object(picked))
}

pub(super) fn no_object() -> SelectError {
    SelectError::Row("it is no object".to_owned())
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
    each_of(items, WORTH_A_THREAD, work)
}

/// The same; more than so many are worth a thread of their own.
pub(super) fn each_of<'a, T: Sync, U: Send>(
    items: &'a [T],
    worth: usize,
    work: impl Fn(&'a T) -> U + Sync,
) -> Vec<U> {
    if items.len() <= worth {
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
