//! What a socket's announcement says, as what its exchanges share, and back.
//!
//! In: an announcement and the role. Out: the [`Connection`] of exchanges; or the announcement again, where a connection
//! starts over.

use std::sync::Arc;

use super::connection::Twin;
use crate::{
    clock::Timestamp,
    event::{Address, ProcessRef, SocketId, SocketOpen},
    exchange::{Connection, Side},
};

/// The announcement that a connection was made of.
pub(super) fn announcement(connection: &Connection, at: Timestamp, peer: Option<SocketId>) -> SocketOpen {
    let (local, remote) = match connection.side {
        Side::Server => (&connection.server, &connection.client),
        Side::Client => (&connection.client, &connection.server),
    };
    SocketOpen {
        socket: connection.socket,
        at,
        local: local.clone(),
        remote: remote.clone(),
        netns: connection.netns,
        process: ProcessRef::clone(&connection.process),
        peer,
        joined_late: connection.joined_late,
        tls: connection.tls,
        positions: [0; 2],
    }
}

/// The announcement as the connection of exchanges; its addresses and names are taken over.
pub(super) fn connection(
    open: &mut SocketOpen,
    side: Side,
    process: &Arc<ProcessRef>,
    twin: Option<&Twin>,
) -> Connection {
    let take = |address: &mut Address| std::mem::replace(address, Address::Unix(String::new()));
    let (local, remote) = (take(&mut open.local), take(&mut open.remote));
    let (server, client) = match side {
        Side::Server => (local, remote),
        Side::Client => (remote, local),
    };
    Connection {
        socket: open.socket,
        side,
        server,
        client,
        netns: open.netns,
        process: Arc::clone(process),
        peer_process: twin.map(|twin| Arc::clone(&twin.process)),
        joined_late: open.joined_late,
        tls: open.tls,
        tls_version: None,
    }
}
