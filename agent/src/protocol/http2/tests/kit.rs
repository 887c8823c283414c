//! Conversations as both ends would write them.

use crate::{
    clock::Timestamp,
    event::{Address, Direction, ProcessRef, SocketClose, SocketData, SocketEvent, SocketId, SocketOpen},
    exchange::Exchange,
    flow::{Flows, Limits},
    protocol::{http2::reader::PREFACE, redact::Redactor},
};

pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;
pub(super) const WHOLE: u8 = END_STREAM | END_HEADERS;

pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, a, b, c] = (payload.len() as u32).to_be_bytes();
    let mut out = vec![a, b, c, kind, flags];
    out.extend(stream.to_be_bytes());
    out.extend(payload);
    out
}

pub(super) fn settings() -> Vec<u8> {
    frame(4, 0, 0, &[0, 3, 0, 0, 0, 100])
}

/// Fields as literals with new names, which enter the table.
pub(super) fn fields(list: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in list {
        out.push(0x40);
        for text in [name, value] {
            out.push(u8::try_from(text.len()).unwrap());
            out.extend(text.bytes());
        }
    }
    out
}

pub(super) fn headers(flags: u8, stream: u32, list: &[(&str, &str)]) -> Vec<u8> {
    frame(1, flags, stream, &fields(list))
}

pub(super) fn get(flags: u8, stream: u32, path: &str) -> Vec<u8> {
    let list = [
        (":method", "GET"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "api.test"),
    ];
    headers(flags, stream, &list)
}

pub(super) fn data(flags: u8, stream: u32, bytes: &[u8]) -> Vec<u8> {
    frame(0, flags, stream, bytes)
}

pub(super) fn preface() -> Vec<u8> {
    [&PREFACE[..], &settings()].concat()
}

/// Bytes of one way: `true` for the client's.
pub(super) type Part = (bool, Vec<u8>);

/// What happens to a part.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fate {
    Seen,
    /// Its middle is not seen.
    Hole {
        from: usize,
        to: usize,
    },
}

/// A server's socket.
pub(super) struct Wire {
    pub(super) flows: Flows,
    pub(super) out: Vec<Exchange>,
    positions: [u64; 2],
    last: Option<Direction>,
    at: u64,
}

impl Wire {
    pub(super) fn new() -> Self {
        Self::joined(false)
    }

    pub(super) fn joined(joined_late: bool) -> Self {
        let mut this = Self {
            flows: Flows::new(Limits::default(), Redactor::new([1; 16])),
            out: Vec::new(),
            positions: [0; 2],
            last: None,
            at: 1,
        };
        let address = |port| Address::Ip([127, 0, 0, 1].into(), port);
        let open = SocketOpen {
            socket: SocketId(1),
            at: Timestamp(1),
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
        };
        this.flows.event(&SocketEvent::Open(open), &mut this.out);
        this
    }

    pub(super) fn tell(&mut self, is_request: bool, bytes: &[u8]) {
        self.at += 1_000;
        let direction = if is_request {
            Direction::Ingress
        } else {
            Direction::Egress
        };
        let position = self.positions[direction.index()];
        let end = position + bytes.len() as u64;
        self.positions[direction.index()] = end;
        let data = SocketData {
            socket: SocketId(1),
            at: Timestamp(self.at),
            direction,
            position,
            bytes,
            end,
            turn: self.last.replace(direction) != Some(direction),
            eof: false,
            spent: false,
            layer: crate::event::Layer::Socket,
            pid: 0,
        };
        self.flows.event(&SocketEvent::Data(data), &mut self.out);
    }

    pub(super) fn lose(&mut self, is_request: bool, count: usize) {
        self.positions[usize::from(is_request)] += count as u64;
    }

    pub(super) fn part(&mut self, (is_request, bytes): &Part, fate: Fate) {
        match fate {
            Fate::Seen => self.tell(*is_request, bytes),
            Fate::Hole { from, to } => {
                self.tell(*is_request, &bytes[..from]);
                self.lose(*is_request, to - from);
                self.tell(*is_request, &bytes[to..]);
            }
        }
    }

    pub(super) fn close(mut self) -> Vec<Exchange> {
        let close = SocketClose {
            socket: SocketId(1),
            at: Timestamp(self.at + 1),
            positions: self.positions,
            kernel_bytes: None,
            told: false,
        };
        self.flows.event(&SocketEvent::Close(close), &mut self.out);
        assert_eq!(self.flows.connections(), 0);
        self.out.sort_by_key(|exchange| exchange.number);
        self.out
    }
}

/// Plays a conversation and closes the socket.
pub(super) fn play(parts: &[Part]) -> Vec<Exchange> {
    let mut wire = Wire::new();
    for part in parts {
        wire.part(part, Fate::Seen);
    }
    wire.close()
}

/// Method, target, status, bodies, completeness: what most tests compare.
pub(super) fn summary(exchange: &Exchange) -> String {
    let request = exchange.request.as_ref().map_or("-".to_owned(), |request| {
        let body = String::from_utf8_lossy(&request.body.sample).into_owned();
        format!("{} {} [{body}]", request.method, request.target)
    });
    let response = exchange.response.as_ref().map_or("-".to_owned(), |response| {
        let body = String::from_utf8_lossy(&response.body.sample).into_owned();
        format!("{} [{body}]", response.status)
    });
    format!("{request} > {response} {:?}", exchange.completeness)
}

pub(super) fn summaries(exchanges: &[Exchange]) -> Vec<String> {
    exchanges.iter().map(summary).collect()
}

/// Two requests side by side with everything that frames can do: padding, priority, blocks in parts, interim
/// responses, trailers.
pub(super) fn conversation() -> Vec<Part> {
    let post = fields(&[
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/b"),
        (":authority", "api.test"),
    ]);
    let (first, second) = post.split_at(20);
    let mut padded = vec![3];
    padded.extend(b"body");
    padded.extend([0; 3]);
    vec![
        (false, settings()),
        (true, [preface(), get(WHOLE, 1, "/a?x=1")].concat()),
        (true, frame(4, 1, 0, &[])),
        (
            true,
            [
                frame(1, 0x20, 3, &[&[0, 0, 0, 0, 9][..], first].concat()),
                frame(9, END_HEADERS, 3, second),
                frame(0, 8, 3, &padded),
            ]
            .concat(),
        ),
        (
            false,
            headers(END_HEADERS, 3, &[(":status", "103"), ("link", "</x>")]),
        ),
        (
            false,
            headers(END_HEADERS, 1, &[(":status", "200"), ("server", "test")]),
        ),
        (false, frame(6, 0, 0, &[7; 8])),
        (
            true,
            [frame(6, 1, 0, &[7; 8]), data(END_STREAM, 3, b" ends")].concat(),
        ),
        (
            false,
            [
                headers(END_HEADERS, 3, &[(":status", "201")]),
                data(0, 1, b"hel"),
                data(0, 3, b"made"),
                data(END_STREAM, 1, b"lo"),
            ]
            .concat(),
        ),
        (false, headers(WHOLE, 3, &[("checksum", "7")])),
        (true, get(WHOLE, 5, "/c")),
        (false, headers(WHOLE, 5, &[(":status", "404")])),
    ]
}

pub(super) const CONVERSATION: [&str; 3] = [
    "GET /a?x=1 [] > 200 [hello] Complete",
    "POST /b [body ends] > 201 [made] Complete",
    "GET /c [] > 404 [] Complete",
];
