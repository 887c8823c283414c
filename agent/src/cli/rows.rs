//! Rows of a list as they came: lines of JSON, read no further than somebody asks.
//!
//! In: one JSON object a line. Out: the members that a selection needs ([`pick`]), or the whole row ([`whole`]). A list of
//! fifty thousand endpoints is mostly passed on, not understood.

use std::{collections::BTreeSet, num::NonZeroUsize, thread};

use serde_json::{Map, Value};

use super::Failure;
use crate::protocol::json;

/// Threads that read rows. More do not pay: what is left is writing.
const MAX_THREADS: usize = 4;

/// Rows that are worth a thread of their own.
const WORTH_A_THREAD: usize = 2_000;

/// One row: a JSON object in one line.
pub(super) type Line = String;

/// These members of a row, as an object; those that it does not have are left out. What stands behind the last of them is
/// not looked at.
pub(super) fn pick(line: &str, names: &BTreeSet<&str>) -> Result<Value, Failure> {
    if !line.starts_with('{') || !line.ends_with('}') {
        return Err(Failure::usage(
            "a row of the answer cannot be read: it is no object",
        ));
    }
    let mut picked = Map::new();
    for (key, value) in json::members(line.as_bytes()) {
        if picked.len() == names.len() {
            break;
        }
        // No name of a member needs an escape.
        let Some(name) = std::str::from_utf8(key).ok().and_then(|key| names.get(key)) else {
            continue;
        };
        let value = match value {
            json::Value::String(text) => match value.text() {
                Some(plain) => Value::from(plain),
                None => serde_json::from_slice(&[b"\"", text, b"\""].concat()).map_err(unreadable)?,
            },
            json::Value::Object(text) | json::Value::Array(text) | json::Value::Other(text) => {
                serde_json::from_slice(text).map_err(unreadable)?
            }
        };
        picked.insert((*name).to_owned(), value);
    }
    Ok(Value::Object(picked))
}

/// Does the same with each, many at once where there are many; the results are in the same order.
pub(super) fn each<'a, T: Sync, U: Send>(items: &'a [T], work: impl Fn(&'a T) -> U + Sync) -> Vec<U> {
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
pub(super) fn names(line: &str) -> Result<Vec<String>, Failure> {
    match whole(line)? {
        Value::Object(members) => Ok(members.into_iter().map(|(name, _)| name).collect()),
        _ => Ok(Vec::new()),
    }
}

/// The whole row.
pub(super) fn whole(line: &str) -> Result<Value, Failure> {
    serde_json::from_str(line).map_err(unreadable)
}

fn unreadable(error: serde_json::Error) -> Failure {
    Failure::usage(format!("a row of the answer cannot be read: {error}"))
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
            assert!(pick(line, &BTreeSet::from(["id"])).is_err(), "{line}");
        }
        assert!(pick(r#"{"id":nonsense}"#, &BTreeSet::from(["id"])).is_err());
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
