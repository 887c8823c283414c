//! The members of an answer: what tells one kind of resource from another.
//!
//! In: the sample of a JSON body. Out: [`Members`], the hashes of the names at its top, or of the first object of a
//! list; of what is inside, too, where the top is a mere wrapper. Of many names the smallest hashes are kept, so that
//! the same answers give the same sketch in any order. Also whether an answer has a given text for a name.
//! Never keeps a value. Bodies may be cut: what was seen before the cut counts.

use serde::{Deserialize, Serialize};

/// Most names kept. Overflow policy: those with the smallest hashes stay, an unbiased sample.
const MAX_MEMBERS: usize = 32;

/// Bytes of a body that are looked at. Overflow policy: names behind them do not count.
const MAX_BYTES: usize = 16 * 1024;

/// Hashes of member names, ascending.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Members(Vec<u32>);

/// How much two sets of members have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Overlap {
    pub(super) common: usize,
    pub(super) smaller: usize,
    pub(super) union: usize,
}

impl Members {
    /// The members of a body.
    pub fn of(body: &[u8]) -> Self {
        let mut members = Self::default();
        scan(body.get(..MAX_BYTES).unwrap_or(body), &mut members);
        members
    }

    /// Whether nothing was found: no JSON, or a bare value.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds all of another set. Whether this one changed.
    pub(super) fn merge(&mut self, other: &Self) -> bool {
        let mut changed = false;
        for hash in &other.0 {
            changed |= self.insert(*hash);
        }
        changed
    }

    /// What two sets have in common, without members that tell nothing.
    pub(super) fn overlap(&self, other: &Self, tells_nothing: impl Fn(u32) -> bool) -> Overlap {
        let (mine, theirs) = (self.0.iter(), other.0.iter());
        let (mine, theirs) = (
            mine.filter(|hash| !tells_nothing(**hash)),
            theirs.filter(|hash| !tells_nothing(**hash)).count(),
        );
        let (mut all, mut common) = (0, 0);
        for hash in mine {
            all += 1;
            common += usize::from(other.0.binary_search(hash).is_ok());
        }
        Overlap {
            common,
            smaller: all.min(theirs),
            union: all + theirs - common,
        }
    }

    /// The hashes of the names.
    pub(super) fn hashes(&self) -> impl Iterator<Item = u32> {
        self.0.iter().copied()
    }

    fn insert(&mut self, hash: u32) -> bool {
        match self.0.binary_search(&hash) {
            Ok(_) => false,
            Err(at) if at >= MAX_MEMBERS => false,
            Err(at) => {
                self.0.insert(at, hash);
                self.0.truncate(MAX_MEMBERS);
                true
            }
        }
    }
}

/// Levels of an answer that are looked at.
const MAX_LEVELS: usize = 3;

/// Most members of a level that is a mere wrapper, as `{"data": …, "meta": …}` is: then those inside count, too.
const WRAPPER: usize = 4;

/// Most different names of one level that are looked at. Overflow policy: those that come later do not count.
const MAX_NAMES: usize = 256;

/// Names of one level, each hashed with those it is inside of.
type Level = Vec<u32>;

/// Walks JSON text without building anything; ends at the end of the first object.
fn scan(body: &[u8], members: &mut Members) {
    let body = body.trim_ascii_start();
    let is_list = match body.first() {
        Some(b'[') => true,
        Some(b'{') => false,
        _ => return,
    };
    if is_list {
        members.insert(hash(0, b"[]"));
    }
    let top = if is_list { 2 } else { 1 };
    let start = if is_list { hash(0, b"[]") } else { 0 };
    let mut levels: [Level; MAX_LEVELS] = Default::default();
    // The hash of the member that each level is inside of, and of the brackets open, which are objects.
    let mut inside = [start; MAX_LEVELS + 1];
    let (mut depth, mut at) = (0_usize, 0_usize);
    let mut last: &[u8] = b"";
    // Levels of lists inside do not count: `{"data":[{…}]}` is as deep as `{"data":{…}}`.
    let mut lists: u64 = 0;
    while let Some(&byte) = body.get(at) {
        at += 1;
        match byte {
            b'"' => {
                let length = string_length(body.get(at..).unwrap_or_default());
                last = body.get(at..at + length).unwrap_or_default();
                at += length + 1;
            }
            b'{' | b'[' => {
                depth += 1;
                if byte == b'[' && depth > top && depth < 64 {
                    lists |= 1 << depth;
                }
            }
            b'}' | b']' => {
                if depth < 64 {
                    lists &= !(1 << depth);
                }
                depth = depth.saturating_sub(1);
                if depth + 1 == top {
                    break;
                }
            }
            b':' if depth >= top && depth < 64 => {
                let level = depth - top - lists.count_ones() as usize;
                let Some(hash) = inside.get(level).map(|outer| hash(*outer, last)) else {
                    continue;
                };
                if let Some(next) = inside.get_mut(level + 1) {
                    *next = hash;
                }
                if let Some(names) = levels.get_mut(level).filter(|names| names.len() < MAX_NAMES) {
                    names.push(hash);
                }
            }
            _ => {}
        }
    }
    for mut names in levels {
        names.sort_unstable();
        names.dedup();
        for name in &names {
            members.insert(*name);
        }
        if names.len() > WRAPPER {
            break;
        }
    }
}

/// Bytes before the closing quote; all of them if there is none.
fn string_length(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(found) = memchr::memchr2(b'"', b'\\', text.get(at..).unwrap_or_default()) {
        at += found;
        match text.get(at) {
            Some(b'\\') => at += 2,
            _ => return at,
        }
    }
    text.len()
}

/// FNV-1a with a final mix (MurmurHash3), so that the smallest hashes are a fair sample.
fn hash(outer: u32, name: &[u8]) -> u32 {
    let mut hash = 0x811c_9dc5_u32 ^ outer;
    for byte in name {
        hash = (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
    }
    hash ^= hash >> 16;
    hash = hash.wrapping_mul(0x85eb_ca6b);
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(0xc2b2_ae35);
    hash ^ hash >> 16
}

/// Members whose values are words of a small set, not names of things.
const CHOICES: &[&[u8]] = &[
    b"action",
    b"category",
    b"event",
    b"format",
    b"frequency",
    b"interval",
    b"kind",
    b"level",
    b"method",
    b"mode",
    b"object",
    b"period",
    b"rel",
    b"role",
    b"scope",
    b"severity",
    b"sort",
    b"state",
    b"status",
    b"type",
    b"unit",
];

/// Whether a text is the value of a member that may name the thing answered: `{"login":"ann"}` at `/users/ann`.
pub(crate) fn names(body: &[u8], text: &str) -> bool {
    let body = body.get(..MAX_BYTES).unwrap_or(body);
    if text.len() < 2 || !matches!(body.trim_ascii_start().first(), Some(b'{' | b'[')) {
        return false;
    }
    memchr::memmem::find_iter(body, text.as_bytes()).any(|at| {
        let after = body.get(at + text.len()..).unwrap_or_default();
        let before = body.get(..at).unwrap_or_default();
        let (Some(before), Some(after)) = (before.strip_suffix(b"\""), after.strip_prefix(b"\"")) else {
            return false;
        };
        if after.trim_ascii_start().first() == Some(&b':') {
            return false;
        }
        // The name of the member, if it is one: elements of lists have none.
        let Some(member) = before.trim_ascii_end().strip_suffix(b":") else {
            return false;
        };
        let Some(member) = member.trim_ascii_end().strip_suffix(b"\"") else {
            return false;
        };
        let start = memchr::memrchr(b'"', member).map_or(0, |quote| quote + 1);
        let member = member.get(start..).unwrap_or_default();
        !CHOICES.iter().any(|choice| choice.eq_ignore_ascii_case(member))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_at_the_top() {
        let plain = Members::of(br#" {"a":1,"b":{"x":[{"y":2}]},"c":"} \" :","d":0,"e":0}"#);
        assert_eq!(plain.0.len(), 5);
        assert_eq!(Members::of(br#"{"c":0,"e":{},"d":1,"b":[],"a":null}"#), plain);
        let list = Members::of(br#"[{"a":1,"b":2},{"z":3}]"#);
        assert_eq!(list.0.len(), 3);
        assert_eq!(list.overlap(&plain, |_| false).common, 0);
        for nothing in ["", "42", "\"a\"", "<html>", "{}"] {
            assert!(Members::of(nothing.as_bytes()).is_empty(), "{nothing}");
        }
    }

    #[test]
    fn wrappers_are_looked_into() {
        let of = |body: &str| Members::of(body.as_bytes());
        let ann = of(r#"{"data":{"type":"a","attributes":{"login":1,"mail":2}},"meta":{}}"#);
        let list = of(r#"{"data":[{"type":"a","attributes":{"login":1,"mail":2}},{"type":"b"}],"meta":{}}"#);
        assert_eq!(ann, list);
        assert_eq!(ann.0.len(), 6);
        let other = of(r#"{"data":{"type":"a","attributes":{"price":1}},"meta":{}}"#);
        assert_eq!(ann.overlap(&other, |_| false).common, 4);
        let wrapper = of(r#"{"data":{"type":"a","attributes":{}},"meta":{}}"#);
        assert_eq!(
            ann.overlap(&other, |hash| wrapper.hashes().any(|one| one == hash))
                .union,
            3
        );
        // Five members are a thing of their own.
        assert_eq!(of(r#"{"a":1,"b":2,"c":3,"d":4,"e":{"f":1}}"#).0.len(), 5);
    }

    #[test]
    fn things_name_themselves() {
        let body = br#"{"id":7,"login" : "ann","type":"user","tags":["blue"],"shop":{"slug":"x\"y"}}"#;
        assert!(names(body, "ann"));
        for other in ["user", "blue", "login", "id", "an", "", "y"] {
            assert!(!names(body, other), "{other}");
        }
        assert!(!names(b"<a title=\"ann\">", "ann"));
    }

    #[test]
    fn what_is_cut_counts_as_far_as_it_goes() {
        let whole = br#"{"a":"text \\\" more","b":[1,{"c":2}],"d":3}"#;
        for cut in 0..=whole.len() {
            assert!(Members::of(&whole[..cut]).0.len() <= 4);
        }
        assert_eq!(Members::of(&whole[..whole.len() - 1]), Members::of(whole));
    }

    #[test]
    fn many_names_are_sampled_in_any_order() {
        let body = |names: &mut dyn Iterator<Item = u32>| {
            let members: Vec<_> = names.map(|name| format!("\"m{name}\":1")).collect();
            Members::of(format!("{{{}}}", members.join(",")).as_bytes())
        };
        let (forward, backward) = (body(&mut (0..200)), body(&mut (0..200).rev()));
        assert_eq!(forward, backward);
        assert_eq!(forward.0.len(), MAX_MEMBERS);
        let mut parts = body(&mut (0..100));
        assert!(parts.merge(&body(&mut (100..200))));
        assert_eq!(parts, forward);
    }
}
