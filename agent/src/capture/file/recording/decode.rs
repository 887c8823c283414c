//! Record payloads to events. The counterpart of [`super::encode`].
//!
//! A payload that passed its checksum but does not have the layout of its kind gives `None`; the reader calls
//! that damage. Bytes behind the known members are ignored, so that members can be added at the end of open
//! and close records.

use std::net::IpAddr;

use super::MAX_TEXT_BYTES;
use crate::{
    clock::Timestamp,
    event::{
        Address, Direction, Layer, ProcessRef, SocketClose, SocketCount, SocketData, SocketId, SocketOpen,
    },
};

pub(super) fn open(payload: &[u8]) -> Option<SocketOpen> {
    let mut input = Input(payload);
    let socket = SocketId(input.u64()?);
    let at = Timestamp(input.u64()?);
    let flags = input.u8()?;
    let positions = [input.u64()?, input.u64()?];
    let netns = input.u32()?;
    let pid = input.u32()?;
    let start_ns = input.u64()?;
    let cgroup = input.u64()?;
    let peer = match flags & 4 {
        0 => None,
        _ => Some(SocketId(input.u64()?)),
    };
    let local = input.address()?;
    let remote = input.address()?;
    let comm = input.text()?;
    Some(SocketOpen {
        socket,
        at,
        local,
        remote,
        netns,
        process: ProcessRef {
            pid,
            start_ns,
            cgroup,
            comm: comm.into(),
        },
        peer,
        joined_late: flags & 1 != 0,
        tls: flags & 2 != 0,
        positions,
    })
}

pub(super) fn data(payload: &[u8]) -> Option<SocketData<'_>> {
    let mut input = Input(payload);
    let socket = SocketId(input.u64()?);
    let at = Timestamp(input.u64()?);
    let position = input.u64()?;
    let end = input.u64()?;
    let pid = input.u32()?;
    let flags = input.u8()?;
    let bytes = input.0;
    if position.checked_add(bytes.len() as u64)? > end {
        return None;
    }
    Some(SocketData {
        socket,
        at,
        direction: match flags & 1 {
            0 => Direction::Egress,
            _ => Direction::Ingress,
        },
        position,
        bytes,
        end,
        turn: flags & 2 != 0,
        eof: flags & 4 != 0,
        spent: flags & 8 != 0,
        layer: match flags & 16 {
            0 => Layer::Socket,
            _ => Layer::Tls {
                start: flags & 32 != 0,
            },
        },
        pid,
    })
}

pub(super) fn close(payload: &[u8]) -> Option<SocketClose> {
    let mut input = Input(payload);
    let socket = SocketId(input.u64()?);
    let at = Timestamp(input.u64()?);
    let positions = [input.u64()?, input.u64()?];
    let flags = input.u8()?;
    let kernel_bytes = match flags & 1 {
        0 => None,
        _ => Some([input.u64()?, input.u64()?]),
    };
    Some(SocketClose {
        socket,
        at,
        positions,
        kernel_bytes,
        told: flags & 2 != 0,
    })
}

pub(super) fn count(payload: &[u8]) -> Option<SocketCount> {
    let mut input = Input(payload);
    Some(SocketCount {
        socket: SocketId(input.u64()?),
        at: Timestamp(input.u64()?),
        bytes: [input.u64()?, input.u64()?],
    })
}

/// Number of events that an end record announces.
pub(super) fn end(payload: &[u8]) -> Option<u64> {
    Input(payload).u64()
}

/// What is left of a payload.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn text(&mut self) -> Option<String> {
        let len = usize::from(self.u16()?);
        if len > MAX_TEXT_BYTES {
            return None;
        }
        String::from_utf8(self.take(len)?.to_vec()).ok()
    }

    fn address(&mut self) -> Option<Address> {
        match self.u8()? {
            1 => self.text().map(Address::Unix),
            4 => Some(Address::Ip(IpAddr::from(self.array::<4>()?), self.u16()?)),
            6 => Some(Address::Ip(IpAddr::from(self.array::<16>()?), self.u16()?)),
            _ => None,
        }
    }
}
