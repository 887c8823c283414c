//! Who really asked, where proxies and translated addresses stand between.
//!
//! In: an exchange that a process of this host served. Out: the exchange as it would be without them, if anything is known: its
//! connection has the client's own address. Headers count only when a trusted proxy sent them; the kernel's table of translated
//! connections is looked at for peers that are not on this host.

use std::{
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::Arc,
};

use crate::{
    clock::Timestamp,
    event::Address,
    exchange::{Connection, Exchange, Side},
    workload::{Proxies, TranslationStats, Translations},
};

/// Finds the clients behind proxies and translated addresses.
pub(super) struct Origins {
    proxies: Proxies,
    translations: Translations,
}

impl Origins {
    /// Believes these proxies.
    pub(super) fn new(proxies: Proxies) -> Self {
        Self {
            proxies,
            translations: Translations::new(Path::new("/proc")),
        }
    }

    /// The exchange with the client's own address; `None` when it is right as it is.
    pub(super) fn undo(&mut self, exchange: &Exchange, now: Timestamp) -> Option<Exchange> {
        let connection = &exchange.connection;
        let (Side::Server, Address::Ip(server, port), Address::Ip(peer, peer_port)) =
            (connection.side, &connection.server, &connection.client)
        else {
            return None;
        };
        let mut client = None;
        if connection.peer_process.is_none() && !peer.is_loopback() {
            let seen = (
                SocketAddr::new(*server, *port),
                SocketAddr::new(*peer, *peer_port),
            );
            client = self.translations.client(seen.0, seen.1, now);
        }
        let nearest = client.map_or(*peer, |client| client.ip());
        let head = exchange.request.as_ref().map(|request| &request.head);
        if let Some(first) = head.and_then(|head| self.proxies.client(nearest, head)) {
            return Some(asked_by(exchange, first, 0));
        }
        client.map(|client| asked_by(exchange, client.ip(), client.port()))
    }

    /// What was done so far.
    pub(super) fn stats(&self) -> TranslationStats {
        self.translations.stats()
    }
}

/// The same exchange, as if this client had come by itself.
fn asked_by(exchange: &Exchange, client: IpAddr, port: u16) -> Exchange {
    let connection = Connection {
        client: Address::Ip(client, port),
        peer_process: None,
        ..Connection::clone(&exchange.connection)
    };
    Exchange {
        connection: Arc::new(connection),
        ..exchange.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::{Exposure, fixture::call};

    #[test]
    fn the_client_of_a_trusted_proxy_takes_its_place() {
        let mut origins = Origins::new(Proxies::parse(&["127.0.0.1".to_owned()]).unwrap());
        let from = |address: &str| {
            let peer = Address::Ip(address.parse().unwrap(), 1);
            call("GET", "/")
                .from(peer)
                .field("x-forwarded-for", "203.0.113.9")
                .exchange()
        };
        let undone = origins.undo(&from("127.0.0.1"), Timestamp(1)).unwrap();
        assert_eq!(
            undone.connection.client,
            Address::Ip("203.0.113.9".parse().unwrap(), 0)
        );
        assert_eq!(Exposure::of(&undone.connection), Exposure::Internet);
        assert_eq!(origins.undo(&from("127.0.0.2"), Timestamp(1)), None);
    }
}
