//! Conversations as a socket would tell them.

use std::net::{IpAddr, Ipv4Addr};

use super::super::*;
use crate::event::Direction;

pub(super) const MS: u64 = 1_000_000;

pub(super) fn flows() -> Flows {
    Flows::new(Limits::default(), Redactor::new([7; 16]))
}

pub(super) fn process(pid: u32) -> ProcessRef {
    ProcessRef {
        pid,
        start_ns: 1,
        cgroup: 1,
        comm: format!("p{pid}").into(),
    }
}

pub(super) fn address(last: u8, port: u16) -> Address {
    Address::Ip(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)), port)
}

/// One observed socket, which is the source of events and keeps its positions.
pub(super) struct Wire {
    pub(super) socket: SocketId,
    pub(super) server: bool,
    pub(super) local: Address,
    pub(super) remote: Address,
    pub(super) netns: u32,
    pub(super) peer: Option<SocketId>,
    pub(super) joined_late: bool,
    positions: [u64; 2],
    last: Option<Direction>,
}

/// What a test does with a socket, as its peers see it.
impl Wire {
    pub(super) fn server() -> Self {
        Self {
            socket: SocketId(1),
            server: true,
            local: address(1, 80),
            remote: address(2, 40_000),
            netns: 1,
            peer: None,
            joined_late: false,
            positions: [0; 2],
            last: None,
        }
    }

    /// The other end of the same connection.
    pub(super) fn client(socket: u64) -> Self {
        let server = Self::server();
        Self {
            socket: SocketId(socket),
            server: false,
            local: server.remote.clone(),
            remote: server.local.clone(),
            ..server
        }
    }

    pub(super) fn open(&self, at: u64) -> SocketEvent<'static> {
        SocketEvent::Open(SocketOpen {
            socket: self.socket,
            at: Timestamp(at),
            local: self.local.clone(),
            remote: self.remote.clone(),
            netns: self.netns,
            process: process(self.socket.0 as u32),
            peer: self.peer,
            joined_late: self.joined_late,
            tls: false,
            positions: self.positions,
        })
    }

    pub(super) fn direction(&self, request: bool) -> Direction {
        if request == self.server {
            Direction::Ingress
        } else {
            Direction::Egress
        }
    }

    /// An operation: `shown` bytes of `bytes` are copied, the rest only counted.
    pub(super) fn operation<'a>(
        &mut self,
        at: u64,
        request: bool,
        bytes: &'a [u8],
        shown: usize,
    ) -> SocketEvent<'a> {
        let direction = self.direction(request);
        let position = self.positions[direction.index()];
        let end = position + bytes.len() as u64;
        self.positions[direction.index()] = end;
        let turn = self.last != Some(direction);
        self.last = Some(direction);
        SocketEvent::Data(SocketData {
            socket: self.socket,
            at: Timestamp(at),
            direction,
            position,
            bytes: &bytes[..shown],
            end,
            turn,
            eof: false,
            spent: false,
            layer: crate::event::Layer::Socket,
            pid: 1,
        })
    }

    pub(super) fn data<'a>(&mut self, at: u64, request: bool, bytes: &'a [u8]) -> SocketEvent<'a> {
        self.operation(at, request, bytes, bytes.len())
    }

    /// Bytes that pass without an event.
    pub(super) fn lose(&mut self, request: bool, count: usize) {
        let direction = self.direction(request);
        self.positions[direction.index()] += count as u64;
        if count > 0 {
            self.last = Some(direction);
        }
    }

    pub(super) fn eof(&self, at: u64, request: bool) -> SocketEvent<'static> {
        let direction = self.direction(request);
        let position = self.positions[direction.index()];
        SocketEvent::Data(SocketData {
            socket: self.socket,
            at: Timestamp(at),
            direction,
            position,
            bytes: &[],
            end: position,
            turn: false,
            eof: true,
            spent: false,
            layer: crate::event::Layer::Socket,
            pid: 1,
        })
    }

    pub(super) fn close(&self, at: u64) -> SocketEvent<'static> {
        SocketEvent::Close(SocketClose {
            socket: self.socket,
            at: Timestamp(at),
            positions: self.positions,
            kernel_bytes: Some(self.positions),
            told: false,
        })
    }
}

/// A part of a conversation, told as one event.
#[derive(Debug, Clone, Copy)]
pub(super) enum Part<'a> {
    Request(&'a [u8]),
    Response(&'a [u8]),
}

pub(super) use Part::{Request, Response};

impl<'a> Part<'a> {
    pub(super) fn bytes(self) -> (bool, &'a [u8]) {
        match self {
            Request(bytes) => (true, bytes),
            Response(bytes) => (false, bytes),
        }
    }
}

/// Plays a conversation at the server's end, one event a millisecond, and closes the socket.
pub(super) fn play(parts: &[Part<'_>]) -> Vec<Exchange> {
    play_with(&mut flows(), parts)
}

pub(super) fn play_with(flows: &mut Flows, parts: &[Part<'_>]) -> Vec<Exchange> {
    let mut wire = Wire::server();
    let mut out = Vec::new();
    flows.event(&wire.open(0), &mut out);
    let mut at = 0;
    for part in parts {
        at += MS;
        let (request, bytes) = part.bytes();
        flows.event(&wire.data(at, request, bytes), &mut out);
    }
    flows.event(&wire.close(at + MS), &mut out);
    assert_eq!(flows.connections(), 0);
    out
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
