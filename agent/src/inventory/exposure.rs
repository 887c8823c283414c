//! From how far away an endpoint is called.
//!
//! In: the caller's end of a connection. Out: an [`Exposure`]. Judged by the address alone: a proxy in front hides
//! who stands behind it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use crate::{event::Address, exchange::Connection};

/// From how far away calls come. Later ones are farther: an endpoint has the farthest of its exchanges'.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Exposure {
    /// No address is known.
    #[default]
    Unknown,
    /// From this host.
    Host,
    /// From a private network.
    Cluster,
    /// From a public address.
    Internet,
}

impl Exposure {
    /// The name used in JSON and tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Exposure::Unknown => "unknown",
            Exposure::Host => "host",
            Exposure::Cluster => "cluster",
            Exposure::Internet => "internet",
        }
    }

    /// Where the client of a connection is.
    pub(crate) fn of(connection: &Connection) -> Self {
        match &connection.client {
            _ if connection.peer_process.is_some() => Exposure::Host,
            Address::Unix(_) => Exposure::Host,
            Address::Ip(ip, _) if ip.is_unspecified() => Exposure::Unknown,
            Address::Ip(ip, _) if is_here(*ip, &connection.server) => Exposure::Host,
            Address::Ip(ip, _) if is_private(*ip) => Exposure::Cluster,
            Address::Ip(..) => Exposure::Internet,
        }
    }
}

/// Whether the server of a connection is on this host, as far as its addresses tell.
pub(super) fn server_is_here(connection: &Connection) -> bool {
    connection.peer_process.is_some()
        || match &connection.server {
            Address::Unix(_) => true,
            Address::Ip(ip, _) => is_here(*ip, &connection.client),
        }
}

fn is_here(ip: IpAddr, other: &Address) -> bool {
    ip.is_loopback() || matches!(other, Address::Ip(other, _) if *other == ip)
}

/// RFC 1918, RFC 3927, RFC 6598 and RFC 4193, and link-local IPv6.
pub(crate) fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_private() || ip.is_link_local() || is_shared(ip),
        IpAddr::V6(ip) => is_private_v6(ip),
    }
}

fn is_shared(ip: Ipv4Addr) -> bool {
    let [first, second, ..] = ip.octets();
    first == 100 && (64..128).contains(&second)
}

fn is_private_v6(ip: Ipv6Addr) -> bool {
    ip.is_unique_local()
        || ip.is_unicast_link_local()
        || ip.to_ipv4_mapped().is_some_and(|ip| is_private(IpAddr::V4(ip)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::fixture::call;

    #[test]
    fn by_address() {
        let exposure = |ip: &str| {
            let client = Address::Ip(ip.parse().expect("address"), 1);
            Exposure::of(&call("GET", "/").from(client).exchange().connection)
        };
        for ip in ["127.0.0.1", "::1", "10.0.0.1"] {
            assert_eq!(exposure(ip), Exposure::Host, "{ip}");
        }
        for ip in [
            "10.0.0.7",
            "192.168.1.1",
            "100.64.0.1",
            "169.254.0.1",
            "fd00::1",
            "fe80::1",
            "::ffff:10.0.0.7",
        ] {
            assert_eq!(exposure(ip), Exposure::Cluster, "{ip}");
        }
        for ip in ["203.0.113.9", "2001:db8::1", "100.128.0.1"] {
            assert_eq!(exposure(ip), Exposure::Internet, "{ip}");
        }
        assert_eq!(exposure("0.0.0.0"), Exposure::Unknown);
        let unix = call("GET", "/").from(Address::Unix(String::new())).exchange();
        assert_eq!(Exposure::of(&unix.connection), Exposure::Host);
    }
}
