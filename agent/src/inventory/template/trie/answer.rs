//! The members of an answer: what tells one kind of resource from another.
//!
//! In: the sample of a JSON body. Out: [`Members`], the hashes of the names at its top, or of the first object of a
//! list. Of many names the smallest hashes are kept, so that the same answers give the same sketch in any order.
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

    pub(super) fn overlap(&self, other: &Self) -> Overlap {
        let common = self
            .0
            .iter()
            .filter(|hash| other.0.binary_search(hash).is_ok())
            .count();
        Overlap {
            common,
            smaller: self.0.len().min(other.0.len()),
            union: self.0.len() + other.0.len() - common,
        }
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

/// Walks JSON text without building anything; ends at the end of the first object.
fn scan(body: &[u8], members: &mut Members) {
    let body = body.trim_ascii_start();
    let is_list = match body.first() {
        Some(b'[') => true,
        Some(b'{') => false,
        _ => return,
    };
    if is_list {
        members.insert(hash(&[b"[]"]));
    }
    let wanted = if is_list { 2 } else { 1 };
    let (mut depth, mut at) = (0_usize, 0_usize);
    let mut last: &[u8] = b"";
    while let Some(&byte) = body.get(at) {
        at += 1;
        match byte {
            b'"' => {
                let length = string_length(body.get(at..).unwrap_or_default());
                last = body.get(at..at + length).unwrap_or_default();
                at += length + 1;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if depth + 1 == wanted {
                    return;
                }
            }
            b':' if depth == wanted => {
                let mark: &[u8] = if is_list { b"[]" } else { b"" };
                members.insert(hash(&[mark, last]));
            }
            _ => {}
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
fn hash(parts: &[&[u8]]) -> u32 {
    let mut hash = 0x811c_9dc5_u32;
    for byte in parts.iter().copied().flatten() {
        hash = (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
    }
    hash ^= hash >> 16;
    hash = hash.wrapping_mul(0x85eb_ca6b);
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(0xc2b2_ae35);
    hash ^ hash >> 16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_at_the_top() {
        let plain = Members::of(br#" {"a":1,"b":{"x":[{"y":2}]},"c":"} \" :"}"#);
        assert_eq!(plain.0.len(), 3);
        assert_eq!(Members::of(br#"{"c":0,"b":[],"a":null}"#), plain);
        let list = Members::of(br#"[{"a":1,"b":2},{"z":3}]"#);
        assert_eq!(list.0.len(), 3);
        assert_eq!(list.overlap(&plain).common, 0);
        for nothing in ["", "42", "\"a\"", "<html>", "{}"] {
            assert!(Members::of(nothing.as_bytes()).is_empty(), "{nothing}");
        }
    }

    #[test]
    fn what_is_cut_counts_as_far_as_it_goes() {
        let whole = br#"{"a":"text \\\" more","b":[1,{"c":2}],"d":3}"#;
        for cut in 0..=whole.len() {
            assert!(Members::of(&whole[..cut]).0.len() <= 3);
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
