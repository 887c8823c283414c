//! A block of fields: one HEADERS or PUSH_PROMISE frame and the CONTINUATION frames behind it (RFC 9113 §4.3).

use super::frame::{Header, flag, kind};
use crate::clock::Timestamp;

/// Longest block, in bytes. Overflow policy: the fields in front are kept, the rest is left out.
const MAX_BLOCK_BYTES: usize = 256 * 1024;

/// Most CONTINUATION frames of a block. Overflow policy: as for a block that is too long.
const MAX_FRAGMENTS: u16 = 1_024;

/// A block that goes on.
#[derive(Debug)]
pub(super) struct Block {
    header: Header,
    promised: Option<u32>,
    at: Timestamp,
    bytes: Vec<u8>,
    fragments: u16,
}

impl Block {
    /// From its first frame, with the fragment in that. `None` if the frame is malformed.
    pub(super) fn new(header: Header, payload: &[u8], at: Timestamp) -> Option<(Self, &[u8])> {
        let (padding, rest) = padding(header, payload)?;
        let rest = rest.get(..rest.len().checked_sub(padding)?)?;
        Self::behind(header, rest, at)
    }

    /// From the beginning of its first frame.
    pub(super) fn beginning(header: Header, payload: &[u8], at: Timestamp) -> Option<(Self, &[u8])> {
        let (padding, rest) = padding(header, payload)?;
        // Padding that is there already is not part of the block.
        let most = (header.length as usize).checked_sub(padding + payload.len() - rest.len())?;
        Self::behind(header, rest.get(..most).unwrap_or(rest), at)
    }

    fn behind(header: Header, rest: &[u8], at: Timestamp) -> Option<(Self, &[u8])> {
        let (promised, fragment) = if header.kind == kind::PUSH_PROMISE {
            let (promised, rest) = rest.split_first_chunk::<4>()?;
            (Some(u32::from_be_bytes(*promised) & 0x7fff_ffff), rest)
        } else if header.has(flag::PRIORITY) {
            (None, rest.get(5..)?)
        } else {
            (None, rest)
        };
        let block = Self {
            header,
            promised,
            at,
            bytes: Vec::new(),
            fragments: 0,
        };
        Some((block, fragment))
    }

    /// Takes a fragment; `false` if the block is too long now.
    #[must_use]
    pub(super) fn push(&mut self, fragment: &[u8]) -> bool {
        self.fragments = self.fragments.saturating_add(1);
        if self.fragments > MAX_FRAGMENTS || self.bytes.len() + fragment.len() > MAX_BLOCK_BYTES {
            return false;
        }
        self.bytes.extend_from_slice(fragment);
        true
    }

    /// The fragments so far.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn held(&self) -> usize {
        self.bytes.capacity()
    }

    pub(super) fn stream(&self) -> u32 {
        self.header.stream
    }

    pub(super) fn promised(&self) -> Option<u32> {
        self.promised
    }

    /// When it began.
    pub(super) fn at(&self) -> Timestamp {
        self.at
    }

    /// Whether it is the last of its message.
    pub(super) fn ends_stream(&self) -> bool {
        self.header.kind == kind::HEADERS && self.header.has(flag::END_STREAM)
    }
}

/// Length of the padding, and what follows it.
fn padding(header: Header, payload: &[u8]) -> Option<(usize, &[u8])> {
    if !header.has(flag::PADDED) {
        return Some((0, payload));
    }
    let (padding, rest) = payload.split_first()?;
    Some((usize::from(*padding), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(kind: u8, flags: u8, length: u8) -> Header {
        Header::parse(&[0, 0, length, kind, flags, 0, 0, 0, 3])
    }

    #[test]
    fn padding_and_priority_are_left_out() {
        let at = Timestamp(1);
        let flags = flag::PADDED | flag::PRIORITY;
        let header = header(kind::HEADERS, flags, 11);
        let payload = b"\x02\0\0\0\0\x10abc\0\0";
        let fragment = |payload| Block::new(header, payload, at).map(|(_, fragment)| fragment);
        assert_eq!(fragment(payload), Some(&b"abc"[..]));
        assert_eq!(fragment(b"\x20\0\0\0\0\x10abc\0\0"), None);
        for cut in 6..payload.len() {
            let (_, fragment) = Block::beginning(header, &payload[..cut], at).unwrap();
            assert!(b"abc".starts_with(fragment) && (cut < 9 || fragment == b"abc"));
        }
    }

    #[test]
    fn promises_name_a_stream() {
        let header = header(kind::PUSH_PROMISE, flag::END_HEADERS, 6);
        let (block, fragment) = Block::new(header, b"\0\0\0\x04\x82\x84", Timestamp(1)).unwrap();
        assert_eq!((block.promised(), fragment), (Some(4), &b"\x82\x84"[..]));
        assert!(Block::new(header, b"\0\0\0", Timestamp(1)).is_none());
    }

    #[test]
    fn blocks_are_bounded() {
        let (mut block, _) = Block::new(header(kind::HEADERS, 0, 0), b"", Timestamp(1)).unwrap();
        let fragment = vec![0; 16 * 1024];
        let pushed = (0..100).take_while(|_| block.push(&fragment)).count();
        assert_eq!(pushed, MAX_BLOCK_BYTES / fragment.len());
        let (mut block, _) = Block::new(header(kind::HEADERS, 0, 0), b"", Timestamp(1)).unwrap();
        assert_eq!((0..5_000).take_while(|_| block.push(b"")).count(), 1_024);
    }
}
