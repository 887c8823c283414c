//! What the flow layer knows of a protocol: chunks, gaps and ends in, exchanges out.
//!
//! In: the ordered bytes of both ways of one connection. Out: exchanges, through [`Context`]. A protocol is a
//! variant of [`Session`]. Refuses to know about sockets and positions.

use std::sync::Arc;

use super::{
    http1::{Http1, Reuse},
    http2::Http2,
    redact::Redactor,
    websocket::WebSocket,
};
use crate::{
    clock::Timestamp,
    exchange::{Connection, Exchange},
    flow::{Limits, Stats},
};

/// Which way bytes go, by role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// From the client to the server.
    Request,
    /// From the server to the client.
    Response,
}

/// Bytes of one operation, in order.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chunk<'a> {
    /// When.
    pub(crate) at: Timestamp,
    /// The other way was active before: most likely a message starts here.
    pub(crate) turn: bool,
    /// The bytes.
    pub(crate) bytes: &'a [u8],
}

/// A range that was not seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gap {
    /// When it became known.
    pub(crate) at: Timestamp,
    /// Bytes, at least 1.
    pub(crate) length: u64,
    /// Not by decision: the bytes were meant to be seen.
    pub(crate) loss: bool,
}

/// What a session works with and writes to.
pub(crate) struct Context<'a> {
    pub(crate) connection: &'a Arc<Connection>,
    pub(crate) redactor: &'a Redactor,
    pub(crate) limits: &'a Limits,
    pub(crate) stats: &'a mut Stats,
    pub(crate) reuse: &'a mut Reuse,
    pub(crate) out: &'a mut Vec<Exchange>,
}

/// The parser of one connection.
#[derive(Debug)]
pub(crate) enum Session {
    /// HTTP/1.0 and HTTP/1.1.
    Http1(Box<Http1>),
    /// HTTP/2.
    Http2(Box<Http2>),
    /// WebSocket.
    WebSocket(Box<WebSocket>),
    /// A protocol that is not parsed; its bytes are counted.
    Opaque,
    /// What the other end of the connection tells is not read here; its bytes are counted.
    Told,
}

impl Session {
    pub(crate) fn bytes(&mut self, way: Way, chunk: &Chunk<'_>, cx: &mut Context<'_>) {
        match self {
            Session::Http1(http1) => {
                http1.bytes(way, chunk, cx);
                if let Some(successor) = http1.take_successor() {
                    *self = successor;
                }
            }
            Session::Http2(http2) => http2.bytes(way, chunk, cx),
            Session::WebSocket(websocket) => websocket.bytes(way, chunk, cx),
            Session::Opaque => cx.stats.opaque_bytes += chunk.bytes.len() as u64,
            Session::Told => cx.stats.told_bytes += chunk.bytes.len() as u64,
        }
    }

    pub(crate) fn gap(&mut self, way: Way, gap: Gap, cx: &mut Context<'_>) {
        match self {
            Session::Http1(http1) => http1.gap(way, gap, cx),
            Session::Http2(http2) => http2.gap(way, gap, cx),
            Session::WebSocket(websocket) => websocket.gap(way, gap, cx),
            Session::Opaque | Session::Told => {}
        }
    }

    /// One way has ended; more bytes may follow all the same (a `recv` of nothing looks like an end).
    pub(crate) fn eof(&mut self, way: Way, at: Timestamp, cx: &mut Context<'_>) {
        match self {
            Session::Http1(http1) => http1.eof(way, at, cx),
            Session::Http2(http2) => http2.eof(way, at, cx),
            Session::WebSocket(websocket) => websocket.eof(way, at, cx),
            Session::Opaque | Session::Told => {}
        }
    }

    /// Nothing has happened for a while: exchanges that may be over are. `silent` names the ways whose source has
    /// stopped to pass on bytes of the present message, by [`Way`].
    pub(crate) fn idle(&mut self, silent: [bool; 2], cx: &mut Context<'_>) {
        match self {
            Session::Http1(http1) => http1.idle(silent, cx),
            Session::Http2(http2) => http2.idle(silent, cx),
            Session::WebSocket(websocket) => websocket.idle(silent, cx),
            Session::Opaque | Session::Told => {}
        }
    }

    /// The connection is over.
    pub(crate) fn close(&mut self, silent: [bool; 2], cx: &mut Context<'_>) {
        match self {
            Session::Http1(http1) => http1.close(silent, cx),
            Session::Http2(http2) => http2.close(silent, cx),
            Session::WebSocket(websocket) => websocket.close(silent, cx),
            Session::Opaque | Session::Told => {}
        }
    }

    /// Whether exchanges are under way.
    pub(crate) fn is_waiting(&self) -> bool {
        match self {
            Session::Http1(http1) => http1.is_waiting(),
            Session::Http2(http2) => http2.is_waiting(),
            Session::WebSocket(websocket) => websocket.is_waiting(),
            Session::Opaque | Session::Told => false,
        }
    }

    /// Bytes of memory, roughly.
    pub(crate) fn memory(&self) -> usize {
        match self {
            Session::Http1(http1) => size_of::<Http1>() + http1.memory(),
            Session::Http2(http2) => size_of::<Http2>() + http2.memory(),
            Session::WebSocket(websocket) => size_of::<WebSocket>() + websocket.memory(),
            Session::Opaque | Session::Told => 0,
        }
    }
}
