//! Connections whose addresses are translated on the way, so that their ends do not look like twins.
//!
//! In: sockets without a twin, and what the kernel's table says of their addresses. Out: twins, where the other end is on this
//! host; otherwise the server's exchanges with the address that the client has itself. A socket waits for one look at the table,
//! and its exchanges with it, no longer than for a twin. Only where [`Flows::expect_translations`] was called.

use super::Flows;
use crate::{
    event::{Address, SocketId},
    exchange::{Exchange, Side},
};

/// Sockets that wait for a look at the table. Overflow policy: further ones are taken as they are seen;
/// `untranslated_full` counts.
const MAX_STRANGERS: usize = 4096;

/// One end of a translated connection: its addresses as it sees them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// Whether it called or was called.
    pub side: Side,
    /// Its own address.
    pub local: Address,
    /// That of the other end, or what stands for it.
    pub remote: Address,
}

impl Flows {
    /// Sockets without a twin wait for [`Self::translate`] from now on.
    pub fn expect_translations(&mut self) {
        self.translates = true;
    }

    /// Whether [`Self::translate`] has anything to do.
    pub fn awaits_translations(&self) -> bool {
        !self.strangers.is_empty()
    }

    /// Asks the table for the other end of each socket that waits: `find` takes local and remote address as the socket sees them.
    pub fn translate(&mut self, find: &dyn Fn(&Address, &Address) -> Option<End>, out: &mut Vec<Exchange>) {
        for socket in std::mem::take(&mut self.strangers) {
            let Some(conn) = self.connections.get_mut(&socket) else {
                continue;
            };
            conn.is_stranger = false;
            if conn.twin.is_some() {
                continue;
            }
            let (local, remote, netns) = conn.addresses();
            let Some(other) = find(local, remote) else {
                self.settle_as(socket, None, out);
                continue;
            };
            self.stats.translated_connections += 1;
            let twin = self.twins.find(&other.local, &other.remote, netns);
            let (server, client) = match other.side {
                Side::Client => (Some(socket), other.local),
                Side::Server => (twin, local.clone()),
            };
            if let Some(server) = server
                && let Some(conn) = self.connections.get_mut(&server)
            {
                let (local, remote, netns) = conn.addresses();
                self.twins.leave(server, local, remote, netns);
                conn.is_called_by(client);
            }
            match twin {
                Some(twin) => {
                    self.pair(socket, twin);
                    self.settle(socket, out);
                    self.settle(twin, out);
                }
                // The server may be about to show itself; if it does not, it is not on this host.
                None if other.side == Side::Server => self.awaits_server(socket),
                None => self.settle(socket, out),
            }
        }
    }

    /// Has a socket without a twin wait, if its other end may have another address here.
    pub(super) fn enter_stranger(&mut self, socket: SocketId) {
        let Some(conn) = self.connections.get_mut(&socket) else {
            return;
        };
        let (local, remote, _) = conn.addresses();
        let is_ip =
            |address: &Address| matches!(address, Address::Ip(ip, port) if !ip.is_loopback() && *port != 0);
        if !self.translates || conn.process.pid == 0 || !is_ip(local) || !is_ip(remote) {
            return;
        }
        if self.strangers.len() >= MAX_STRANGERS {
            self.stats.untranslated_full += 1;
            return;
        }
        conn.is_stranger = true;
        self.strangers.push(socket);
    }

    /// A client's exchanges wait once more: for the server's.
    fn awaits_server(&mut self, socket: SocketId) {
        if let Some(conn) = self.connections.get_mut(&socket) {
            conn.is_stranger = true;
        }
    }
}
