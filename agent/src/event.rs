//! What happened on one socket: the first of the two plain types that carry everything.
//!
//! In: nothing. Out: [`SocketEvent`]s, made by the kernel reader, a recording or a capture file, and consumed
//! by [`crate::flow`]. Payload is borrowed from wherever the source keeps it (ring memory, a file buffer): who
//! needs it longer copies it. Positions are absolute: byte 0 is the first byte of that direction since the
//! connection was made, whether or not the agent saw it.

use std::net::IpAddr;

use compact_str::CompactString;

use crate::clock::Timestamp;

/// One socket, for its whole life. On a live kernel its cookie; unique within one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId(pub u64);

/// Which way bytes went, as the owner of the socket sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Sent by the owner.
    Egress,
    /// Received by the owner.
    Ingress,
}

impl Direction {
    /// The other way.
    #[must_use]
    pub const fn flip(self) -> Self {
        match self {
            Direction::Egress => Direction::Ingress,
            Direction::Ingress => Direction::Egress,
        }
    }

    /// 0 for egress, 1 for ingress.
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// One end of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Address {
    /// IPv4 or IPv6 (mapped IPv4 is given as IPv4) with a port.
    Ip(IpAddr, u16),
    /// A unix socket: its path, `@name` when abstract, empty when unnamed.
    Unix(String),
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Address::Ip(IpAddr::V4(ip), port) => write!(f, "{ip}:{port}"),
            Address::Ip(IpAddr::V6(ip), port) => write!(f, "[{ip}]:{port}"),
            Address::Unix(path) if path.is_empty() => f.write_str("unix:"),
            Address::Unix(path) => write!(f, "unix:{path}"),
        }
    }
}

/// The process that used a socket first, as the kernel names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ProcessRef {
    /// Thread-group id in the initial pid namespace; 0 when the source has none (captures).
    pub pid: u32,
    /// Start since boot in nanoseconds: tells a reused pid. 0 when unknown.
    pub start_ns: u64,
    /// Inode-like id of its control group (v2). 0 when unknown.
    pub cgroup: u64,
    /// Name of the task (15 bytes at the most, which need no memory of their own).
    pub comm: CompactString,
}

/// A socket of interest was seen for the first time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketOpen {
    /// Which socket.
    pub socket: SocketId,
    /// When it was first seen (not when it was made).
    pub at: Timestamp,
    /// The owner's end.
    pub local: Address,
    /// The other end.
    pub remote: Address,
    /// Inode number of the network namespace; 0 when unknown.
    pub netns: u32,
    /// Who used it first.
    pub process: ProcessRef,
    /// The socket at the other end, when it is on this host and the kernel names it (unix sockets).
    pub peer: Option<SocketId>,
    /// Bytes had gone through before it was first seen.
    pub joined_late: bool,
    /// Payload is plaintext read inside a TLS library.
    pub tls: bool,
    /// Position of each direction at this moment, by [`Direction::index`].
    pub positions: [u64; 2],
}

/// Where bytes were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Layer {
    /// At the socket.
    #[default]
    Socket,
    /// Inside the TLS library that uses the socket, as plaintext: positions count plaintext.
    Tls {
        /// The first bytes that were read of this TLS session: positions start anew.
        start: bool,
    },
}

/// Bytes moved on a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SocketData<'a> {
    /// Which socket.
    pub socket: SocketId,
    /// When the operation returned.
    pub at: Timestamp,
    /// Which way.
    pub direction: Direction,
    /// Position of `bytes[0]`.
    pub position: u64,
    /// What was copied; may be empty.
    pub bytes: &'a [u8],
    /// Position right after the operation, at least `position + bytes.len()`; what lies between was not copied.
    pub end: u64,
    /// First operation of this direction after the other one was active: most likely a message starts here.
    pub turn: bool,
    /// The stream of this direction has ended.
    pub eof: bool,
    /// The source copies no more of this message: what follows up to the next turn was left out, not lost.
    pub spent: bool,
    /// Where the bytes were read.
    pub layer: Layer,
    /// Process that did the operation; 0 when unknown.
    pub pid: u32,
}

/// A socket was closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketClose {
    /// Which socket.
    pub socket: SocketId,
    /// When.
    pub at: Timestamp,
    /// Last captured position of each direction, by [`Direction::index`]: what the agent accounts for.
    pub positions: [u64; 2],
    /// The socket's own byte counts (sent and acknowledged; received in order), where the kernel has them.
    pub kernel_bytes: Option<[u64; 2]>,
    /// The source stopped to copy it, because the other end tells the same: `positions` stand where it did.
    pub told: bool,
}

/// How much has gone through a socket whose TLS is not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketCount {
    /// Which socket.
    pub socket: SocketId,
    /// When.
    pub at: Timestamp,
    /// Bytes so far, by [`Direction::index`].
    pub bytes: [u64; 2],
}

/// What happened on one socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SocketEvent<'a> {
    /// First sight.
    Open(SocketOpen),
    /// Bytes.
    Data(SocketData<'a>),
    /// Bytes that are not told.
    Count(SocketCount),
    /// The end.
    Close(SocketClose),
}

impl SocketEvent<'_> {
    /// When it happened.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        match self {
            Self::Open(open) => open.at,
            Self::Data(data) => data.at,
            Self::Count(count) => count.at,
            Self::Close(close) => close.at,
        }
    }
}
