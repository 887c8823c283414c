//! Bytes on connections: both ways, cut into operations, with gaps.

use std::net::{IpAddr, Ipv4Addr};

use apiarist::{
    capture::file::Sink as _,
    clock::Timestamp,
    event::{
        Address, Direction, Layer, ProcessRef, SocketClose, SocketData, SocketEvent, SocketId, SocketOpen,
    },
    flow::{Flows, Limits},
    protocol::redact::Redactor,
    replay::{Options, Replay},
};

/// Bytes that a connection may hold in memory: its buffers, and what it keeps of compression tables and streams.
const MAX_MEMORY: usize = 4 << 20;

const MILLISECOND: u64 = 1_000_000;

/// One connection, observed at the server.
struct Wire {
    replay: Replay,
    flows: Flows,
    told: usize,
    positions: [u64; 2],
    last: Option<Direction>,
    at: u64,
}

impl Wire {
    fn open(joined_late: bool) -> Self {
        let mut this = Self {
            replay: Replay::new(&Options::default()),
            flows: Flows::new(Limits::default(), Redactor::new([0; 16])),
            told: 0,
            positions: [0; 2],
            last: None,
            at: MILLISECOND,
        };
        let address = |port| Address::Ip(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        this.event(&SocketEvent::Open(SocketOpen {
            socket: SocketId(1),
            at: Timestamp(this.at),
            local: address(80),
            remote: address(40_000),
            netns: 0,
            process: ProcessRef {
                pid: 0,
                start_ns: 0,
                cgroup: 0,
                comm: Default::default(),
            },
            peer: None,
            joined_late,
            tls: false,
            positions: [0; 2],
        }));
        this
    }

    fn event(&mut self, event: &SocketEvent<'_>) {
        self.replay.event(event);
        let mut out = Vec::new();
        self.flows.event(event, &mut out);
        self.told += out.len();
    }

    /// An operation of which the first `shown` bytes were copied.
    fn operation(&mut self, direction: Direction, bytes: &[u8], shown: usize) {
        let [egress, ingress] = &mut self.positions;
        let end = match direction {
            Direction::Egress => egress,
            Direction::Ingress => ingress,
        };
        let position = *end;
        *end += bytes.len() as u64;
        let event = SocketData {
            socket: SocketId(1),
            at: Timestamp(self.at),
            direction,
            position,
            bytes: bytes.get(..shown).unwrap_or(bytes),
            end: *end,
            turn: self.last.replace(direction) != Some(direction),
            eof: false,
            spent: false,
            layer: Layer::Socket,
            pid: 0,
        };
        self.at += MILLISECOND;
        self.event(&SocketEvent::Data(event));
    }

    fn send(&mut self, direction: Direction, bytes: &[u8]) {
        self.operation(direction, bytes, bytes.len());
    }

    /// Bytes that pass without an event.
    fn lose(&mut self, direction: Direction, count: u64) {
        let [egress, ingress] = &mut self.positions;
        match direction {
            Direction::Egress => *egress += count,
            Direction::Ingress => *ingress += count,
        }
    }

    /// Checks what is promised.
    fn close(mut self) {
        assert!(
            self.flows.memory() < MAX_MEMORY,
            "{} bytes are held",
            self.flows.memory()
        );
        let close = SocketClose {
            socket: SocketId(1),
            at: Timestamp(self.at),
            positions: self.positions,
            kernel_bytes: Some(self.positions),
            told: false,
        };
        self.event(&SocketEvent::Close(close));
        let [egress, ingress] = self.positions;
        assert!(self.told as u64 <= egress + ingress, "{} exchanges", self.told);
        self.replay.end_of_file();
    }
}

/// The input in pieces of a length that depends on it.
fn pieces(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let length = match data.last() {
        Some(last @ 1..=31) => usize::from(*last),
        _ => data.len().max(1),
    };
    data.chunks(length)
}

/// The input is what the client sends, and on another connection what the server does.
pub(crate) fn http1(data: &[u8]) {
    let mut wire = Wire::open(false);
    pieces(data).for_each(|piece| wire.send(Direction::Ingress, piece));
    wire.send(Direction::Egress, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    wire.close();
    let mut wire = Wire::open(false);
    wire.send(
        Direction::Ingress,
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n",
    );
    pieces(data).for_each(|piece| wire.send(Direction::Egress, piece));
    wire.close();
}

/// A chunked body of a request, and of a response.
pub(crate) fn chunked(data: &[u8]) {
    let mut wire = Wire::open(false);
    wire.send(
        Direction::Ingress,
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
    );
    pieces(data).for_each(|piece| wire.send(Direction::Ingress, piece));
    wire.send(
        Direction::Egress,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    );
    pieces(data).for_each(|piece| wire.send(Direction::Egress, piece));
    wire.close();
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
/// GET / on stream 1, ended.
const CALL: &[u8] = b"\0\0\x03\x01\x05\0\0\0\x01\x82\x86\x84";

/// Frames of the client, of the server, and of a connection joined in the middle.
pub(crate) fn http2(data: &[u8]) {
    let mut wire = Wire::open(false);
    if !data.starts_with(PREFACE) {
        wire.send(Direction::Ingress, PREFACE);
        wire.send(Direction::Ingress, SETTINGS);
    }
    pieces(data).for_each(|piece| wire.send(Direction::Ingress, piece));
    wire.close();
    let mut wire = Wire::open(false);
    wire.send(Direction::Ingress, &[PREFACE, SETTINGS, CALL].concat());
    wire.send(Direction::Egress, SETTINGS);
    pieces(data).for_each(|piece| wire.send(Direction::Egress, piece));
    wire.close();
    let mut wire = Wire::open(true);
    wire.send(Direction::Ingress, CALL);
    pieces(data).for_each(|piece| wire.send(Direction::Egress, piece));
    pieces(data).for_each(|piece| wire.send(Direction::Ingress, piece));
    wire.close();
}

/// Blocks of fields: the input, cut at zero bytes, is one block each.
pub(crate) fn hpack(data: &[u8]) {
    let mut wire = Wire::open(false);
    wire.send(Direction::Ingress, &[PREFACE, SETTINGS].concat());
    wire.send(Direction::Egress, SETTINGS);
    for (block, stream) in data.split(|byte| *byte == 0).zip((1_u32..).step_by(2)) {
        let block = block.get(..16_384).unwrap_or(block);
        let [_, length @ ..] = (block.len() as u32).to_be_bytes();
        let frame = [&length[..], &[1, 5], &stream.to_be_bytes(), block].concat();
        wire.send(Direction::Ingress, &frame);
        wire.send(Direction::Egress, &frame);
    }
    wire.close();
}

pub(crate) fn websocket(data: &[u8]) {
    for extension in ["", "Sec-WebSocket-Extensions: permessage-deflate\r\n"] {
        let mut wire = Wire::open(false);
        let fields = format!("Connection: Upgrade\r\nUpgrade: websocket\r\n{extension}\r\n");
        wire.send(
            Direction::Ingress,
            format!("GET /ws HTTP/1.1\r\n{fields}").as_bytes(),
        );
        wire.send(
            Direction::Egress,
            format!("HTTP/1.1 101 Switching Protocols\r\n{fields}").as_bytes(),
        );
        pieces(data).for_each(|piece| wire.send(Direction::Ingress, piece));
        pieces(data).for_each(|piece| wire.send(Direction::Egress, piece));
        wire.close();
    }
}

/// The input is a script: a byte of what, two of length, so many bytes.
pub(crate) fn conversation(data: &[u8]) {
    let mut rest = data;
    let Some((first, behind)) = rest.split_first() else {
        return;
    };
    rest = behind;
    let mut wire = Wire::open(first & 1 == 1);
    while let [what, high, low, behind @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let (bytes, behind) = behind.split_at_checked(length).unwrap_or((behind, &[]));
        let direction = if what & 1 == 0 {
            Direction::Ingress
        } else {
            Direction::Egress
        };
        match what >> 1 & 7 {
            0 => wire.lose(direction, length as u64),
            1 => wire.operation(direction, bytes, bytes.len() / 2),
            2 => wire.send(direction, PREFACE),
            _ => wire.send(direction, bytes),
        }
        rest = behind;
    }
    wire.close();
}

/// One exchange over HTTP/1.1.
pub(crate) fn exchange(line: &str, fields: &str, body: &[u8], answer_fields: &str, answer: &[u8]) {
    let mut wire = Wire::open(false);
    let head = format!(
        "{line} HTTP/1.1\r\nHost: a\r\n{fields}Content-Length: {}\r\n\r\n",
        body.len()
    );
    wire.send(Direction::Ingress, &[head.as_bytes(), body].concat());
    let head = format!(
        "HTTP/1.1 200 OK\r\n{answer_fields}Content-Length: {}\r\n\r\n",
        answer.len()
    );
    wire.send(Direction::Egress, &[head.as_bytes(), answer].concat());
    wire.close();
}
