//! Who really asked, where a proxy stands between.
//!
//! In: an exchange that a process of this host served. Out: the exchange as it would be without the proxy, if anything is known: its
//! connection has the client's own address. Fields count only when a trusted proxy sent them. Translated addresses are undone
//! before, where connections are put together.

use std::{net::IpAddr, sync::Arc};

use crate::{
    event::Address,
    exchange::{Connection, Exchange, Side},
    workload::Proxies,
};

/// Finds the clients behind proxies.
pub(super) struct Origins {
    proxies: Proxies,
}

impl Origins {
    /// Believes these proxies.
    pub(super) fn new(proxies: Proxies) -> Self {
        Self { proxies }
    }

    /// The exchange with the client's own address; `None` when it is right as it is.
    pub(super) fn undo(&self, exchange: &Exchange) -> Option<Exchange> {
        let connection = &exchange.connection;
        let (Side::Server, Address::Ip(peer, _)) = (connection.side, &connection.client) else {
            return None;
        };
        let head = &exchange.request.as_ref()?.head;
        let first = self.proxies.client(*peer, head)?;
        Some(asked_by(exchange, first))
    }
}

/// The same exchange, as if this client had come by itself.
fn asked_by(exchange: &Exchange, client: IpAddr) -> Exchange {
    let connection = Connection {
        client: Address::Ip(client, 0),
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
        let origins = Origins::new(Proxies::parse(&["127.0.0.1".to_owned()]).unwrap());
        let from = |address: &str| {
            let peer = Address::Ip(address.parse().unwrap(), 1);
            call("GET", "/")
                .from(peer)
                .field("x-forwarded-for", "203.0.113.9")
                .exchange()
        };
        let undone = origins.undo(&from("127.0.0.1")).unwrap();
        assert_eq!(
            undone.connection.client,
            Address::Ip("203.0.113.9".parse().unwrap(), 0)
        );
        assert_eq!(Exposure::of(&undone.connection), Exposure::Internet);
        assert_eq!(origins.undo(&from("127.0.0.2")), None);
    }
}
