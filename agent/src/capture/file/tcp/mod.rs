//! TCP connections out of captured segments (RFC 9293).
//!
//! In: [`Segment`]s in the order of the file. Out: the [`SocketEvent`]s that the servers' sockets would have
//! given. Connections that began before the file are joined where they are. The server is who was sent the
//! SYN; without one, who is sent something that begins like a request; else who has the lower port. Refuses
//! to read payload beyond that.

mod connection;

use std::{
    collections::{HashMap, hash_map::Entry},
    net::IpAddr,
};

use foldhash::fast::RandomState;

use apiarist_common::{
    limits::PREFIX_BYTES,
    sniff::{self, Verdict},
};

use self::connection::{Connection, Emit};
use crate::{clock::Timestamp, event::SocketId};

/// Connections kept at a time, closed ones included (their late packets must not start new ones). Overflow
/// policy: the eighth that was silent for longest is closed.
const MAX_CONNECTIONS: usize = 65_536;

/// Bytes held back behind holes over all connections. Overflow policy: who exceeds it gives up its holes.
const MAX_PENDING_BYTES: usize = 128 * 1024 * 1024;

/// An address and a port.
pub(super) type Endpoint = (IpAddr, u16);

/// One TCP segment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Segment<'a> {
    pub(super) at: Timestamp,
    pub(super) source: Endpoint,
    pub(super) destination: Endpoint,
    pub(super) seq: u32,
    pub(super) ack: u32,
    pub(super) syn: bool,
    pub(super) acknowledges: bool,
    pub(super) fin: bool,
    pub(super) rst: bool,
    /// What was captured of the payload.
    pub(super) payload: &'a [u8],
    /// Length of the payload on the wire.
    pub(super) len: u64,
}

/// All connections of a capture.
#[derive(Debug, Default)]
pub(super) struct Connections {
    // Seeded: endpoints in a file can be chosen to collide.
    by_endpoints: HashMap<(Endpoint, Endpoint), Connection, RandomState>,
    pending_bytes: usize,
    packets: u64,
    sockets: u64,
}

impl Connections {
    /// Takes the next segment of the file.
    pub(super) fn segment(&mut self, segment: &Segment<'_>, emit: &mut Emit<'_>) {
        self.packets += 1;
        let key = key(segment);
        if segment.syn && !segment.acknowledges {
            self.replace(key, segment, emit);
        }
        if self.by_endpoints.len() >= MAX_CONNECTIONS && !self.by_endpoints.contains_key(&key) {
            self.make_room(emit);
        }
        let connection = match self.by_endpoints.entry(key) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let Some((client, server)) = roles(segment) else {
                    return;
                };
                self.sockets += 1;
                entry.insert(Connection::new(
                    SocketId(self.sockets),
                    client,
                    server,
                    !segment.syn,
                ))
            }
        };
        connection.last_packet = self.packets;
        let before = connection.pending_bytes();
        connection.segment(segment, emit);
        self.pending_bytes = (self.pending_bytes + connection.pending_bytes()).saturating_sub(before);
        if self.pending_bytes > MAX_PENDING_BYTES {
            self.pending_bytes -= connection.pending_bytes();
            connection.give_up(emit);
        }
    }

    /// The file has ended: closes what is open, in the order it was opened.
    pub(super) fn finish(mut self, emit: &mut Emit<'_>) {
        let mut open: Vec<Connection> = self
            .by_endpoints
            .drain()
            .map(|(_, connection)| connection)
            .collect();
        open.sort_by_key(Connection::socket);
        for mut connection in open {
            connection.close_now(emit);
        }
    }

    /// A SYN begins a new connection between two endpoints, unless it is only sent again.
    fn replace(&mut self, key: (Endpoint, Endpoint), syn: &Segment<'_>, emit: &mut Emit<'_>) {
        if let Some(old) = self.by_endpoints.get(&key)
            && !old.made_by(syn)
            && let Some(mut old) = self.by_endpoints.remove(&key)
        {
            self.pending_bytes -= old.pending_bytes();
            old.close_now(emit);
        }
    }

    fn make_room(&mut self, emit: &mut Emit<'_>) {
        let mut ages: Vec<u64> = self.by_endpoints.values().map(|c| c.last_packet).collect();
        let (_, youngest, _) = ages.select_nth_unstable(MAX_CONNECTIONS / 8);
        let youngest = *youngest;
        let mut evicted: Vec<Connection> = self
            .by_endpoints
            .extract_if(|_, c| c.last_packet < youngest)
            .map(|(_, c)| c)
            .collect();
        evicted.sort_by_key(|c| c.last_packet);
        for mut connection in evicted {
            self.pending_bytes -= connection.pending_bytes();
            connection.close_now(emit);
        }
    }
}

/// The two endpoints, whoever sends.
fn key(segment: &Segment<'_>) -> (Endpoint, Endpoint) {
    let (a, b) = (segment.source, segment.destination);
    if a <= b { (a, b) } else { (b, a) }
}

/// Client and server of the connection that this segment is the first of; `None` if it begins none.
fn roles(segment: &Segment<'_>) -> Option<(Endpoint, Endpoint)> {
    let forward = (segment.source, segment.destination);
    let backward = (segment.destination, segment.source);
    if segment.rst {
        return None;
    }
    if segment.syn {
        return Some(if segment.acknowledges { backward } else { forward });
    }
    if segment.len == 0 {
        return None;
    }
    let mut prefix = [0; PREFIX_BYTES];
    let len = segment.payload.len().min(PREFIX_BYTES);
    for (to, from) in prefix.iter_mut().zip(segment.payload) {
        *to = *from;
    }
    let to_server = match sniff::sniff(&prefix, len) {
        Verdict::Http1Request | Verdict::Http2 => true,
        Verdict::Http1Response => false,
        _ => segment.destination.1 <= segment.source.1,
    };
    Some(if to_server { forward } else { backward })
}

#[cfg(test)]
mod tests;
