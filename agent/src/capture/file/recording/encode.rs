//! Events to record payloads. The counterpart of [`super::decode`].

use std::net::IpAddr;

use super::MAX_TEXT_BYTES;
use crate::event::{Address, Direction, Layer, ProcessRef, SocketClose, SocketCount, SocketData, SocketOpen};

pub(super) fn open(out: &mut Vec<u8>, event: &SocketOpen) {
    let SocketOpen {
        socket,
        at,
        local,
        remote,
        netns,
        process,
        peer,
        joined_late,
        tls,
        positions,
    } = event;
    let ProcessRef {
        pid,
        start_ns,
        cgroup,
        comm,
    } = process;
    u64s(out, &[socket.0, at.0]);
    out.push(u8::from(*joined_late) | u8::from(*tls) << 1 | u8::from(peer.is_some()) << 2);
    u64s(out, positions);
    out.extend_from_slice(&netns.to_le_bytes());
    out.extend_from_slice(&pid.to_le_bytes());
    u64s(out, &[*start_ns, *cgroup]);
    if let Some(peer) = peer {
        u64s(out, &[peer.0]);
    }
    address(out, local);
    address(out, remote);
    text(out, comm);
}

/// The payload of a data record up to its bytes, which follow to the end of the record.
pub(super) fn data(out: &mut Vec<u8>, event: &SocketData<'_>) {
    let SocketData {
        socket,
        at,
        direction,
        position,
        bytes: _,
        end,
        turn,
        eof,
        spent,
        layer,
        pid,
    } = event;
    let (tls, tls_start) = match layer {
        Layer::Socket => (false, false),
        Layer::Tls { start } => (true, *start),
    };
    u64s(out, &[socket.0, at.0, *position, *end]);
    out.extend_from_slice(&pid.to_le_bytes());
    let flags = [
        *direction == Direction::Ingress,
        *turn,
        *eof,
        *spent,
        tls,
        tls_start,
    ];
    out.push(
        flags
            .iter()
            .rev()
            .fold(0, |bits, flag| bits << 1 | u8::from(*flag)),
    );
}

pub(super) fn close(out: &mut Vec<u8>, event: &SocketClose) {
    let SocketClose {
        socket,
        at,
        positions,
        kernel_bytes,
        told,
    } = event;
    u64s(out, &[socket.0, at.0]);
    u64s(out, positions);
    out.push(u8::from(kernel_bytes.is_some()) | u8::from(*told) << 1);
    if let Some(counts) = kernel_bytes {
        u64s(out, counts);
    }
}

pub(super) fn count(out: &mut Vec<u8>, event: &SocketCount) {
    let SocketCount { socket, at, bytes } = event;
    u64s(out, &[socket.0, at.0]);
    u64s(out, bytes);
}

fn u64s(out: &mut Vec<u8>, values: &[u64]) {
    for value in values {
        out.extend_from_slice(&value.to_le_bytes());
    }
}

fn address(out: &mut Vec<u8>, address: &Address) {
    match address {
        Address::Ip(IpAddr::V4(ip), port) => {
            out.push(4);
            out.extend_from_slice(&ip.octets());
            out.extend_from_slice(&port.to_le_bytes());
        }
        Address::Ip(IpAddr::V6(ip), port) => {
            out.push(6);
            out.extend_from_slice(&ip.octets());
            out.extend_from_slice(&port.to_le_bytes());
        }
        Address::Unix(path) => {
            out.push(1);
            text(out, path);
        }
    }
}

fn text(out: &mut Vec<u8>, text: &str) {
    let end = text.floor_char_boundary(MAX_TEXT_BYTES);
    let bytes = text.as_bytes().get(..end).unwrap_or_default();
    let len = u16::try_from(bytes.len()).unwrap_or(0);
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(bytes);
}
