//! Places of fields and their names, remembered from message to message: the next has much the same.
//!
//! In: the part and the path of a field, or the number that a walk of JSON gives its path. Out: the number of a
//! [`Place`]. Within a message no number changes its meaning; between messages everything may be forgotten.

use std::{hash::BuildHasher as _, ops::Range};

use foldhash::fast::FixedState;

use super::Kind;
use crate::{analysis::hash::hash, inventory::schema::Paths};

/// Places that are remembered. Overflow policy: all are forgotten before the next message, which may add as many as it
/// has fields.
const MAX_PLACES: usize = 1_024;

/// Places found by path. Overflow policy: the newest takes the room of one with the same remainder.
const SLOTS: usize = 256;

/// No place.
const NONE: u32 = u32::MAX;

/// Where a field stands.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// Names the place.
    pub(super) name: u64,
    /// As signals name it.
    pub(super) path: String,
    /// What was known by the last comparison, of its last kind.
    compared: (u64, Kind, Before),
}

/// What a comparison has found to be known at a place.
#[derive(Debug, Clone)]
pub(super) enum Before {
    /// Any value.
    AnyValue,
    /// The value that stands there in the text of the message.
    Value(Range<usize>),
}

/// Places by number.
#[derive(Debug, Clone, Default)]
pub(super) struct Places {
    all: Vec<Place>,
    /// Numbers by hash of the path.
    slots: Vec<u32>,
    /// Numbers by the numbers of walks of JSON.
    walked: Vec<u32>,
    /// The paths of such walks.
    pub(super) paths: Paths,
}

impl Places {
    /// A message begins. Whether everything was forgotten.
    pub(super) fn begin(&mut self) -> bool {
        let is_full = self.all.len() > MAX_PLACES || self.paths.len() > MAX_PLACES;
        if is_full {
            *self = Self::default();
        }
        is_full
    }

    /// The place of this number.
    pub(super) fn get(&self, number: u32) -> Option<&Place> {
        self.all.get(number as usize)
    }

    /// What a comparison has found to be known at a place, of this kind.
    pub(super) fn compared(&self, number: u32, comparison: u64, kind: Kind) -> Option<&Before> {
        let (last, of, before) = &self.get(number)?.compared;
        (*last == comparison && *of == kind).then_some(before)
    }

    /// Keeps what a comparison has found to be known.
    pub(super) fn keep(&mut self, number: u32, comparison: u64, kind: Kind, before: Before) {
        if let Some(place) = self.all.get_mut(number as usize) {
            place.compared = (comparison, kind, before);
        }
    }

    /// The number of a place of JSON, by that of a walk.
    pub(super) fn walked(&mut self, walk: u32, prefix: &str, path: &str) -> u32 {
        let at = walk as usize;
        if let Some(number) = self.walked.get(at).filter(|number| **number != NONE) {
            return *number;
        }
        let number = self.named(prefix, path);
        if self.walked.len() <= at {
            self.walked.resize(at + 1, NONE);
        }
        if let Some(slot) = self.walked.get_mut(at) {
            *slot = number;
        }
        number
    }

    /// The number of a place by its path: two parts that are looked up as one.
    pub(super) fn named(&mut self, prefix: &str, path: &str) -> u32 {
        if self.slots.is_empty() {
            self.slots.resize(SLOTS, NONE);
        }
        let at = FixedState::default().hash_one((prefix, path)) as usize % SLOTS;
        let known = self
            .slots
            .get(at)
            .and_then(|number| Some((*number, self.get(*number)?)));
        if let Some((number, place)) = known
            && place.path.strip_prefix(prefix) == Some(path)
        {
            return number;
        }
        let path = [prefix, path].concat();
        let number = u32::try_from(self.all.len()).unwrap_or(NONE);
        self.all.push(Place {
            name: hash(path.as_bytes()),
            path,
            compared: (0, Kind::Null, Before::AnyValue),
        });
        if let Some(slot) = self.slots.get_mut(at) {
            *slot = number;
        }
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_named_once() {
        let mut places = Places::default();
        let one = places.named("query.", "page");
        assert_eq!(places.named("query.", "page"), one);
        let walked = places.walked(3, "body.", "$.page");
        assert_eq!(places.walked(3, "body.", "$.page"), walked);
        assert_ne!(one, walked);
        let place = places.get(walked).map(|place| (place.path.as_str(), place.name));
        assert_eq!(place, Some(("body.$.page", hash(b"body.$.page"))));
    }

    #[test]
    fn names_without_end_are_forgotten() {
        let mut places = Places::default();
        for message in 0..100 {
            places.begin();
            let numbers: Vec<u32> = (0..96)
                .map(|at| places.named("query.", &format!("{message}x{at}")))
                .collect();
            for (at, number) in numbers.into_iter().enumerate() {
                let path = places.get(number).map(|place| place.path.as_str());
                assert_eq!(path, Some(&*format!("query.{message}x{at}")));
            }
        }
        assert!(places.all.len() <= MAX_PLACES + 96);
    }
}
