//! Where one direction of an HTTP/2 connection is in its frames (RFC 9113 §4 and §6), and how much of each is copied.
//!
//! In: frame headers, piece by piece, and the bytes that pass. Out: how many bytes of each payload the agent should
//! have: blocks of fields whole, DATA up to a budget per message, little of the rest. Runs in the kernel on every
//! operation of an HTTP/2 socket, so it has no loop, and a bound on everything. Refuses to parse fields.

use crate::limits::PREFIX_BYTES;

/// Length of a frame header.
pub const FRAME_HEADER_BYTES: u32 = 9;

/// Length of what a client sends first (RFC 9113 §3.4).
pub const PREFACE_BYTES: u32 = 24;

/// Most bytes copied of one frame of fields. Overflow policy: the rest is left out, and the fields in it are unknown.
pub const MAX_BLOCK_BYTES: u32 = 256 * 1024;

/// Bytes copied of every DATA frame, however much of its message was copied before: messages of streams are mostly
/// shorter, and those of gRPC start with their length.
pub const MIN_DATA_BYTES: u32 = 512;

/// DATA that is cut is cut so much before its budget ends: with the headers in front it fits one event then.
const CUT_EARLIER_BYTES: u32 = 64;

/// Most bytes copied of other frames. Overflow policy: the rest is left out; what matters stands in front.
pub const MAX_OTHER_BYTES: u32 = 1024;

/// Streams of one direction whose budgets are kept apart. Overflow policy: a stream takes the place of another, whose next
/// DATA has a whole budget once more.
pub const STREAMS: usize = 16;

/// Unit in which the rest of a budget is kept.
const UNIT_BYTES: u32 = 64;

/// Largest frame unless a peer allows more (RFC 9113 §4.2).
pub const DEFAULT_FRAME_BYTES: u32 = 16_384;

/// Streams that a connection joined in the middle is taken to have had at the most.
pub const UNKNOWN_STREAMS: u32 = 1 << 24;

/// Frame types.
pub mod kind {
    /// Bytes of a body.
    pub const DATA: u8 = 0;
    /// The start of a block of fields.
    pub const HEADERS: u8 = 1;
    /// Deprecated.
    pub const PRIORITY: u8 = 2;
    /// The end of a stream before its time.
    pub const RST_STREAM: u8 = 3;
    /// Parameters of the connection.
    pub const SETTINGS: u8 = 4;
    /// A request that the server makes in the client's place.
    pub const PUSH_PROMISE: u8 = 5;
    /// Are you there.
    pub const PING: u8 = 6;
    /// The end of the connection.
    pub const GOAWAY: u8 = 7;
    /// Flow control.
    pub const WINDOW_UPDATE: u8 = 8;
    /// More of a block of fields.
    pub const CONTINUATION: u8 = 9;
}

/// Flags; which of them a frame has depends on its type.
pub mod flag {
    /// Of SETTINGS and PING.
    pub const ACK: u8 = 1;
    /// Of DATA and HEADERS.
    pub const END_STREAM: u8 = 1;
    /// Of HEADERS, PUSH_PROMISE and CONTINUATION.
    pub const END_HEADERS: u8 = 4;
    /// Of DATA, HEADERS and PUSH_PROMISE.
    pub const PADDED: u8 = 8;
    /// Of HEADERS.
    pub const PRIORITY: u8 = 0x20;
}

/// A frame header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHeader {
    /// Length of the payload.
    pub length: u32,
    /// With the reserved bit on top.
    pub stream: u32,
    /// One of [`kind`], or another.
    pub kind: u8,
    /// Bits of [`flag`], or others.
    pub flags: u8,
}

impl FrameHeader {
    /// From its first eight bytes as a little-endian word, and its ninth.
    #[inline(always)]
    pub const fn from_words(low: u64, last: u8) -> Self {
        let word = low.swap_bytes();
        Self {
            length: (word >> 40) as u32,
            kind: (word >> 32) as u8,
            flags: (word >> 24) as u8,
            stream: ((word as u32) << 8) | last as u32,
        }
    }

    /// Whether a conforming peer would send a frame of this type with this length, these flags, and a stream or none,
    /// under the limits that hold unless a peer allows more. Extensions do not conform.
    #[inline(always)]
    pub const fn conforms(self) -> bool {
        if self.stream >> 31 != 0 || self.length > DEFAULT_FRAME_BYTES {
            return false;
        }
        let on_stream = self.stream != 0;
        match self.kind {
            kind::DATA => on_stream && self.only(flag::END_STREAM | flag::PADDED),
            kind::HEADERS => {
                let flags = flag::END_STREAM | flag::END_HEADERS | flag::PADDED | flag::PRIORITY;
                on_stream && self.only(flags) && self.length > 0
            }
            kind::PRIORITY => on_stream && self.only(0) && self.length == 5,
            kind::RST_STREAM => on_stream && self.only(0) && self.length == 4,
            kind::SETTINGS => {
                let fits = self.length.is_multiple_of(6) && (self.length == 0 || self.flags == 0);
                !on_stream && self.only(flag::ACK) && fits
            }
            kind::PUSH_PROMISE => on_stream && self.only(flag::END_HEADERS | flag::PADDED) && self.length > 4,
            kind::PING => !on_stream && self.only(flag::ACK) && self.length == 8,
            kind::GOAWAY => !on_stream && self.only(0) && self.length >= 8,
            kind::WINDOW_UPDATE => self.only(0) && self.length == 4,
            kind::CONTINUATION => on_stream && self.only(flag::END_HEADERS),
            _ => false,
        }
    }

    #[inline(always)]
    const fn only(self, flags: u8) -> bool {
        self.flags & !flags == 0
    }
}

/// What may still be copied of the messages that one direction's streams are at. All zero at its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Budgets {
    /// By the low bits of the stream's number: its other bits and one above, units below. Zero: a whole budget.
    left: [u32; STREAMS],
}

impl Budgets {
    /// Whole budgets for all.
    pub const WHOLE: Self = Self { left: [0; STREAMS] };

    /// The other direction has sent something of a message: what comes next here has a budget of its own.
    #[inline(always)]
    pub const fn renew(&mut self) {
        *self = Self::WHOLE;
    }

    /// How much of the next `length` bytes of `stream` is copied, when a message that starts has a budget of `fresh`.
    #[inline(always)]
    fn take(&mut self, stream: u32, length: u32, fresh: u32) -> u32 {
        let Some(left) = self.left.get_mut(Self::place(stream)) else {
            return 0;
        };
        let name = ((stream >> 5) + 1) << 16;
        let budget = if *left >> 16 == name >> 16 {
            (*left & 0xffff) * UNIT_BYTES
        } else {
            fresh
        };
        let units = budget.saturating_sub(length) / UNIT_BYTES;
        *left = name | if units < 0xffff { units } else { 0xffff };
        if length <= budget {
            length
        } else {
            budget.saturating_sub(CUT_EARLIER_BYTES)
        }
    }

    /// A message of `stream` starts.
    #[inline(always)]
    fn start(&mut self, stream: u32) {
        if let Some(left) = self.left.get_mut(Self::place(stream)) {
            *left = 0;
        }
    }

    /// Streams of one client have odd numbers.
    #[inline(always)]
    const fn place(stream: u32) -> usize {
        (stream >> 1) as usize % STREAMS
    }
}

/// The state of one direction. All zero at its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Framing {
    /// First bytes of a frame header that an operation ended in, as a little-endian word.
    head: u64,
    /// How many.
    head_len: u32,
    /// Bytes of the present payload still to come.
    pub remaining: u32,
    /// How many of them are to be copied.
    pub wanted: u32,
    /// Not zero when it is not known where the next frame starts.
    lost: u32,
    /// Explicit padding.
    reserved: u32,
}

impl Framing {
    /// At the start of a frame.
    pub const START: Self = Self {
        head: 0,
        head_len: 0,
        remaining: 0,
        wanted: 0,
        lost: 0,
        reserved: 0,
    };

    /// Somewhere.
    pub const LOST: Self = Self {
        lost: 1,
        ..Self::START
    };

    /// In the client's preface, behind so many bytes of it.
    #[inline(always)]
    pub const fn preface(seen: u32) -> Self {
        let left = PREFACE_BYTES.saturating_sub(seen);
        Self {
            remaining: left,
            wanted: left,
            ..Self::START
        }
    }

    /// Whether it is not known where the next frame starts.
    #[inline(always)]
    pub const fn is_lost(&self) -> bool {
        self.lost != 0
    }

    /// Bytes of a frame header still to come; zero inside a payload.
    #[inline(always)]
    pub const fn header_bytes(&self) -> u32 {
        if self.remaining > 0 {
            0
        } else {
            FRAME_HEADER_BYTES.saturating_sub(self.head_len)
        }
    }

    /// Takes the next `available` bytes (1 to [`Self::header_bytes`]) of a frame header: `window` holds up to eight of
    /// them, as a little-endian word, `ninth` is the last byte of the header if it is among them. `fresh` is the budget
    /// of a message that starts. True if the header is that of DATA.
    #[inline(always)]
    pub fn header(
        &mut self,
        budgets: &mut Budgets,
        window: u64,
        ninth: u8,
        available: u32,
        fresh: u32,
    ) -> bool {
        let head = if self.head_len >= 8 {
            self.head
        } else {
            let kept = if available >= 8 {
                window
            } else {
                window & ((1 << (8 * available)) - 1)
            };
            self.head | (kept << (8 * self.head_len))
        };
        if self.head_len + available < FRAME_HEADER_BYTES {
            self.head = head;
            self.head_len += available;
            return false;
        }
        self.head = 0;
        self.head_len = 0;
        self.enter(budgets, FrameHeader::from_words(head, ninth), fresh)
    }

    #[inline(always)]
    fn enter(&mut self, budgets: &mut Budgets, header: FrameHeader, fresh: u32) -> bool {
        self.remaining = header.length;
        let most = match header.kind {
            kind::DATA => {
                let most = budgets.take(header.stream, header.length, fresh);
                if most > MIN_DATA_BYTES {
                    most
                } else {
                    MIN_DATA_BYTES
                }
            }
            kind::HEADERS => {
                budgets.start(header.stream);
                MAX_BLOCK_BYTES
            }
            kind::CONTINUATION | kind::PUSH_PROMISE => MAX_BLOCK_BYTES,
            _ => MAX_OTHER_BYTES,
        };
        self.wanted = if header.length < most { header.length } else { most };
        header.kind == kind::DATA && header.length > 0
    }

    /// `bytes` of the payload have passed, of which those that were wanted come first.
    #[inline(always)]
    pub const fn pass(&mut self, bytes: u32) {
        self.remaining = self.remaining.saturating_sub(bytes);
        self.wanted = self.wanted.saturating_sub(bytes);
    }

    /// So many bytes have passed that cannot be read.
    #[inline(always)]
    pub const fn pass_unseen(&mut self, bytes: u32) {
        if bytes <= self.remaining {
            self.pass(bytes);
        } else {
            *self = Self::LOST;
        }
    }
}

/// Whether an operation on a connection that speaks HTTP/2 may start with a frame, by its first `len` bytes.
#[inline(always)]
pub const fn starts(prefix: &[u8; PREFIX_BYTES], len: u32) -> bool {
    len >= FRAME_HEADER_BYTES && header_at_start(prefix).conforms()
}

/// Whether an operation of `total` bytes shows that its connection, joined in the middle, speaks HTTP/2: its first bytes
/// are the header of a frame that starts or ends a message, or of one that is as long as the operation, or a second
/// frame follows.
#[inline(always)]
pub fn joins(prefix: &[u8; PREFIX_BYTES], len: u32, total: u32) -> bool {
    if !starts(prefix, len) {
        return false;
    }
    let header = header_at_start(prefix);
    if header.stream > UNKNOWN_STREAMS {
        return false;
    }
    let end = FRAME_HEADER_BYTES + header.length;
    if end == total {
        return true;
    }
    if header.kind == kind::HEADERS {
        return header.flags & flag::END_HEADERS != 0 && header.stream & 1 == 1;
    }
    // The frames that are sent in between have fixed lengths: another header is near.
    if end + FRAME_HEADER_BYTES > len {
        return false;
    }
    let mut bytes = [0; FRAME_HEADER_BYTES as usize];
    let mut place = 0;
    while place < FRAME_HEADER_BYTES {
        let from = (end + place) as usize & (PREFIX_BYTES - 1);
        if let (Some(to), Some(from)) = (bytes.get_mut(place as usize), prefix.get(from)) {
            *to = *from;
        }
        place += 1;
    }
    let [low @ .., last] = bytes;
    FrameHeader::from_words(u64::from_le_bytes(low), last).conforms()
}

/// Longest payload of a server's first settings: sixteen parameters, more than are defined.
const MAX_FIRST_SETTINGS: u32 = 96;

/// Whether a direction whose first `len` bytes these are starts as that of a server of HTTP/2: with settings, which it may send
/// before it has read anything (RFC 9113 §3.4, §6.5).
#[inline(always)]
pub const fn starts_as_server(prefix: &[u8; PREFIX_BYTES], len: u32) -> bool {
    let header = header_at_start(prefix);
    len >= FRAME_HEADER_BYTES
        && header.kind == kind::SETTINGS
        && header.flags == 0
        && header.stream == 0
        && header.length <= MAX_FIRST_SETTINGS
        && header.length.is_multiple_of(6)
}

#[inline(always)]
const fn header_at_start(prefix: &[u8; PREFIX_BYTES]) -> FrameHeader {
    let [a, b, c, d, e, f, g, h, last, ..] = *prefix;
    FrameHeader::from_words(u64::from_le_bytes([a, b, c, d, e, f, g, h]), last)
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::{vec, vec::Vec};

    use super::*;

    const START: (Framing, Budgets) = (Framing::START, Budgets::WHOLE);

    fn frame(kind: u8, flags: u8, stream: u32, length: u32) -> Vec<u8> {
        let [_, length_bytes @ ..] = length.to_be_bytes();
        let mut bytes = length_bytes.to_vec();
        bytes.extend([kind, flags]);
        bytes.extend(stream.to_be_bytes());
        bytes.extend(vec![0xaa; length as usize]);
        bytes
    }

    /// Walks operations as the kernel programs do; which bytes are wanted, one flag each.
    fn walk(state: &mut (Framing, Budgets), operations: &[&[u8]], fresh: u32) -> Vec<bool> {
        let (framing, budgets) = state;
        let mut wanted = Vec::new();
        for operation in operations {
            let mut at = 0;
            while at < operation.len() {
                let rest = &operation[at..];
                let need = framing.header_bytes();
                if need > 0 {
                    let available = need.min(rest.len() as u32);
                    let mut low = [0xee; 8];
                    let seen = rest.len().min(8);
                    low[..seen].copy_from_slice(&rest[..seen]);
                    let ninth = rest.get(need as usize - 1).copied().unwrap_or(0xee);
                    framing.header(budgets, u64::from_le_bytes(low), ninth, available, fresh);
                    wanted.extend(vec![true; available as usize]);
                    at += available as usize;
                    continue;
                }
                let inside = (framing.remaining as usize).min(rest.len());
                for place in 0..inside as u32 {
                    wanted.push(place < framing.wanted);
                }
                framing.pass(inside as u32);
                at += inside;
            }
        }
        wanted
    }

    fn sample() -> Vec<u8> {
        [
            frame(kind::SETTINGS, 0, 0, 12),
            frame(kind::HEADERS, flag::END_HEADERS, 1, 3_000),
            frame(kind::DATA, 0, 1, 16_384),
            frame(kind::DATA, 0, 1, 16_384),
            frame(kind::HEADERS, 0, 3, 2_000),
            frame(kind::CONTINUATION, flag::END_HEADERS, 3, 1_000),
            frame(kind::DATA, 0, 3, 100),
            frame(kind::DATA, flag::END_STREAM, 1, 700),
            frame(99, 0xff, 7, 5_000),
        ]
        .concat()
    }

    #[test]
    fn headers_are_read() {
        let header = FrameHeader::from_words(u64::from_le_bytes([1, 2, 3, 1, 0x24, 0x80, 0, 0]), 7);
        assert_eq!((header.length, header.kind, header.flags), (0x01_0203, 1, 0x24));
        assert_eq!(header.stream, 0x8000_0007);
    }

    #[test]
    fn fields_are_wanted_whole_and_data_up_to_the_budget() {
        let mut state = START;
        let bytes = sample();
        let wanted = walk(&mut state, &[&bytes], 8_192);
        let left_out = |from: usize, to: usize| wanted[from..to].iter().all(|wanted| !wanted);
        let first = 21 + 3_009 + 9;
        assert!(wanted[..first + 8_128].iter().all(|wanted| *wanted));
        assert!(left_out(first + 8_128, first + 16_384));
        let second = first + 16_384 + 9;
        assert!(wanted[second - 9..second + 512].iter().all(|wanted| *wanted));
        assert!(left_out(second + 512, second + 16_384));
        let rest = &wanted[second + 16_384..];
        let known = 2_009 + 1_009 + 109 + 9 + MIN_DATA_BYTES as usize;
        assert!(rest[..known].iter().all(|wanted| *wanted));
        assert!(rest[known + 188..][..9 + 1_024].iter().all(|wanted| *wanted));
        assert_eq!(
            rest.iter().filter(|wanted| !**wanted).count(),
            188 + 5_000 - 1_024
        );
    }

    #[test]
    fn operations_may_end_anywhere() {
        let bytes = sample();
        let from_start = |operations: &[&[u8]]| {
            let mut state = START;
            walk(&mut state, operations, 8_192)
        };
        let whole = from_start(&[&bytes]);
        let ends = (0..40).chain(3_020..3_060).chain(19_400..19_500);
        for end in ends {
            let (one, two) = bytes.split_at(end);
            for step in [1, 3, 8, 9, 10] {
                let (two, three) = two.split_at(step);
                let parts = from_start(&[one, two, three]);
                assert!(parts == whole, "cut at {end} and {step} behind");
            }
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert!(from_start(&single) == whole);
    }

    #[test]
    fn a_message_of_the_other_direction_renews_the_budget() {
        let data = frame(kind::DATA, 0, 1, 6_000);
        let mut state = START;
        let wanted = |state: &mut (Framing, Budgets)| {
            let wanted = walk(state, &[&data], 8_192);
            wanted.iter().filter(|wanted| **wanted).count() - 9
        };
        assert_eq!(wanted(&mut state), 6_000);
        // What is left is counted in units.
        assert_eq!(wanted(&mut state), 2_192 / 64 * 64 - 64);
        assert_eq!(wanted(&mut state), 512);
        state.1.renew();
        assert_eq!(wanted(&mut state), 6_000);
    }

    #[test]
    fn streams_in_turns_have_budgets_of_their_own() {
        let mut state = START;
        let mut copied = |stream: u32, kind: u8, length: u32| {
            let wanted = walk(&mut state, &[&frame(kind, 0, stream, length)], 8_192);
            wanted.iter().filter(|wanted| **wanted).count() - 9
        };
        for stream in (1..32).step_by(2) {
            assert_eq!(copied(stream, kind::DATA, 16_384), 8_192 - 64);
        }
        for stream in (1..32).step_by(2) {
            assert_eq!(copied(stream, kind::DATA, 16_384), 512);
        }
        assert_eq!(copied(5, kind::HEADERS, 20), 20);
        assert_eq!(copied(7, kind::DATA, 16_384), 512);
        assert_eq!(copied(5, kind::DATA, 4_000), 4_000);
        assert_eq!(copied(5, kind::DATA, 16_384), 8_192 - 4_032 - 64);
        // One more stream than there is room for takes another's place.
        assert_eq!(copied(33, kind::DATA, 16_384), 8_192 - 64);
        assert_eq!(copied(1, kind::DATA, 16_384), 8_192 - 64);
        assert_eq!(copied(u32::MAX, kind::DATA, u32::MAX >> 8), 8_192 - 64);
    }

    #[test]
    fn bytes_that_cannot_be_read_lose_frames_only_behind_a_payload() {
        let mut state = START;
        walk(&mut state, &[&frame(kind::DATA, 0, 1, 100)[..19]], 8_192);
        state.0.pass_unseen(90);
        assert!(!state.0.is_lost() && state.0.header_bytes() == 9);
        state.0.pass_unseen(1);
        assert!(state.0.is_lost());
    }

    #[test]
    fn the_preface_is_wanted() {
        let mut state = (Framing::preface(10), Budgets::WHOLE);
        let rest = [vec![b'x'; 14], frame(kind::SETTINGS, 0, 0, 6)].concat();
        assert!(walk(&mut state, &[&rest], 0).iter().all(|wanted| *wanted));
        assert_eq!(state.0, Framing::START);
    }

    fn look(bytes: &[u8]) -> bool {
        let mut prefix = [0; PREFIX_BYTES];
        let len = bytes.len().min(PREFIX_BYTES);
        prefix[..len].copy_from_slice(&bytes[..len]);
        joins(&prefix, len as u32, bytes.len() as u32)
    }

    #[test]
    fn connections_are_joined_at_frames() {
        let window_update = frame(kind::WINDOW_UPDATE, 0, 0, 4);
        let ping = frame(kind::PING, flag::ACK, 0, 8);
        assert!(look(&window_update));
        assert!(look(&frame(kind::DATA, 0, 5, 40)));
        assert!(look(&frame(kind::HEADERS, flag::END_HEADERS, 5, 400)[..200]));
        assert!(look(&[window_update.clone(), ping.clone(), ping].concat()));
        assert!(!look(&frame(kind::DATA, 0, 5, 400)[..200]));
        assert!(!look(&frame(kind::HEADERS, flag::END_HEADERS, 4, 400)[..200]));
        assert!(!look(&window_update[..12]));
    }

    #[test]
    fn servers_may_start_with_settings() {
        let starts = |bytes: &[u8]| {
            let mut prefix = [0; PREFIX_BYTES];
            let len = bytes.len().min(PREFIX_BYTES);
            prefix[..len].copy_from_slice(&bytes[..len]);
            starts_as_server(&prefix, len as u32)
        };
        assert!(starts(&frame(kind::SETTINGS, 0, 0, 0)) && starts(&frame(kind::SETTINGS, 0, 0, 18)));
        assert!(!starts(&frame(kind::SETTINGS, flag::ACK, 0, 0)) && !starts(&frame(kind::SETTINGS, 0, 0, 5)));
        assert!(!starts(&frame(kind::SETTINGS, 0, 1, 6)) && !starts(&frame(kind::SETTINGS, 0, 0, 102)));
        assert!(!starts(&frame(kind::PING, 0, 0, 6)) && !starts(&frame(kind::SETTINGS, 0, 0, 0)[..8]));
    }

    #[test]
    fn other_protocols_are_not_joined() {
        let cases: [&[u8]; 9] = [
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"*1\r\n$4\r\nPING\r\n",
            b"\0\0\0\x2c\0\x03\0\x01\0\0\0\x07\0\x08client-1\0\0\0\x01\0\x06orders",
            b"\0\0\0\x08\x04\xd2\x16\x2f",
            b"Q\0\0\0\x12SELECT now();\0",
            b"T\0\0\0\x1c\0\x01now\0\0\0\0\0\0\0\0\0\x04\xa0\0\x08\xff\xff\xff\xff\0\0",
            b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03",
            b"\x3a\0\0\0\x0a\0\0\0\0\0\0\0\xd4\x07\0\0\0\0\0\0admin.$cmd",
            &[0; 64],
        ];
        for case in cases {
            assert!(!look(case), "{}", case.escape_ascii());
        }
    }
}
