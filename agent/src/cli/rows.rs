//! Rows of a list as they came: lines of JSON, read no further than somebody asks.
//!
//! In: one JSON object a line. Out: the members that a selection needs ([`pick`]), or the whole row ([`whole`]). A list of
//! fifty thousand endpoints is mostly passed on, not understood.

use std::{collections::BTreeSet, fmt, num::NonZeroUsize, thread};

use serde::de::{DeserializeSeed, Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::Failure;

/// Threads that read rows. More do not pay: what is left is writing.
const MAX_THREADS: usize = 4;

/// Rows that are worth a thread of their own.
const WORTH_A_THREAD: usize = 2_000;

/// One row: a JSON object in one line.
pub(super) type Line = String;

/// These members of a row, as an object; those that it does not have are left out.
pub(super) fn pick(line: &str, names: &BTreeSet<&str>) -> Result<Value, Failure> {
    let mut deserializer = serde_json::Deserializer::from_str(line);
    let picked = deserializer.deserialize_map(Members(names));
    picked.map(Value::Object).map_err(unreadable)
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

struct Members<'a>(&'a BTreeSet<&'a str>);

impl<'de> Visitor<'de> for Members<'_> {
    type Value = Map<String, Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut row: A) -> Result<Self::Value, A::Error> {
        let mut picked = Map::new();
        while let Some(name) = row.next_key_seed(Wanted(self.0))? {
            match name {
                Some(name) => {
                    picked.insert(name.to_owned(), row.next_value()?);
                }
                None => {
                    row.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(picked)
    }
}

/// The name of a member if it is one of these.
struct Wanted<'a>(&'a BTreeSet<&'a str>);

impl<'a, 'de> DeserializeSeed<'de> for Wanted<'a> {
    type Value = Option<&'a str>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'a> Visitor<'_> for Wanted<'a> {
    type Value = Option<&'a str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a member")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.get(name).copied())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn members_are_picked_and_the_rest_is_passed_over() {
        let line = r#"{"id":"a","st\u0061te":"new","auth":{"rates":{"none":1.0}},"hosts":["x",{"id":2}]}"#;
        let picked = pick(line, &BTreeSet::from(["state", "auth", "owner"])).unwrap();
        assert_eq!(picked, json!({"state": "new", "auth": {"rates": {"none": 1.0}}}));
        assert_eq!(pick(line, &BTreeSet::new()).unwrap(), json!({}));
        assert_eq!(names(line).unwrap(), ["id", "state", "auth", "hosts"]);
        assert!(pick("[]", &BTreeSet::new()).is_err());
        assert!(pick("{\"id\"", &BTreeSet::new()).is_err());
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
