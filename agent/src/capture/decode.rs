//! Ring records to events.
//!
//! In: the bytes of one record, as the kernel programs wrote them. Out: a borrowed [`SocketEvent`], or the reason why
//! the record is unusable, which the caller counts. Checks every length; trusts no number.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use apiarist_common::event::{
    self, Close, FLAG_EOF, FLAG_JOINED_LATE, FLAG_SPENT, FLAG_TLS, FLAG_TLS_START, FLAG_TOLD, FLAG_TURN,
    Header, KIND_CLOSE, KIND_COUNT, KIND_DATA, KIND_OPEN, Open,
};
use compact_str::CompactString;

use crate::{
    clock::Clock,
    event::{
        Address, Direction, Layer, ProcessRef, SocketClose, SocketCount, SocketData, SocketEvent, SocketId,
        SocketOpen,
    },
};

/// Why a record was not an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Shorter than its kind needs.
    #[error("record of {0} bytes is too short")]
    Short(usize),
    /// A kind this version does not know.
    #[error("record of unknown kind {0}")]
    Kind(u8),
}

/// Address families (include/linux/socket.h).
const AF_UNIX: u16 = 1;
const AF_INET: u16 = 2;
/// Tells an address from a socket without one (`getsockname` of an unbound socket).
const UNNAMED: &str = "";

/// Plain records of the ring: integers only, every bit pattern valid.
trait Record: Copy {}
impl Record for Header {}
impl Record for Open {}
impl Record for Close {}

fn read<T: Record>(record: &[u8]) -> Result<T, DecodeError> {
    if record.len() < size_of::<T>() {
        return Err(DecodeError::Short(record.len()));
    }
    // SAFETY: the record is long enough, `T` is made of integers only, and the read needs no alignment.
    Ok(unsafe { record.as_ptr().cast::<T>().read_unaligned() })
}

/// Decodes one record.
///
/// # Errors
/// When the record is too short for its kind, or of an unknown kind.
pub fn decode<'a>(record: &'a [u8], clock: &Clock) -> Result<SocketEvent<'a>, DecodeError> {
    let header: Header = read(record)?;
    match header.kind {
        KIND_OPEN => Ok(SocketEvent::Open(open(&read(record)?, clock))),
        KIND_DATA => data(&header, record, clock),
        KIND_COUNT => Ok(SocketEvent::Count(SocketCount {
            socket: SocketId(header.cookie),
            at: clock.wall(header.at_ns),
            bytes: [header.position, header.end],
        })),
        KIND_CLOSE => Ok(SocketEvent::Close(close(&read(record)?, clock))),
        other => Err(DecodeError::Kind(other)),
    }
}

fn data<'a>(header: &Header, record: &'a [u8], clock: &Clock) -> Result<SocketEvent<'a>, DecodeError> {
    let start = size_of::<Header>();
    let bytes = record
        .get(start..)
        .and_then(|payload| payload.get(..header.captured as usize))
        .ok_or(DecodeError::Short(record.len()))?;
    let reached = header.position.saturating_add(u64::from(header.captured));
    Ok(SocketEvent::Data(SocketData {
        socket: SocketId(header.cookie),
        at: clock.wall(header.at_ns),
        direction: if header.direction == event::INGRESS {
            Direction::Ingress
        } else {
            Direction::Egress
        },
        position: header.position,
        bytes,
        end: header.end.max(reached),
        turn: header.flags & FLAG_TURN != 0,
        eof: header.flags & FLAG_EOF != 0,
        spent: header.flags & FLAG_SPENT != 0,
        layer: match header.flags & FLAG_TLS {
            0 => Layer::Socket,
            _ => Layer::Tls {
                start: header.flags & FLAG_TLS_START != 0,
            },
        },
        pid: header.tgid,
    }))
}

fn open(open: &Open, clock: &Clock) -> SocketOpen {
    let (local, remote) = addresses(open);
    SocketOpen {
        socket: SocketId(open.header.cookie),
        at: clock.wall(open.header.at_ns),
        local,
        remote,
        netns: open.netns,
        process: ProcessRef {
            pid: open.header.tgid,
            start_ns: open.process_start_ns,
            cgroup: open.cgroup,
            comm: CompactString::from_utf8_lossy(until_nul(&open.comm)),
        },
        peer: (open.peer_cookie != 0).then_some(SocketId(open.peer_cookie)),
        joined_late: open.header.flags & FLAG_JOINED_LATE != 0,
        tls: open.header.flags & FLAG_TLS != 0,
        positions: [open.header.position, open.header.end],
    }
}

fn addresses(open: &Open) -> (Address, Address) {
    match open.family {
        AF_UNIX => {
            // The owner of the path is the listening side; who is who shows in the roles.
            let path = unix_path(open);
            (Address::Unix(path.clone()), Address::Unix(path))
        }
        AF_INET => (
            Address::Ip(ipv4(&open.local_address), open.local_port),
            Address::Ip(ipv4(&open.remote_address), open.remote_port),
        ),
        _ => (
            Address::Ip(ipv6(open.local_address), open.local_port),
            Address::Ip(ipv6(open.remote_address), open.remote_port),
        ),
    }
}

fn ipv4(bytes: &[u8; 16]) -> IpAddr {
    let [a, b, c, d, ..] = *bytes;
    IpAddr::V4(Ipv4Addr::new(a, b, c, d))
}

/// IPv6, with a mapped IPv4 address (RFC 4291 §2.5.5.2) given as what it is.
fn ipv6(bytes: [u8; 16]) -> IpAddr {
    IpAddr::V6(Ipv6Addr::from(bytes)).to_canonical()
}

/// A path, or `@name` for an abstract socket.
fn unix_path(open: &Open) -> String {
    let len = (open.unix_path_len as usize).min(open.unix_path.len());
    match open.unix_path.get(..len) {
        None | Some([]) => UNNAMED.to_owned(),
        Some([0, name @ ..]) => format!("@{}", String::from_utf8_lossy(name).replace('\0', "@")),
        Some(path) => String::from_utf8_lossy(until_nul(path)).into_owned(),
    }
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    bytes.get(..end).unwrap_or_default()
}

fn close(close: &Close, clock: &Clock) -> SocketClose {
    let known = close.bytes_acked != u64::MAX && close.bytes_received != u64::MAX;
    SocketClose {
        socket: SocketId(close.header.cookie),
        at: clock.wall(close.header.at_ns),
        positions: [close.header.position, close.header.end],
        told: close.header.flags & FLAG_TOLD != 0,
        kernel_bytes: known.then_some([close.bytes_acked, close.bytes_received]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOCK: Clock = Clock::fixed(1_000);

    fn header(kind: u8, captured: u32) -> Header {
        Header {
            kind,
            direction: event::INGRESS,
            flags: FLAG_TURN,
            class: 1,
            captured,
            at_ns: 5,
            cookie: 7,
            position: 100,
            end: 110,
            tgid: 42,
            reserved: 0,
        }
    }

    fn bytes<T: Copy>(value: &T) -> Vec<u8> {
        // SAFETY: test structures without padding.
        unsafe { std::slice::from_raw_parts(std::ptr::from_ref(value).cast::<u8>(), size_of::<T>()) }.to_vec()
    }

    #[test]
    fn data_borrows_its_payload() {
        let mut record = bytes(&header(KIND_DATA, 3));
        record.extend_from_slice(b"GET\0\0\0\0\0");
        let SocketEvent::Data(data) = decode(&record, &CLOCK).unwrap() else {
            panic!()
        };
        assert_eq!(data.bytes, b"GET");
        assert_eq!(
            (data.position, data.end, data.turn, data.eof),
            (100, 110, true, false)
        );
        assert_eq!(data.at.0, 1_005);
    }

    #[test]
    fn a_short_record_is_refused_at_every_length() {
        let mut record = bytes(&header(KIND_DATA, 3));
        record.extend_from_slice(b"GET");
        for cut in 0..record.len() {
            assert!(decode(&record[..cut], &CLOCK).is_err(), "{cut}");
        }
        assert_eq!(decode(&bytes(&header(9, 0)), &CLOCK), Err(DecodeError::Kind(9)));
    }

    #[test]
    fn unix_paths_and_addresses_are_readable() {
        let mut open = Open {
            header: header(KIND_OPEN, 0),
            family: AF_UNIX,
            local_port: 0,
            remote_port: 0,
            socket_type: 1,
            netns: 1,
            unix_path_len: 10,
            local_address: [0; 16],
            remote_address: [0; 16],
            cgroup: 3,
            process_start_ns: 4,
            peer_cookie: 8,
            comm: *b"nginx\0garbage\0\0\0",
            unix_path: [0; 108],
            reserved: [0; 4],
        };
        open.unix_path[..10].copy_from_slice(b"/run/a.s\0\0");
        let SocketEvent::Open(event) = decode(&bytes(&open), &CLOCK).unwrap() else {
            panic!()
        };
        assert_eq!(event.local, Address::Unix("/run/a.s".to_owned()));
        assert_eq!(event.process.comm, "nginx");
        assert_eq!(event.peer, Some(SocketId(8)));
        open.unix_path[..10].copy_from_slice(b"\0abstract\0");
        open.unix_path_len = 9;
        let SocketEvent::Open(event) = decode(&bytes(&open), &CLOCK).unwrap() else {
            panic!()
        };
        assert_eq!(event.local.to_string(), "unix:@abstract");
        open.family = 10;
        open.local_address = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1];
        open.local_port = 80;
        let SocketEvent::Open(event) = decode(&bytes(&open), &CLOCK).unwrap() else {
            panic!()
        };
        assert_eq!(event.local.to_string(), "127.0.0.1:80");
    }
}
