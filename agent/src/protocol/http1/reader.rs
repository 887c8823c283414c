//! One direction of an HTTP/1 connection: where messages start and end.
//!
//! In: bytes in order, and gaps. Out: [`Step`]s: heads, body bytes, ends. After a head the caller says how the body
//! is framed, because that depends on the other direction. When framing is lost, only the start of a chunk of
//! bytes that looks like a head, or the known end of a chunked body, brings it back.

use apiarist_common::sniff::Verdict;

use super::{
    chunked::{Chunked, Piece},
    head::{self, Kind, MAX_HEAD_BYTES, Outcome},
    incoming::Incoming,
    known::Heads,
    lenient,
};
use crate::{
    clock::Timestamp,
    protocol::{session::Chunk, start::look},
};

/// Most bytes kept of a trailer section. Overflow policy: the fields that fit are kept.
const MAX_TRAILER_BYTES: usize = 8 * 1024;

/// How a body is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// No body, or one of so many bytes.
    Length(u64),
    Chunked,
    /// Up to the end of the stream.
    UntilClose,
}

#[derive(Debug)]
enum State {
    /// Between messages.
    Start,
    /// In a head, with its bytes so far.
    Head { bytes: Vec<u8>, searched: usize },
    /// In a body of known length.
    Length { remaining: u64 },
    /// In a chunked body.
    Chunked(Chunked),
    /// In a body that the end of the stream ends.
    UntilClose,
    /// Somewhere; `chunked` if in a chunked body when framing was lost.
    Lost { chunked: bool },
    /// Not HTTP/1 any more.
    Tunnel,
}

/// What the bytes meant.
#[derive(Debug)]
pub(super) enum Step<'a> {
    /// The input is used up.
    More,
    /// A head. The caller must call [`Reader::frame`] before it goes on.
    Head(Incoming<'a>),
    /// Body bytes; the second is how many remain with these, if known.
    Body(&'a [u8], Option<u64>),
    /// The body ends.
    End,
    /// What looks like the end of the body whose framing was lost.
    LikelyEnd,
    /// A message seems to start here; the end of the one before was not seen.
    Resync,
    /// Framing is lost: the bytes are not HTTP/1. A head that was too long comes with its bytes.
    Malformed(Option<Vec<u8>>),
    /// Bytes behind the end of HTTP/1.
    Tunnel(&'a [u8]),
}

/// What a gap did.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Skipped {
    /// It lies in a body whose framing stays exact: so many body bytes; whether the body ended; whether more
    /// was swallowed behind it.
    Body { bytes: u64, ended: bool, beyond: bool },
    /// It hit a head: here is its beginning.
    Head(Vec<u8>),
    /// It hit the space between messages: unknown messages are gone.
    Between,
    /// The end of the present body is lost.
    Framing,
    /// Nothing that was not lost before.
    Nothing,
}

/// The state of one direction.
#[derive(Debug)]
pub(super) struct Reader {
    kind: Kind,
    state: State,
    /// When the present message started.
    pub(super) started: Timestamp,
    /// Whether it started with the first bytes of a turn.
    pub(super) turn: bool,
    /// Empty lines were all that a turn has brought so far.
    blank_turn: bool,
    /// No byte of the body was seen yet.
    untouched: bool,
    /// The trailer section of the present message so far.
    trailers: Vec<u8>,
}

impl Reader {
    pub(super) fn new(kind: Kind) -> Self {
        Self {
            kind,
            state: State::Start,
            started: Timestamp::default(),
            turn: false,
            blank_turn: false,
            untouched: false,
            trailers: Vec::new(),
        }
    }

    /// Bytes held in memory.
    pub(super) fn held(&self) -> usize {
        let head = match &self.state {
            State::Head { bytes, .. } => bytes.capacity(),
            _ => 0,
        };
        head + self.trailers.capacity()
    }

    /// The trailer section of the message that has ended.
    pub(super) fn take_trailers(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.trailers)
    }

    /// Takes bytes from the front of `input`, the rest of `chunk`, up to the next step.
    pub(super) fn next<'a>(&mut self, input: &mut &'a [u8], chunk: &Chunk<'a>, heads: &Heads) -> Step<'a> {
        let fresh = input.len() == chunk.bytes.len();
        if input.is_empty() {
            return Step::More;
        }
        match &mut self.state {
            State::Start => self.start(input, chunk, fresh, heads),
            State::Head { .. } => self.head(input),
            State::Length { remaining } => {
                self.untouched = false;
                let expected = *remaining;
                let take = usize::try_from(expected).map_or(input.len(), |n| n.min(input.len()));
                let (body, rest) = input.split_at_checked(take).unwrap_or((input, &[]));
                *remaining -= body.len() as u64;
                if body.is_empty() {
                    self.state = State::Start;
                    return Step::End;
                }
                *input = rest;
                Step::Body(body, Some(expected))
            }
            State::Chunked(chunked) => loop {
                match chunked.next(input) {
                    Piece::More => return Step::More,
                    Piece::Data(data) => return Step::Body(data, None),
                    Piece::Trailer(byte) if self.trailers.len() < MAX_TRAILER_BYTES => {
                        self.trailers.push(byte)
                    }
                    Piece::Trailer(_) => {}
                    Piece::End => {
                        self.state = State::Start;
                        return Step::End;
                    }
                    Piece::Malformed => {
                        self.state = State::Lost { chunked: false };
                        *input = &[];
                        return Step::Malformed(None);
                    }
                }
            },
            State::UntilClose => Step::Body(std::mem::take(input), None),
            State::Lost { chunked } => {
                let chunked = *chunked;
                if fresh && starts(self.kind, input, chunk.turn) {
                    self.state = State::Start;
                    return Step::Resync;
                }
                let bytes = std::mem::take(input);
                if fresh && chunked && ends_chunked(bytes) {
                    self.state = State::Start;
                    return Step::LikelyEnd;
                }
                Step::More
            }
            State::Tunnel => Step::Tunnel(std::mem::take(input)),
        }
    }

    fn start<'a>(&mut self, input: &mut &'a [u8], chunk: &Chunk<'a>, fresh: bool, heads: &Heads) -> Step<'a> {
        // RFC 9112 §2.2: empty lines in front of a message are ignored.
        let blank = input.iter().take_while(|&&b| b == b'\r' || b == b'\n').count();
        *input = input.get(blank..).unwrap_or_default();
        if input.is_empty() {
            self.blank_turn |= fresh && chunk.turn;
            return Step::More;
        }
        self.turn = fresh && (chunk.turn || self.blank_turn);
        self.blank_turn = false;
        self.started = chunk.at;
        let place = heads.place(input);
        if let Some(known) = heads.find(place, self.kind, input) {
            *input = input.get(known.bytes().len()..).unwrap_or_default();
            return Step::Head(Incoming::Known(known));
        }
        match head::parse(self.kind, input) {
            Outcome::Head(parsed) => {
                let (head, rest) = input.split_at_checked(parsed.length).unwrap_or((input, &[]));
                *input = rest;
                Step::Head(Incoming::InPlace(parsed, head, place))
            }
            Outcome::Partial if input.len() <= MAX_HEAD_BYTES => {
                self.state = State::Head {
                    bytes: std::mem::take(input).to_vec(),
                    searched: 0,
                };
                Step::More
            }
            Outcome::Partial => {
                self.state = State::Lost { chunked: false };
                Step::Malformed(Some(
                    std::mem::take(input)
                        .get(..MAX_HEAD_BYTES)
                        .unwrap_or_default()
                        .to_vec(),
                ))
            }
            Outcome::Malformed => {
                *input = &[];
                self.state = State::Lost { chunked: false };
                Step::Malformed(None)
            }
        }
    }

    fn head<'a>(&mut self, input: &mut &'a [u8]) -> Step<'a> {
        let State::Head { bytes, searched } = &mut self.state else {
            return Step::More;
        };
        let before = bytes.len();
        let room = (MAX_HEAD_BYTES + 3).saturating_sub(before);
        bytes.extend_from_slice(input.get(..room).unwrap_or(input));
        let Some(end) = head::end(bytes, *searched) else {
            *searched = bytes.len().saturating_sub(2);
            if bytes.len() <= MAX_HEAD_BYTES {
                *input = &[];
                return Step::More;
            }
            *input = &[];
            let bytes = std::mem::take(bytes);
            self.state = State::Lost { chunked: false };
            return Step::Malformed(Some(bytes));
        };
        *input = input.get(end.saturating_sub(before)..).unwrap_or_default();
        bytes.truncate(end);
        let bytes = std::mem::take(bytes);
        match head::parse(self.kind, &bytes) {
            Outcome::Head(parsed) => {
                self.state = State::Start;
                Step::Head(Incoming::Joined(parsed, bytes))
            }
            Outcome::Partial | Outcome::Malformed => {
                *input = &[];
                self.state = State::Lost { chunked: false };
                Step::Malformed(None)
            }
        }
    }

    /// Says how the body behind the head is framed. True if there is none: the message has ended.
    pub(super) fn frame(&mut self, framing: Framing) -> bool {
        self.untouched = true;
        self.trailers = Vec::new();
        self.state = match framing {
            Framing::Length(0) => {
                self.untouched = false;
                State::Start
            }
            Framing::Length(remaining) => State::Length { remaining },
            Framing::Chunked => State::Chunked(Chunked::new()),
            Framing::UntilClose => State::UntilClose,
        };
        matches!(self.state, State::Start)
    }

    /// `count` bytes were not seen.
    pub(super) fn gap(&mut self, count: u64) -> Skipped {
        self.blank_turn = false;
        match &mut self.state {
            State::Start => {
                self.state = State::Lost { chunked: false };
                Skipped::Between
            }
            State::Head { bytes, .. } => {
                let bytes = std::mem::take(bytes);
                self.state = State::Lost { chunked: false };
                Skipped::Head(bytes)
            }
            State::Length { remaining } => {
                let bytes = count.min(*remaining);
                *remaining -= bytes;
                let (ended, beyond) = (*remaining == 0, count > bytes);
                if ended {
                    self.state = if beyond {
                        State::Lost { chunked: false }
                    } else {
                        State::Start
                    };
                }
                self.untouched = false;
                Skipped::Body { bytes, ended, beyond }
            }
            State::Chunked(chunked) => {
                if chunked.skip(count) {
                    return Skipped::Body {
                        bytes: count,
                        ended: false,
                        beyond: false,
                    };
                }
                self.state = State::Lost { chunked: true };
                Skipped::Framing
            }
            State::UntilClose => Skipped::Body {
                bytes: count,
                ended: false,
                beyond: false,
            },
            State::Lost { .. } | State::Tunnel => Skipped::Nothing,
        }
    }

    /// Whether the next byte starts a message.
    pub(super) fn is_between(&self) -> bool {
        matches!(self.state, State::Start)
    }

    /// Whether framing is lost.
    pub(super) fn is_lost(&self) -> bool {
        matches!(self.state, State::Lost { .. })
    }

    /// Whether only the end of the stream ends the present body.
    pub(super) fn is_until_close(&self) -> bool {
        matches!(self.state, State::UntilClose)
    }

    /// Body bytes that are still to come, if that is known.
    pub(super) fn remaining(&self) -> Option<u64> {
        match self.state {
            State::Length { remaining } => Some(remaining),
            _ => None,
        }
    }

    /// A body was declared and none of it was seen: the mark of the answer to a HEAD request.
    pub(super) fn body_untouched(&self) -> bool {
        self.untouched && matches!(self.state, State::Length { .. } | State::Chunked(_))
    }

    /// Gives up the present message: the next bytes start a new one.
    pub(super) fn restart(&mut self) {
        self.state = State::Start;
    }

    /// Gives up framing until a message start is recognised.
    pub(super) fn lose(&mut self) {
        self.state = State::Lost { chunked: false };
    }

    /// Leaves HTTP/1 for good.
    pub(super) fn tunnel(&mut self) {
        self.state = State::Tunnel;
    }
}

/// Whether these bytes look like the start of a message. At a turn, a method that is not a registered one and a
/// start too short to tell count too.
pub(super) fn starts(kind: Kind, bytes: &[u8], turn: bool) -> bool {
    match (look(bytes), kind) {
        (Verdict::Http1Request, Kind::Request) | (Verdict::Http1Response, Kind::Response) => true,
        (Verdict::More, _) => turn,
        (Verdict::Other, Kind::Request) => turn && odd_request(bytes),
        _ => false,
    }
}

/// A whole request line whose method is not a registered one.
pub(crate) fn odd_request(bytes: &[u8]) -> bool {
    let line = bytes.get(..8 * 1024).unwrap_or(bytes);
    memchr::memchr(b'\n', line)
        .and_then(|end| line.get(..end))
        .is_some_and(|line| lenient::first_line(Kind::Request, line).is_some())
}

/// A whole status line of an odd version.
pub(crate) fn odd_response(bytes: &[u8]) -> bool {
    bytes.starts_with(b"HTTP/")
        && memchr::memchr(b'\n', bytes)
            .and_then(|end| bytes.get(..end))
            .is_some_and(|line| lenient::first_line(Kind::Response, line).is_some())
}

/// The last chunk and an empty trailer section, or the few bytes that a source passes on of the end of an operation
/// beyond its budget, when they end in an empty line.
fn ends_chunked(bytes: &[u8]) -> bool {
    const LAST_CHUNK: &[u8] = b"0\r\n\r\n";
    bytes == LAST_CHUNK
        || bytes.ends_with(b"\r\n0\r\n\r\n")
        || (bytes.len() <= apiarist_common::limits::TAIL_BYTES && bytes.ends_with(b"\r\n\r\n"))
}
