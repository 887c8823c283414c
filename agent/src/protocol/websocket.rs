//! WebSocket (RFC 6455): what is said after the handshake, counted.
//!
//! In: the exchange of the handshake, then bytes and gaps of both ways. Out: that exchange, once, with the messages
//! counted: when the connection ends or pauses. Messages keep no byte beyond the names that JSON gives to what they
//! do. A gap inside a payload loses nothing; one that hits a frame header ends the count of its way.

use super::{
    json::{self, Value},
    operation::{Detail, MAX_NAME_BYTES, Operation, WebSocketCall, WebSocketMessages},
    session::{Chunk, Context, Gap, Way},
};
use crate::{clock::Timestamp, exchange::Exchange};

/// Bytes of a message in which its name is looked for.
const PEEK_BYTES: usize = 256;

/// Names kept. Overflow policy: later ones are left out.
const MAX_NAMES: usize = 32;

/// Members that name what a message does, in order of preference: graphql-ws and others say `type`, JSON-RPC
/// `method`, the rest is custom.
const NAMING: [&[u8]; 6] = [b"method", b"type", b"event", b"action", b"op", b"command"];

mod opcode {
    pub(super) const CONTINUATION: u8 = 0;
    pub(super) const TEXT: u8 = 1;
    pub(super) const BINARY: u8 = 2;
    pub(super) const CLOSE: u8 = 8;
    pub(super) const PONG: u8 = 10;
}

/// One way.
#[derive(Debug, Default)]
struct Reader {
    counts: WebSocketMessages,
    /// The header so far: two bytes, up to eight of length, up to four of mask.
    header: Vec<u8>,
    /// Payload still to come.
    remaining: u64,
    mask: [u8; 4],
    /// The beginning of the payload, if it may name what the message does.
    peek: Option<Vec<u8>>,
    /// The present message is compressed.
    is_compressed: bool,
}

/// The longest frame header.
const MAX_HEADER_BYTES: usize = 14;

impl Reader {
    /// Takes bytes; calls back with the beginning of each message of text.
    fn bytes(&mut self, mut bytes: &[u8], mut text: impl FnMut(&[u8])) {
        while !bytes.is_empty() && !self.counts.is_cut {
            if self.remaining > 0 {
                let count = usize::try_from(self.remaining).map_or(bytes.len(), |n| n.min(bytes.len()));
                let (payload, rest) = bytes.split_at_checked(count).unwrap_or((bytes, &[]));
                if let Some(peek) = &mut self.peek {
                    for byte in payload.iter().take(PEEK_BYTES.saturating_sub(peek.len())) {
                        let mask = self.mask.get(peek.len() % 4).copied().unwrap_or_default();
                        peek.push(byte ^ mask);
                    }
                }
                self.remaining -= count as u64;
                bytes = rest;
            } else if let Some((byte, rest)) = bytes.split_first() {
                self.header.push(*byte);
                bytes = rest;
                self.start();
            }
            if self.remaining == 0
                && let Some(peek) = self.peek.take()
            {
                text(&peek);
            }
        }
    }

    /// Begins a frame if its header is whole.
    fn start(&mut self) {
        let [first, second, rest @ ..] = &*self.header else {
            return;
        };
        let (first, second) = (*first, *second);
        let (length_bytes, short) = match second & 0x7f {
            126 => (2, 0),
            127 => (8, 0),
            short => (0, u64::from(short)),
        };
        let mask_bytes = if second & 0x80 == 0 { 0 } else { 4 };
        if rest.len() < length_bytes + mask_bytes {
            return;
        }
        let (length, mask) = rest.split_at_checked(length_bytes).unwrap_or_default();
        let length = length
            .iter()
            .fold(short, |sum, byte| (sum << 8) | u64::from(*byte));
        self.mask = mask.first_chunk().copied().unwrap_or_default();
        self.header.clear();
        let (is_last, is_compressed, opcode) = (first & 0x80 != 0, first & 0x40 != 0, first & 0x0f);
        let is_control = (opcode::CLOSE..=opcode::PONG).contains(&opcode);
        // RFC 6455 §5.2 and §5.5.
        let is_valid = first & 0x30 == 0
            && length >> 63 == 0
            && (opcode <= opcode::BINARY || (is_control && is_last && length < 126 && !is_compressed));
        if !is_valid {
            self.counts.is_cut = true;
            return;
        }
        let counts = &mut self.counts;
        counts.frames += 1;
        self.remaining = length;
        if is_control {
            return;
        }
        counts.bytes = counts.bytes.saturating_add(length);
        if opcode != opcode::CONTINUATION {
            self.is_compressed = is_compressed;
            counts.text += u64::from(opcode == opcode::TEXT);
            counts.binary += u64::from(opcode == opcode::BINARY);
            counts.compressed += u64::from(is_compressed);
            if opcode == opcode::TEXT && !is_compressed {
                self.peek = Some(Vec::new());
            }
        }
        if self.is_compressed {
            counts.compressed_bytes = counts.compressed_bytes.saturating_add(length);
        }
    }

    fn gap(&mut self, length: u64) {
        match self.remaining.checked_sub(length) {
            Some(remaining) if self.remaining > 0 => {
                self.remaining = remaining;
                self.peek = None;
            }
            _ => self.counts.is_cut = true,
        }
    }
}

/// The state of one connection.
#[derive(Debug)]
pub(crate) struct WebSocket {
    /// The handshake, until it is told.
    exchange: Option<Box<Exchange>>,
    client: Reader,
    server: Reader,
    names: Vec<Box<str>>,
    last: Timestamp,
}

impl WebSocket {
    /// After its handshake.
    pub(crate) fn new(exchange: Exchange) -> Self {
        Self {
            last: exchange.started,
            exchange: Some(Box::new(exchange)),
            client: Reader::default(),
            server: Reader::default(),
            names: Vec::new(),
        }
    }

    fn reader(&mut self, way: Way) -> &mut Reader {
        match way {
            Way::Request => &mut self.client,
            Way::Response => &mut self.server,
        }
    }

    pub(crate) fn bytes(&mut self, way: Way, chunk: &Chunk<'_>, cx: &mut Context<'_>) {
        cx.stats.websocket_bytes += chunk.bytes.len() as u64;
        self.last = chunk.at;
        if self.exchange.is_none() {
            return;
        }
        let mut names = std::mem::take(&mut self.names);
        self.reader(way).bytes(chunk.bytes, |text| {
            if names.len() < MAX_NAMES
                && let Some(name) = name(text)
                && !names.iter().any(|known| **known == *name)
            {
                names.push(name.into());
            }
        });
        self.names = names;
    }

    pub(crate) fn gap(&mut self, way: Way, gap: Gap, _cx: &mut Context<'_>) {
        self.last = gap.at;
        self.reader(way).gap(gap.length);
    }

    pub(crate) fn eof(&mut self, _way: Way, _at: Timestamp, _cx: &mut Context<'_>) {
        // The close of the connection tells what is to be told.
    }

    pub(crate) fn idle(&mut self, silent: [bool; 2], cx: &mut Context<'_>) {
        self.close(silent, cx);
    }

    pub(crate) fn close(&mut self, _silent: [bool; 2], cx: &mut Context<'_>) {
        let Some(mut exchange) = self.exchange.take() else {
            return;
        };
        exchange.duration = Some(self.last.since(exchange.started));
        exchange.operation = Some(Box::new(Operation {
            name: None,
            detail: Detail::WebSocket(WebSocketCall {
                client: self.client.counts,
                server: self.server.counts,
                names: std::mem::take(&mut self.names),
            }),
        }));
        cx.out.push(*exchange);
    }

    pub(crate) fn is_waiting(&self) -> bool {
        self.exchange.is_some()
    }

    pub(crate) fn memory(&self) -> usize {
        let readers = [&self.client, &self.server].map(|reader| {
            reader.header.capacity().max(MAX_HEADER_BYTES) + reader.peek.as_ref().map_or(0, Vec::capacity)
        });
        let head = self.exchange.as_ref().map_or(0, |exchange| {
            let request = exchange
                .request
                .as_ref()
                .map_or(0, |request| request.head.buffer.len() + request.body.sample.len());
            size_of::<Exchange>() + request
        });
        readers.iter().sum::<usize>() + head + self.names.len() * MAX_NAME_BYTES
    }
}

/// The name that a message in JSON gives to what it does.
fn name(text: &[u8]) -> Option<&str> {
    let mut found: Option<(usize, &str)> = None;
    for (key, value) in json::members(text) {
        let Some(rank) = NAMING.iter().position(|naming| *naming == key) else {
            continue;
        };
        if let (Value::String(_), Some(name)) = (value, value.text())
            && is_name(name)
            && found.is_none_or(|(best, _)| rank < best)
        {
            found = Some((rank, name));
        }
    }
    found.map(|(_, name)| name)
}

/// Names are words of an interface, not values of a caller.
fn is_name(text: &str) -> bool {
    let starts_well = text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    let is_word = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'/' | b':');
    starts_well && text.len() <= 64 && text.bytes().all(is_word)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A client's text in two frames with a ping between them, a text, and bytes that are compressed.
    fn frames() -> Vec<u8> {
        let mut out = Vec::new();
        let mut frame = |first: u8, payload: &[u8]| {
            out.extend([first, 0x80 | payload.len() as u8, 1, 2, 3, 4]);
            out.extend(payload.iter().enumerate().map(|(i, b)| b ^ (i % 4 + 1) as u8));
        };
        frame(0x01, br#"{"type":"sub"#);
        frame(0x89, b"ping");
        frame(0x80, br#"scribe"}"#);
        frame(0x81, br#"{"id":1,"type":"start"}"#);
        frame(0xc2, b"\x01\x02\x03");
        out
    }

    #[test]
    fn messages_are_counted_at_every_split() {
        let frames = frames();
        for cut in 0..=frames.len() {
            let mut reader = Reader::default();
            let mut names = Vec::new();
            for part in [&frames[..cut], &frames[cut..]] {
                reader.bytes(part, |text| names.extend(name(text).map(str::to_owned)));
            }
            let counts = reader.counts;
            assert_eq!((counts.text, counts.binary, counts.frames), (2, 1, 5), "{cut}");
            assert_eq!((counts.compressed, counts.compressed_bytes), (1, 3));
            assert!(!counts.is_cut);
            assert_eq!(names, ["start"]);
        }
    }

    #[test]
    fn a_gap_inside_a_payload_loses_nothing() {
        let frames = frames();
        let mut reader = Reader::default();
        reader.bytes(&frames[..8], |_| ());
        reader.gap(4);
        reader.bytes(&frames[12..], |_| ());
        assert_eq!((reader.counts.frames, reader.counts.is_cut), (5, false));
        reader.gap(1);
        assert!(reader.counts.is_cut);
    }

    #[test]
    fn other_bytes_end_the_count() {
        let mut reader = Reader::default();
        reader.bytes(b"GET / HTTP/1.1\r\n", |_| ());
        assert!(reader.counts.is_cut);
    }

    #[test]
    fn names_are_words_of_an_interface() {
        assert_eq!(name(br#"{"type":"x","method":"eth_call"}"#), Some("eth_call"));
        assert_eq!(name(br#"{"type":"my secret text"}"#), None);
        assert_eq!(name(b"[1]"), None);
        assert_eq!(name(b"hello"), None);
    }
}
