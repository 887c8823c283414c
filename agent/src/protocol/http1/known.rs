//! Heads that came before: a client that keeps a connection sends most of its heads again, byte for byte, and so does a
//! server within the second of its `Date`. Such a head is recognised by its bytes and not parsed again.
//!
//! In: bytes that start at the first byte of a head. Out: what [`super::head::parse`] would say of them, with the bytes
//! shared. Only heads are kept that come twice in a row at their place, that are well-formed, and that hold no secret:
//! what was masked is not kept to be compared with. Refuses to take a hash for equality.

use std::sync::Arc;

use bytes::Bytes;
use foldhash::fast::FixedState;
use std::hash::BuildHasher as _;

use super::head::{Kind, Parsed};
use crate::exchange::{Facts, Head};

/// Places for heads: with the two bounds below, at most some 350 KiB. Overflow policy: the newer head takes the place.
const PLACES: usize = 256;

/// Longest head that is kept, in bytes. Overflow policy: it is parsed each time.
const MAX_HEAD_BYTES: usize = 1024;

/// Bytes that name a place: what tells the requests of one client apart stands within them.
const PREFIX_BYTES: usize = 128;

/// A head that came before.
#[derive(Debug)]
pub(super) struct Known {
    kind: Kind,
    bytes: Bytes,
    pub(super) parsed: Parsed,
}

impl Known {
    /// Its bytes, the empty line included.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The head of a message.
    pub(super) fn head(&self) -> Head {
        Head {
            buffer: self.bytes.clone(),
            fields: self.parsed.fields.clone(),
            cut: false,
        }
    }
}

/// Where a head is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place(usize);

/// What is known of a place.
#[derive(Debug, Default)]
struct Slot {
    known: Option<Arc<Known>>,
    /// Hash of the head that came last and was not known.
    last: u64,
    /// It is not to be kept.
    is_refused: bool,
}

/// The heads of all connections of one shard.
#[derive(Debug)]
pub(super) struct Heads {
    slots: Vec<Slot>,
    // Whoever finds heads that collide has them parsed each time, as they were before: no keyed hash is needed.
    hash: FixedState,
}

impl Default for Heads {
    fn default() -> Self {
        Self {
            slots: std::iter::repeat_with(Slot::default).take(PLACES).collect(),
            hash: FixedState::default(),
        }
    }
}

impl Heads {
    /// Where a head at the start of `input` belongs.
    pub(super) fn place(&self, input: &[u8]) -> Place {
        let prefix = input.get(..PREFIX_BYTES).unwrap_or(input);
        Place(self.hash.hash_one(prefix) as usize % PLACES)
    }

    /// The head at the start of `input`, if it is the one that is known there.
    pub(super) fn find(&self, place: Place, kind: Kind, input: &[u8]) -> Option<Arc<Known>> {
        let known = self.slots.get(place.0)?.known.as_ref()?;
        (known.kind == kind && input.starts_with(&known.bytes)).then(|| Arc::clone(known))
    }

    /// Masks a parsed head, and keeps it if it came before, is well-formed, and `mask` finds nothing to hide, which it
    /// says by `true`.
    pub(super) fn mask(
        &mut self,
        place: Place,
        kind: Kind,
        parsed: &Parsed,
        mut bytes: Vec<u8>,
        mask: impl FnOnce(&mut [u8]) -> bool,
    ) -> Bytes {
        let is_plain = parsed.facts == Facts::default() && !parsed.cut && bytes.len() <= MAX_HEAD_BYTES;
        let slot = is_plain.then(|| self.slots.get_mut(place.0)).flatten();
        let Some(slot) = slot else {
            mask(&mut bytes);
            return bytes.into();
        };
        let hash = self.hash.hash_one(&*bytes);
        if slot.last != hash || slot.is_refused {
            slot.is_refused &= slot.last == hash;
            slot.last = hash;
            mask(&mut bytes);
            return bytes.into();
        }
        let sent = bytes.clone();
        slot.is_refused = !mask(&mut bytes) || bytes != sent;
        let bytes = Bytes::from(bytes);
        if !slot.is_refused {
            slot.known = Some(Arc::new(Known {
                kind,
                bytes: bytes.clone(),
                parsed: parsed.clone(),
            }));
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::{super::head::tests::head, *};

    const REQUEST: &[u8] = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n";

    fn offer(heads: &mut Heads, bytes: &[u8], has_secret: bool) -> Bytes {
        let parsed = head(Kind::Request, bytes);
        let place = heads.place(bytes);
        heads.mask(place, Kind::Request, &parsed, bytes.to_vec(), |bytes| {
            if has_secret {
                bytes[5] = b'*';
            }
            !has_secret
        })
    }

    fn is_known(heads: &Heads, kind: Kind, input: &[u8]) -> bool {
        heads.find(heads.place(input), kind, input).is_some()
    }

    #[test]
    fn the_second_of_two_equal_heads_is_kept() {
        let mut heads = Heads::default();
        offer(&mut heads, REQUEST, false);
        assert!(!is_known(&heads, Kind::Request, REQUEST));
        offer(&mut heads, REQUEST, false);
        let known = heads.find(heads.place(REQUEST), Kind::Request, REQUEST).unwrap();
        assert_eq!(known.parsed, head(Kind::Request, REQUEST));
        assert_eq!(known.head().first("host"), Some(&b"h"[..]));
        assert!(!is_known(&heads, Kind::Response, REQUEST));
        assert!(!is_known(&heads, Kind::Request, &REQUEST[..REQUEST.len() - 1]));
        // Another head with the same beginning is not it.
        let long = [b"GET /", &[b'a'; 200][..], b" HTTP/1.1\r\n\r\n"].concat();
        let other = [b"GET /", &[b'a'; 199][..], b"b HTTP/1.1\r\n\r\n"].concat();
        offer(&mut heads, &long, false);
        offer(&mut heads, &long, false);
        assert_eq!(heads.place(&long), heads.place(&other));
        assert!(is_known(&heads, Kind::Request, &long));
        assert!(!is_known(&heads, Kind::Request, &other));
    }

    #[test]
    fn heads_with_secrets_and_odd_ones_are_not_kept() {
        let mut heads = Heads::default();
        for _ in 0..4 {
            assert_eq!(offer(&mut heads, REQUEST, true)[5], b'*');
            assert!(!is_known(&heads, Kind::Request, REQUEST));
        }
        let long = [b"GET /", &[b'a'; MAX_HEAD_BYTES][..], b" HTTP/1.1\r\n\r\n"].concat();
        for odd in [&b"GET /a HTTP/1.1\nHost: h\n\n"[..], &long] {
            for _ in 0..4 {
                offer(&mut heads, odd, false);
                assert!(!is_known(&heads, Kind::Request, odd));
            }
        }
    }

    #[test]
    fn newer_heads_take_the_places() {
        let mut heads = Heads::default();
        let numbered = |number: usize| format!("GET /{number} HTTP/1.1\r\n\r\n").into_bytes();
        for number in 0..10 * PLACES {
            offer(&mut heads, &numbered(number), false);
            offer(&mut heads, &numbered(number), false);
            assert!(is_known(&heads, Kind::Request, &numbered(number)));
        }
        assert_eq!(heads.slots.len(), PLACES);
        let known = (0..10 * PLACES).filter(|&number| is_known(&heads, Kind::Request, &numbered(number)));
        assert!(known.count() <= PLACES);
    }
}
