//! Clients' ends that the source need not copy any more, because the servers' ends, on this host, tell the same.
//!
//! In: a client's end that is not read any more. Out: its socket, once, for the source to leave alone for good. Both ends
//! must have been seen for a while, in clear text, with the server's end whole and without loss, and must be at the same
//! positions in both directions: addresses alone could belong to others. What is given up is what is not read here
//! anyway. Only where [`Flows::leave_out_told`] was called.

use super::{Flows, connection::Conn};
use crate::{
    event::SocketId,
    exchange::{Completeness, Exchange, Side},
};

/// Whole exchanges that the server's end has told in a row. Connections with fewer are not worth asking for.
const MIN_WHOLE: u32 = 8;

impl Flows {
    /// From now on, names clients' ends whose bytes the source need not copy any more.
    pub fn leave_out_told(&mut self) {
        self.leaves_out = true;
    }

    /// Those named since the last call.
    pub fn take_told(&mut self) -> Vec<SocketId> {
        std::mem::take(&mut self.told)
    }

    /// Names a client's end that is not read any more, if the server's end is as good.
    pub(super) fn leave_out(&mut self, socket: SocketId) {
        let Some(client) = self.connections.get(&socket) else {
            return;
        };
        let server = client
            .twin
            .as_ref()
            .and_then(|twin| self.connections.get(&twin.socket));
        let Some(server) = server.filter(|server| server.stands_for(client, socket)) else {
            return;
        };
        let [sent, received] = client.ends();
        if server.ends() != [received, sent] {
            return;
        }
        if let Some(client) = self.connections.get_mut(&socket) {
            client.is_left_out = true;
            self.stats.told_connections += 1;
            self.told.push(socket);
        }
    }
}

impl Conn {
    /// Notes whether exchanges of this end are whole, and leave the connection as it was.
    pub(super) fn count_whole(&mut self, exchanges: &[Exchange]) {
        for exchange in exchanges {
            self.whole = match exchange.completeness {
                Completeness::Complete if !starts_tunnel(exchange) => self.whole.saturating_add(1),
                _ => 0,
            };
        }
    }

    /// Whether this server's end tells all of what a client's end could.
    fn stands_for(&self, client: &Self, socket: SocketId) -> bool {
        self.side() == Some(Side::Server)
            && !self.closed
            && self.whole >= MIN_WHOLE
            && self.is_plain_http()
            && client.is_clear()
            && self.twin.as_ref().is_some_and(|twin| twin.socket == socket)
    }
}

/// Whether what follows on the connection may be something else (RFC 9110 §7.8, §9.3.6).
fn starts_tunnel(exchange: &Exchange) -> bool {
    let request = exchange.request.as_ref();
    let response = exchange.response.as_ref();
    request.is_some_and(|request| &*request.method == "CONNECT")
        || response.is_some_and(|response| response.status == 101)
}
