//! Both ends of one connection on this host: which sockets are twins.
//!
//! In: sockets as they are announced. Out: the socket at the other end, if it is known. TCP sockets are matched by
//! reversed addresses (in the same network namespace when those are loopback addresses, which every namespace has),
//! unix sockets by the socket id that the kernel names. A later socket with the same addresses takes the place of an
//! earlier one.

use std::{
    collections::{HashMap, hash_map::Entry},
    net::{IpAddr, Ipv6Addr},
};

use foldhash::fast::FixedState;

use crate::event::{Address, SocketId, SocketOpen};

/// Addresses of one end, as short as they can be: each connection has one. Those of IPv4 are mapped into IPv6, as sockets
/// for both write them (RFC 4291 §2.5.5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Tuple {
    local: (Ipv6Addr, u16),
    remote: (Ipv6Addr, u16),
    /// 0 where it does not matter.
    netns: u32,
}

/// The sockets that may have twins. Bounded by the number of connections: each has one entry of each kind at the
/// most, removed with it.
#[derive(Debug, Default)]
pub(super) struct Twins {
    tuples: HashMap<Tuple, SocketId, FixedState>,
    /// From the id of a unix socket that is not known yet to the one that named it.
    awaited: HashMap<SocketId, SocketId, FixedState>,
}

/// Whether the other end is certainly on this host too.
pub(super) fn is_local(local: &Address, remote: &Address) -> bool {
    match (local, remote) {
        (Address::Unix(_), _) | (_, Address::Unix(_)) => true,
        (Address::Ip(local, _), Address::Ip(remote, _)) => remote.is_loopback() || local == remote,
    }
}

fn tuple(local: &Address, remote: &Address, netns: u32) -> Option<Tuple> {
    let (Address::Ip(a, port), Address::Ip(b, remote_port)) = (local, remote) else {
        return None;
    };
    (*port != 0 || *remote_port != 0).then(|| Tuple {
        local: (mapped(*a), *port),
        remote: (mapped(*b), *remote_port),
        netns: if a.is_loopback() || b.is_loopback() {
            netns
        } else {
            0
        },
    })
}

fn mapped(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

impl Twins {
    /// Enters a socket and returns its twin, if that is known.
    pub(super) fn enter(
        &mut self,
        open: &SocketOpen,
        is_known: impl Fn(SocketId) -> bool,
    ) -> Option<SocketId> {
        if let Some(peer) = open.peer {
            if is_known(peer) {
                return Some(peer);
            }
            self.awaited.insert(peer, open.socket);
        }
        if let Some(twin) = self.awaited.remove(&open.socket) {
            return Some(twin);
        }
        let reversed = tuple(&open.remote, &open.local, open.netns)?;
        let twin = self.tuples.get(&reversed).copied();
        let own = Tuple {
            local: reversed.remote,
            remote: reversed.local,
            netns: reversed.netns,
        };
        self.tuples.insert(own, open.socket);
        twin.filter(|twin| *twin != open.socket)
    }

    /// The socket with these addresses.
    pub(super) fn find(&self, local: &Address, remote: &Address, netns: u32) -> Option<SocketId> {
        self.tuples.get(&tuple(local, remote, netns)?).copied()
    }

    /// Removes a socket.
    pub(super) fn leave(&mut self, socket: SocketId, local: &Address, remote: &Address, netns: u32) {
        if let Some(tuple) = tuple(local, remote, netns)
            && let Entry::Occupied(entry) = self.tuples.entry(tuple)
            && *entry.get() == socket
        {
            entry.remove();
        }
    }

    /// Forgets that a socket waits for its peer.
    pub(super) fn stop_waiting(&mut self, socket: SocketId, peer: SocketId) {
        if self.awaited.get(&peer) == Some(&socket) {
            self.awaited.remove(&peer);
        }
    }
}
