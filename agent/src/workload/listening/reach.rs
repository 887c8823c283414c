//! From how far away a listening socket can be reached, as far as addresses tell.
//!
//! In: the address it is bound to, and the addresses of its network namespace. Out: an [`Exposure`]. A socket at all addresses can
//! be reached as far as the farthest of them goes. Firewalls, and addresses that others translate into these, are not known.

use std::net::{IpAddr, Ipv6Addr};

use crate::inventory::{Exposure, is_private};

/// How far `bound` reaches where a namespace has the addresses `own`.
pub(super) fn reach(bound: IpAddr, own: &[IpAddr]) -> Exposure {
    if bound.is_unspecified() {
        let reaches = |address: &&IpAddr| bound.is_ipv6() || address.is_ipv4();
        return own
            .iter()
            .filter(reaches)
            .map(|address| of(*address))
            .max()
            .unwrap_or(Exposure::Host);
    }
    of(bound)
}

fn of(address: IpAddr) -> Exposure {
    match address {
        address if address.is_loopback() => Exposure::Host,
        address if is_private(address) => Exposure::Cluster,
        _ => Exposure::Internet,
    }
}

/// The addresses that are this namespace's own: `/proc/<pid>/net/fib_trie`, where a line `/32 host LOCAL` follows that of the address.
pub(super) fn of_fib_trie(text: &str) -> Vec<IpAddr> {
    let mut found = Vec::new();
    let mut last = None;
    for line in text.lines() {
        let line = line.trim();
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse::<IpAddr>().ok();
        } else if line == "/32 host LOCAL"
            && let Some(address) = last
            && !found.contains(&address)
        {
            found.push(address);
        }
    }
    found
}

/// The same of IPv6: `/proc/<pid>/net/if_inet6`, whose lines begin with the address in hex digits.
pub(super) fn of_if_inet6(text: &str) -> Vec<IpAddr> {
    let addresses = text.lines().filter_map(|line| {
        let digits = line
            .split_ascii_whitespace()
            .next()
            .filter(|digits| digits.len() == 32)?;
        Some(IpAddr::V6(Ipv6Addr::from(u128::from_str_radix(digits, 16).ok()?)))
    });
    addresses.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRIE: &str = "Main:
  +-- 0.0.0.0/0 3 0 5
     +-- 127.0.0.0/8 2 0 2
        |-- 127.0.0.1
           /32 host LOCAL
        |-- 127.255.255.255
           /32 link BROADCAST
     |-- 10.0.0.5
        /32 host LOCAL
Local:
     |-- 10.0.0.5
        /32 host LOCAL
";

    #[test]
    fn all_addresses_reach_as_far_as_the_farthest() {
        let own = of_fib_trie(TRIE);
        assert_eq!(
            own.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["127.0.0.1", "10.0.0.5"]
        );
        let any: IpAddr = "0.0.0.0".parse().unwrap();
        assert_eq!(reach(any, &own), Exposure::Cluster);
        assert_eq!(reach(any, &own[..1]), Exposure::Host);
        let public = [own.as_slice(), &["203.0.113.9".parse().unwrap()]].concat();
        assert_eq!(reach(any, &public), Exposure::Internet);
        assert_eq!(reach("::".parse().unwrap(), &public), Exposure::Internet);
        assert_eq!(reach(own[0], &public), Exposure::Host);
        let six = of_if_inet6("20010db8000000000000000000000001 02 40 00 80 eth0\nshort\n");
        // A socket of IPv4 is not reached by IPv6.
        assert_eq!(reach(any, &[own.as_slice(), &six].concat()), Exposure::Cluster);
        assert_eq!(reach("::".parse().unwrap(), &six), Exposure::Internet);
    }
}
