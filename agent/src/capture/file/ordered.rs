//! Puts the pieces of a byte stream in order: one direction of a TCP connection, or a fragmented datagram.
//!
//! In: pieces of the stream with their 32-bit sequence numbers (RFC 9293 §3.4), in any order, repeated,
//! overlapping. Out: each byte of the stream once, in order, at its absolute position; where bytes are missing
//! for good, the position jumps. Of bytes that arrive twice the first are kept. Refuses to guess: nothing is
//! made up for what is missing.

use std::collections::BTreeMap;

/// Bytes held back behind a hole, per direction, [`ENTRY_BYTES`] for each piece included. Overflow policy: the
/// hole is given up and becomes a gap.
const MAX_PENDING_BYTES: usize = 1024 * 1024;

/// What a held piece costs beside its bytes.
const ENTRY_BYTES: usize = 96;

/// Largest TCP window (RFC 7323 §2.3): what lies further ahead does not belong to the stream.
const MAX_WINDOW: i64 = 1 << 30;

/// A run of bytes that is next in the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run<'a> {
    /// Position of the first byte.
    pub(super) position: u64,
    /// Bytes of the capture; fewer than `end - position` if packets were cut short in it.
    pub(super) bytes: &'a [u8],
    /// Position behind the run.
    pub(super) end: u64,
}

/// A piece held back: its bytes and its length on the wire, which may be more.
#[derive(Debug)]
struct Piece {
    bytes: Vec<u8>,
    len: u64,
}

/// One stream.
#[derive(Debug, Default)]
pub(super) struct Ordered {
    /// Sequence number of the byte at `position`, once known.
    next: Option<u32>,
    position: u64,
    /// By position; never overlapping, never at or before `position`.
    pending: BTreeMap<u64, Piece>,
    pending_bytes: usize,
    fin: Option<u64>,
}

impl Ordered {
    /// Sets the sequence number of the first byte, unless it is known.
    pub(super) fn start_at(&mut self, seq: u32) {
        self.next.get_or_insert(seq);
    }

    /// Position behind the last byte given out.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Bytes held back, with what holding them costs.
    pub(super) fn pending_bytes(&self) -> usize {
        self.pending_bytes
    }

    /// Whether the end of the stream is known and everything before it was given out or given up.
    pub(super) fn finished(&self) -> bool {
        self.fin.is_some_and(|fin| self.position >= fin)
    }

    /// Position of a sequence number; `None` if it is too far ahead or was never in the stream.
    fn locate(&self, seq: u32) -> Option<i64> {
        // RFC 9293 §3.4: differences are taken modulo 2^32.
        let distance = i64::from(seq.wrapping_sub(self.next?).cast_signed());
        (distance < MAX_WINDOW).then_some(i64::try_from(self.position).ok()? + distance)
    }

    /// Takes a piece of `len` bytes on the wire, of which `bytes` were captured. Returns whether any of it was
    /// new.
    pub(super) fn push(&mut self, seq: u32, bytes: &[u8], len: u64, emit: &mut dyn FnMut(Run<'_>)) -> bool {
        self.start_at(seq);
        let Some(start) = self.locate(seq) else {
            return false;
        };
        let old = u64::try_from(i64::try_from(self.position).unwrap_or(i64::MAX) - start).unwrap_or(0);
        if old >= len {
            return false;
        }
        let start = u64::try_from(start).unwrap_or(0).max(self.position);
        let bytes = tail(bytes, old);
        let end = start + (len - old);
        if start == self.position && self.pending.is_empty() {
            self.give(bytes, end - start, emit);
            return true;
        }
        let new = self.hold(start, bytes, end);
        self.drain(emit);
        if self.pending_bytes > MAX_PENDING_BYTES {
            self.give_up(emit);
        }
        new
    }

    /// The stream ends at this sequence number.
    pub(super) fn end_at(&mut self, seq: u32) {
        self.start_at(seq);
        if let Some(fin) = self.locate(seq).and_then(|fin| u64::try_from(fin).ok()) {
            self.fin.get_or_insert(fin.max(self.position));
        }
    }

    /// The receiver has everything before this sequence number, so what was not seen of it never will be.
    pub(super) fn acknowledged(&mut self, seq: u32, emit: &mut dyn FnMut(Run<'_>)) {
        let Some(end) = self.locate(seq).and_then(|end| u64::try_from(end).ok()) else {
            return;
        };
        // The end of the stream counts as one byte in acknowledgements.
        let end = self.fin.map_or(end, |fin| end.min(fin));
        while self.position < end {
            match self.pending.first_key_value() {
                Some((&at, _)) if at < end => self.skip_to(at, emit),
                _ => self.skip_to(end, emit),
            }
            self.drain(emit);
        }
    }

    /// Nothing more will come, or no more can be held: holes become gaps.
    pub(super) fn give_up(&mut self, emit: &mut dyn FnMut(Run<'_>)) {
        while let Some((&at, _)) = self.pending.first_key_value() {
            self.skip_to(at, emit);
            self.drain(emit);
        }
    }

    /// Holds what is new of `bytes` between the pieces already held.
    fn hold(&mut self, start: u64, bytes: &[u8], end: u64) -> bool {
        let mut at = start;
        if let Some((&before, piece)) = self.pending.range(..=start).next_back() {
            at = at.max(before + piece.len);
        }
        let mut new = false;
        while at < end {
            let next = self
                .pending
                .range(at..)
                .next()
                .map(|(&next, piece)| (next, piece.len));
            let stop = next.map_or(end, |(next, _)| next.min(end));
            if stop > at {
                let from = tail(bytes, at - start);
                let held = from
                    .get(..usize::try_from(stop - at).unwrap_or(usize::MAX))
                    .unwrap_or(from);
                self.pending_bytes += held.len() + ENTRY_BYTES;
                let piece = Piece {
                    bytes: held.to_vec(),
                    len: stop - at,
                };
                self.pending.insert(at, piece);
                new = true;
            }
            at = next.map_or(end, |(next, len)| next + len);
        }
        new
    }

    /// Gives out what has become next.
    fn drain(&mut self, emit: &mut dyn FnMut(Run<'_>)) {
        while let Some(entry) = self.pending.first_entry()
            && *entry.key() == self.position
        {
            let piece = entry.remove();
            self.pending_bytes -= piece.bytes.len() + ENTRY_BYTES;
            self.give(&piece.bytes, piece.len, emit);
        }
    }

    /// Gives out the next `len` bytes.
    fn give(&mut self, bytes: &[u8], len: u64, emit: &mut dyn FnMut(Run<'_>)) {
        let position = self.position;
        self.forward(position + len);
        emit(Run {
            position,
            bytes,
            end: self.position,
        });
    }

    fn skip_to(&mut self, end: u64, emit: &mut dyn FnMut(Run<'_>)) {
        let position = self.position;
        self.forward(end);
        emit(Run {
            position,
            bytes: &[],
            end,
        });
    }

    fn forward(&mut self, end: u64) {
        // Truncation is what sequence numbers do.
        let moved = (end - self.position) as u32;
        self.next = self.next.map(|next| next.wrapping_add(moved));
        self.position = end;
    }
}

/// What is left of `bytes` behind the first `skip`.
fn tail(bytes: &[u8], skip: u64) -> &[u8] {
    usize::try_from(skip)
        .ok()
        .and_then(|skip| bytes.get(skip..))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: u32 = u32::MAX - 5;

    /// What came out: bytes, and `_` for each missing byte.
    #[derive(Default)]
    struct Seen {
        text: Vec<u8>,
        stream: Ordered,
    }

    impl Seen {
        fn push(&mut self, offset: u32, bytes: &[u8]) {
            self.push_cut(offset, bytes, bytes.len() as u64);
        }

        fn push_cut(&mut self, offset: u32, bytes: &[u8], len: u64) {
            let text = &mut self.text;
            self.stream.start_at(START);
            self.stream
                .push(START.wrapping_add(offset), bytes, len, &mut |run| take(text, run));
        }

        fn acknowledged(&mut self, offset: u32) {
            let text = &mut self.text;
            self.stream
                .acknowledged(START.wrapping_add(offset), &mut |run| take(text, run));
        }

        fn give_up(&mut self) {
            let text = &mut self.text;
            self.stream.give_up(&mut |run| take(text, run));
        }

        fn text(&self) -> &str {
            std::str::from_utf8(&self.text).unwrap()
        }
    }

    fn take(text: &mut Vec<u8>, run: Run<'_>) {
        assert_eq!(run.position, text.len() as u64);
        text.extend_from_slice(run.bytes);
        text.resize(run.end as usize, b'_');
    }

    #[test]
    fn every_order_of_pieces_gives_the_stream_across_the_wrap_of_sequence_numbers() {
        let pieces: [(u32, &[u8]); 4] = [(0, b"abc"), (3, b"defg"), (7, b"h"), (8, b"ijkl")];
        for order in 0..256_usize {
            let mut seen = Seen::default();
            for step in 0..4 {
                let (at, bytes) = pieces[order >> (2 * step) & 3];
                seen.push(at, bytes);
            }
            for (at, bytes) in pieces {
                seen.push(at, bytes);
            }
            assert_eq!(seen.text(), "abcdefghijkl", "order {order:#x}");
            assert_eq!(seen.stream.pending_bytes(), 0);
        }
    }

    #[test]
    fn of_overlapping_bytes_the_first_seen_are_kept() {
        let mut seen = Seen::default();
        seen.push(2, b"CD");
        seen.push(6, b"G");
        seen.push(0, b"abcdefghi");
        assert_eq!(seen.text(), "abCDefGhi");
        seen.push(4, b"XXXXXXj");
        assert_eq!(seen.text(), "abCDefGhiXj");
    }

    #[test]
    fn repeated_and_keep_alive_bytes_are_dropped() {
        let mut seen = Seen::default();
        seen.push(0, b"abc");
        seen.push(0, b"abc");
        seen.push(2, b"?");
        seen.push(1, b"bcd");
        assert_eq!(seen.text(), "abcd");
    }

    #[test]
    fn acknowledged_holes_become_gaps() {
        let mut seen = Seen::default();
        seen.push(2, b"cd");
        seen.push(6, b"gh");
        seen.acknowledged(0);
        assert_eq!(seen.text(), "");
        seen.acknowledged(5);
        assert_eq!(seen.text(), "__cd_");
        seen.acknowledged(9);
        assert_eq!(seen.text(), "__cd__gh_");
        seen.push(0, b"ab");
        assert_eq!(seen.text(), "__cd__gh_");
    }

    #[test]
    fn the_end_of_the_stream_is_no_byte() {
        let mut seen = Seen::default();
        seen.push(0, b"ab");
        seen.stream.end_at(START.wrapping_add(2));
        assert!(seen.stream.finished());
        seen.acknowledged(3);
        assert_eq!(seen.text(), "ab");
    }

    #[test]
    fn a_hole_is_given_up_when_too_much_waits_behind_it() {
        let mut seen = Seen::default();
        let piece = [b'x'; 1000];
        for index in 0..2000 {
            seen.push(1 + index * 1000, &piece);
            assert!(seen.stream.pending_bytes() <= MAX_PENDING_BYTES);
        }
        assert_eq!(seen.text.len(), 2_000_001);
        assert_eq!(seen.text[0], b'_');
    }

    #[test]
    fn at_the_end_everything_held_comes_out() {
        let mut seen = Seen::default();
        seen.push(1, b"b");
        seen.push(3, b"d");
        seen.give_up();
        assert_eq!(seen.text(), "_b_d");
    }

    #[test]
    fn pieces_cut_short_in_the_capture_keep_their_length() {
        let mut seen = Seen::default();
        seen.push_cut(4, b"e", 3);
        seen.push_cut(0, b"ab", 4);
        seen.push(7, b"h");
        assert_eq!(seen.text(), "ab__e__h");
    }

    #[test]
    fn what_lies_beyond_any_window_is_ignored() {
        let mut seen = Seen::default();
        seen.push(0, b"ab");
        seen.push(0x7000_0000, b"zz");
        seen.push(2, b"c");
        assert_eq!(seen.text(), "abc");
        assert_eq!(seen.stream.pending_bytes(), 0);
    }
}
