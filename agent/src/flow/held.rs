//! Exchanges that wait for the other end of their connection, on this host, to show itself.
//!
//! A client's waits for the server's side, which tells the same better. A server's waits for the announcement of the
//! client's socket, so that its caller has a name: a server can answer before the client's first operation has returned,
//! which is when that is told. Bounded by [`super::Limits::held_exchanges`] and [`super::Limits::hold`].

use super::{Flows, is_whole};
use crate::{
    clock::Timestamp,
    event::SocketId,
    exchange::{Exchange, Side},
};

/// An exchange that waits.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) until: Timestamp,
    pub(super) exchange: Exchange,
}

impl Held {
    fn is_of(&self, socket: SocketId, side: Option<Side>) -> bool {
        let connection = &self.exchange.connection;
        connection.socket == socket && side.is_none_or(|side| connection.side == side)
    }
}

impl Flows {
    /// Puts the exchanges from `start` on aside.
    pub(super) fn hold(&mut self, socket: SocketId, start: usize, out: &mut Vec<Exchange>) {
        let Some(conn) = self.connections.get_mut(&socket) else {
            return;
        };
        let until = conn.last.after(self.limits.hold);
        conn.held += out.len().saturating_sub(start) as u32;
        self.held
            .extend(out.drain(start..).map(|exchange| Held { until, exchange }));
        while self.held.len() > self.limits.held_exchanges {
            self.stats.held_full += 1;
            self.release(out);
        }
    }

    /// Decides the oldest exchange; with a server's, all of its connection, so that they keep their order.
    pub(super) fn release(&mut self, out: &mut Vec<Exchange>) {
        let Some(Held { until, exchange }) = self.held.pop_front() else {
            return;
        };
        let socket = exchange.connection.socket;
        if exchange.connection.side == Side::Server {
            if let Some(conn) = self.connections.get_mut(&socket) {
                conn.alone = conn.twin.is_none();
                conn.is_stranger = false;
            }
            self.held.push_front(Held { until, exchange });
            self.settle(socket, out);
            return;
        }
        let mut told = false;
        if let Some(conn) = self.connections.get_mut(&socket) {
            conn.held = conn.held.saturating_sub(1);
            conn.is_stranger = false;
            if let Some(twin) = &mut conn.twin {
                told = twin.tells;
                twin.silent |= !told && is_whole(&exchange);
            }
            if conn.closed && conn.held == 0 {
                self.remove(socket);
            }
        }
        if told {
            self.stats.suppressed_exchanges += 1;
        } else {
            self.stats.released_exchanges += 1;
            self.stats.exchanges += 1;
            out.push(exchange);
        }
    }

    /// Passes on what was held of a server's connection, with what is known of its caller now.
    pub(super) fn settle(&mut self, socket: SocketId, out: &mut Vec<Exchange>) {
        self.settle_as(socket, Some(Side::Server), out);
    }

    /// The same, of either side.
    pub(super) fn settle_as(&mut self, socket: SocketId, side: Option<Side>, out: &mut Vec<Exchange>) {
        let held = self.connections.get(&socket).map_or(0, |conn| conn.held);
        if held == 0 {
            return;
        }
        let mut index = 0;
        while let Some(held) = self.held.get(index) {
            if !held.is_of(socket, side) {
                index += 1;
                continue;
            }
            if let Some(Held { mut exchange, .. }) = self.held.remove(index)
                && let Some(conn) = self.connections.get_mut(&socket)
            {
                conn.held = conn.held.saturating_sub(1);
                conn.bring_up_to_date(&mut exchange);
                self.stats.exchanges += 1;
                out.push(exchange);
            }
        }
        if self
            .connections
            .get(&socket)
            .is_some_and(|conn| conn.closed && conn.held == 0)
        {
            self.remove(socket);
        }
    }
}
