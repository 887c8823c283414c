//! One direction of an HTTP/2 connection: where frames start and end (RFC 9113 §4).
//!
//! In: bytes in order, and gaps. Out: [`Step`]s: frames, pieces of DATA. The length of a frame is known from its
//! header, so a gap inside a payload loses that payload and no more; one that hits a header loses the framing, and
//! only an operation that starts with frames brings it back.

use std::borrow::Cow;

use super::frame::{self, HEADER_BYTES, Header, flag, kind};
use crate::protocol::session::Chunk;

/// What a client sends first (RFC 9113 §3.4).
pub(super) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Largest frame of fields that is kept, in bytes. Overflow policy: the frame is treated as one that was lost.
const MAX_FIELDS_BYTES: u32 = 256 * 1024;

/// Most bytes kept of settings: 85 of them. Overflow policy: later ones are left out.
const MAX_SETTINGS_BYTES: u32 = 510;

#[derive(Debug)]
enum State {
    /// In the client's preface, after so many bytes of it.
    Preface(usize),
    /// In a frame header.
    Header {
        bytes: [u8; HEADER_BYTES],
        filled: usize,
    },
    /// In the payload of a frame that is kept.
    Payload { header: Header, bytes: Vec<u8> },
    /// In bytes that do not matter.
    Skip { remaining: u32 },
    /// Before the padding length of a DATA frame.
    Padding(Header),
    /// In a DATA frame.
    Data {
        header: Header,
        remaining: u32,
        padding: u32,
    },
    /// Somewhere.
    Lost,
}

const BETWEEN: State = State::Header {
    bytes: [0; HEADER_BYTES],
    filled: 0,
};

/// What the bytes meant.
#[derive(Debug)]
pub(super) enum Step<'a> {
    /// The input is used up.
    More,
    /// A whole frame of a type that matters (of GOAWAY and SETTINGS its beginning), other than DATA.
    Frame(Header, Cow<'a, [u8]>),
    /// Bytes of a DATA frame.
    Data(Header, &'a [u8]),
    /// The end of a DATA frame.
    DataEnd(Header),
    /// A frame of fields too long to keep.
    TooLong(Header),
    /// Framing was found again.
    Resync,
    /// Framing is lost: the bytes are not HTTP/2.
    Malformed,
}

/// What a gap did.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Hole {
    /// It took so many bytes from a DATA frame.
    pub(super) data: Option<(Header, u64)>,
    /// Padding may be among them.
    pub(super) with_padding: bool,
    /// That frame ended in it.
    pub(super) data_ended: bool,
    /// It hit a frame that matters, of which this is the beginning.
    pub(super) broken: Option<(Header, Vec<u8>)>,
    /// Framing was lost by it.
    pub(super) lost: bool,
}

/// The state of one direction.
#[derive(Debug)]
pub(super) struct Reader {
    state: State,
    /// No frame was seen yet: the first one must be settings.
    is_fresh: bool,
}

impl Reader {
    /// At the start of the client's way.
    pub(super) fn client() -> Self {
        Self {
            state: State::Preface(0),
            is_fresh: true,
        }
    }

    /// At the start of the server's way.
    pub(super) fn server() -> Self {
        Self {
            state: BETWEEN,
            is_fresh: true,
        }
    }

    /// Somewhere in either.
    pub(super) fn lost() -> Self {
        Self {
            state: State::Lost,
            is_fresh: false,
        }
    }

    pub(super) fn is_lost(&self) -> bool {
        matches!(self.state, State::Lost)
    }

    /// Bytes held in memory.
    pub(super) fn held(&self) -> usize {
        match &self.state {
            State::Payload { bytes, .. } => bytes.capacity(),
            _ => 0,
        }
    }

    /// Takes bytes from the front of `input`, the rest of `chunk`, up to the next step. `highest` is the newest
    /// stream known.
    pub(super) fn next<'a>(&mut self, input: &mut &'a [u8], chunk: &Chunk<'a>, highest: u32) -> Step<'a> {
        loop {
            match &mut self.state {
                State::Data {
                    header,
                    remaining,
                    padding,
                } => {
                    let header = *header;
                    if *remaining == 0 {
                        self.state = State::Skip { remaining: *padding };
                        return Step::DataEnd(header);
                    }
                    let data = take(input, *remaining);
                    if data.is_empty() {
                        return Step::More;
                    }
                    *remaining -= data.len() as u32;
                    return Step::Data(header, data);
                }
                State::Skip { remaining } => {
                    *remaining -= take(input, *remaining).len() as u32;
                    if *remaining > 0 {
                        return Step::More;
                    }
                    self.state = BETWEEN;
                }
                State::Header { bytes, filled } => {
                    let wanted = bytes.get_mut(*filled..).unwrap_or_default();
                    let given = take(input, wanted.len() as u32);
                    for (to, from) in wanted.iter_mut().zip(given) {
                        *to = *from;
                    }
                    *filled += given.len();
                    if *filled < HEADER_BYTES {
                        return Step::More;
                    }
                    let header = Header::parse(bytes);
                    if std::mem::take(&mut self.is_fresh) && header.kind != kind::SETTINGS {
                        return self.malformed(input);
                    }
                    if let Some(step) = self.enter(header) {
                        return step;
                    }
                }
                State::Payload { header, bytes } => {
                    let header = *header;
                    let kept = kept(&header);
                    if bytes.is_empty() && input.len() >= kept as usize {
                        let payload = take(input, kept);
                        self.state = State::Skip {
                            remaining: header.length - kept,
                        };
                        return Step::Frame(header, Cow::Borrowed(payload));
                    }
                    bytes.extend_from_slice(take(input, kept.saturating_sub(bytes.len() as u32)));
                    if bytes.len() < kept as usize {
                        return Step::More;
                    }
                    let payload = std::mem::take(bytes);
                    self.state = State::Skip {
                        remaining: header.length - kept,
                    };
                    return Step::Frame(header, Cow::Owned(payload));
                }
                State::Padding(header) => {
                    let header = *header;
                    let Some(padding) = take(input, 1).first().copied().map(u32::from) else {
                        return Step::More;
                    };
                    // RFC 9113 §6.1: padding as long as the payload is an error.
                    let Some(remaining) = (header.length - 1).checked_sub(padding) else {
                        return self.malformed(input);
                    };
                    self.state = State::Data {
                        header,
                        remaining,
                        padding,
                    };
                }
                State::Preface(matched) => {
                    let wanted = PREFACE.get(*matched..).unwrap_or_default();
                    let given = take(input, wanted.len() as u32);
                    if !wanted.starts_with(given) {
                        return self.malformed(input);
                    }
                    *matched += given.len();
                    if *matched < PREFACE.len() {
                        return Step::More;
                    }
                    self.state = BETWEEN;
                }
                State::Lost => {
                    if input.len() == chunk.bytes.len() && frame::starts(input, highest) {
                        self.state = BETWEEN;
                        return Step::Resync;
                    }
                    *input = &[];
                    return Step::More;
                }
            }
        }
    }

    fn malformed<'a>(&mut self, input: &mut &[u8]) -> Step<'a> {
        *input = &[];
        self.state = State::Lost;
        Step::Malformed
    }

    /// Moves behind a frame header.
    fn enter<'a>(&mut self, header: Header) -> Option<Step<'a>> {
        self.state = match header.kind {
            kind::DATA if header.has(flag::PADDED) && header.length > 0 => State::Padding(header),
            kind::DATA => State::Data {
                header,
                remaining: header.length,
                padding: 0,
            },
            kind::HEADERS | kind::PUSH_PROMISE | kind::CONTINUATION if header.length > MAX_FIELDS_BYTES => {
                self.state = State::Skip {
                    remaining: header.length,
                };
                return Some(Step::TooLong(header));
            }
            _ if matters(header.kind) => State::Payload {
                header,
                bytes: Vec::new(),
            },
            _ => State::Skip {
                remaining: header.length,
            },
        };
        None
    }

    /// Whether the source leaves such bytes out: of frames it copies at least the header, so they end with the present one.
    pub(super) fn is_left_out(&self, length: u64) -> bool {
        match &self.state {
            State::Skip { remaining } | State::Data { remaining, .. } => length <= u64::from(*remaining),
            State::Lost => true,
            State::Preface(_) | State::Header { .. } | State::Payload { .. } | State::Padding(_) => false,
        }
    }

    /// Bytes were not seen.
    pub(super) fn gap(&mut self, length: u64) -> Hole {
        let mut hole = Hole::default();
        let (state, left) = match std::mem::replace(&mut self.state, State::Lost) {
            State::Lost => return hole,
            State::Header { filled: 0, .. } if length == 0 => (BETWEEN, 0),
            State::Header { .. } => (State::Lost, length),
            State::Preface(matched) => {
                let inside = length.min((PREFACE.len() - matched) as u64);
                (State::Preface(matched + inside as usize), length - inside)
            }
            State::Skip { remaining } => {
                let inside = remaining.min(clamp(length));
                let remaining = remaining - inside;
                (State::Skip { remaining }, length - u64::from(inside))
            }
            State::Payload { header, bytes } => {
                let remaining = header.length.saturating_sub(bytes.len() as u32);
                let inside = remaining.min(clamp(length));
                hole.broken = Some((header, bytes));
                let remaining = remaining - inside;
                (State::Skip { remaining }, length - u64::from(inside))
            }
            State::Padding(header) => {
                hole.with_padding = true;
                self.data_gap(header, header.length, 0, length, &mut hole)
            }
            State::Data {
                header,
                remaining,
                padding,
            } => self.data_gap(header, remaining, padding, length, &mut hole),
        };
        // What is left begins at a frame header; so does what follows if nothing is left.
        self.state = if left > 0 { State::Lost } else { state };
        hole.lost = self.is_lost();
        self.is_fresh &= !hole.lost;
        hole
    }

    fn data_gap(
        &self,
        header: Header,
        remaining: u32,
        padding: u32,
        length: u64,
        hole: &mut Hole,
    ) -> (State, u64) {
        let inside = remaining.min(clamp(length));
        hole.data = Some((header, u64::from(inside)));
        let left = length - u64::from(inside);
        let remaining = remaining - inside;
        if remaining > 0 {
            return (
                State::Data {
                    header,
                    remaining,
                    padding,
                },
                left,
            );
        }
        hole.data_ended = true;
        let padded = padding.min(clamp(left));
        let remaining = padding - padded;
        (State::Skip { remaining }, left - u64::from(padded))
    }
}

/// Whether the payload of such frames is looked at.
fn matters(kind: u8) -> bool {
    matches!(
        kind,
        kind::HEADERS
            | kind::RST_STREAM
            | kind::SETTINGS
            | kind::PUSH_PROMISE
            | kind::GOAWAY
            | kind::CONTINUATION
    )
}

/// Bytes of a payload that are looked at.
fn kept(header: &Header) -> u32 {
    match header.kind {
        kind::SETTINGS => header.length.min(MAX_SETTINGS_BYTES),
        kind::GOAWAY => header.length.min(8),
        kind::RST_STREAM => header.length.min(4),
        _ => header.length,
    }
}

fn clamp(length: u64) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// Up to `count` bytes from the front.
fn take<'a>(input: &mut &'a [u8], count: u32) -> &'a [u8] {
    let count = (count as usize).min(input.len());
    let (taken, rest) = input.split_at_checked(count).unwrap_or((input, &[]));
    *input = rest;
    taken
}
