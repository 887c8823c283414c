//! Events as they lie in the ring: a fixed header, then what the kind says.
//!
//! All integers are in host byte order: the programs and the agent run on the same machine. Structures have
//! no implicit padding, so every byte the kernel hands out was written.

use crate::limits::UNIX_PATH_BYTES;

/// The first direction index: bytes that the owner of the socket sent.
pub const EGRESS: u8 = 0;
/// The second direction index: bytes that the owner of the socket received.
pub const INGRESS: u8 = 1;

/// A new socket of interest: [`Open`] follows from the header on.
pub const KIND_OPEN: u8 = 1;
/// Payload: [`Header`], then `captured` bytes that start at `position`.
pub const KIND_DATA: u8 = 2;
/// The socket was closed: [`Close`] follows from the header on.
pub const KIND_CLOSE: u8 = 3;
/// TLS that is not read on this socket: [`Header`] alone. `position` is how many bytes its owner has sent so far, `end` how many it
/// has received.
pub const KIND_COUNT: u8 = 4;

/// The operation was the first of its direction after the other direction was active.
pub const FLAG_TURN: u8 = 1;
/// End of stream was read (`recv` returned 0).
pub const FLAG_EOF: u8 = 1 << 1;
/// The socket had already carried bytes before it was first seen.
pub const FLAG_JOINED_LATE: u8 = 1 << 2;
/// The operation was longer than what was copied because its message budget is used up.
pub const FLAG_CUT: u8 = 1 << 3;
/// The bytes could not be copied (fault, no user buffer, io_uring, 32-bit task).
pub const FLAG_UNREADABLE: u8 = 1 << 4;
/// These are the last bytes of an operation whose earlier bytes were not copied.
pub const FLAG_TAIL: u8 = 1 << 5;
/// The message's budget, as it was then, ends with the last byte of this event.
pub const FLAG_SPENT: u8 = 1 << 6;
/// What passes is plaintext of a TLS connection. Of an announcement: because the kernel does its TLS. Of data: it was read
/// inside a TLS library, and positions count the session's plaintext.
pub const FLAG_TLS: u8 = 1 << 7;
/// Of data with [`FLAG_TLS`]: the first bytes that were read of this session.
pub const FLAG_TLS_START: u8 = FLAG_JOINED_LATE;
/// Of a close: the socket was muted because the other end tells the same. Its positions stood still from then on.
pub const FLAG_TOLD: u8 = FLAG_CUT;

/// Starts every event. 48 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Header {
    /// One of the `KIND_` constants.
    pub kind: u8,
    /// [`EGRESS`] or [`INGRESS`]; for `KIND_DATA` only.
    pub direction: u8,
    /// `FLAG_` bits.
    pub flags: u8,
    /// [`crate::sniff::Class`] of the socket as a number.
    pub class: u8,
    /// Payload bytes that follow the header.
    pub captured: u32,
    /// `CLOCK_MONOTONIC`, nanoseconds.
    pub at_ns: u64,
    /// The socket's cookie: unique until the next boot.
    pub cookie: u64,
    /// Position in this direction's stream of the first captured byte (or of the operation, if none was).
    pub position: u64,
    /// Position right after the operation this event belongs to: at least `position + captured`.
    pub end: u64,
    /// Process (thread group) that performed the operation.
    pub tgid: u32,
    /// Zero.
    pub reserved: u32,
}

const _: () = assert!(size_of::<Header>() == 48);

/// A `KIND_OPEN` event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Open {
    /// `position` is the egress position, `end` the ingress position at this moment.
    pub header: Header,
    /// `AF_UNIX`, `AF_INET` or `AF_INET6`.
    pub family: u16,
    /// Local port, host order; 0 for unix sockets.
    pub local_port: u16,
    /// Remote port, host order; 0 for unix sockets.
    pub remote_port: u16,
    /// `SOCK_STREAM` (1) or `SOCK_SEQPACKET` (5).
    pub socket_type: u16,
    /// Inode number of the network namespace.
    pub netns: u32,
    /// Bytes of `unix_path` in use.
    pub unix_path_len: u32,
    /// IPv4 in the first four bytes, or IPv6.
    pub local_address: [u8; 16],
    /// IPv4 in the first four bytes, or IPv6.
    pub remote_address: [u8; 16],
    /// Control group (v2) of the process.
    pub cgroup: u64,
    /// Start of the process since boot, nanoseconds; 0 if this kernel does not tell.
    pub process_start_ns: u64,
    /// Unix sockets: the cookie of the other end, 0 if not known yet.
    pub peer_cookie: u64,
    /// Name of the task.
    pub comm: [u8; 16],
    /// Path of a unix socket, or of its peer when it has none; starts with NUL when abstract.
    pub unix_path: [u8; UNIX_PATH_BYTES],
    /// Zero.
    pub reserved: [u8; 4],
}

const _: () = assert!(size_of::<Open>() == 48 + 16 + 32 + 24 + 16 + UNIX_PATH_BYTES + 4);

/// A `KIND_CLOSE` event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Close {
    /// `position` is the egress position, `end` the ingress position at close.
    pub header: Header,
    /// Bytes the peer acknowledged, by the socket's own count; `u64::MAX` if not known.
    pub bytes_acked: u64,
    /// Bytes received in order and read by the owner, by the socket's own count; `u64::MAX` if not known.
    pub bytes_received: u64,
}

const _: () = assert!(size_of::<Close>() == 64);
