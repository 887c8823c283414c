//! Who asked first, as proxies tell that the operator trusts.
//!
//! In: the head of a request, the address it came from, and the networks of trusted proxies. Out: the address of the client in front
//! of them. Read are `Forwarded` (RFC 7239) and, without it, `X-Forwarded-For`: from the right, past every trusted proxy, to the
//! first address that none of them vouches for. Refuses to believe a header that came from anybody else.

use std::net::{IpAddr, SocketAddr};

use super::network::Network;
use crate::exchange::Head;

/// Hops that are looked at, from the right. Overflow policy: whoever stands there is taken for the client.
const MAX_HOPS: usize = 32;

/// Whose headers count.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Proxies(Vec<Network>);

impl Proxies {
    /// Networks as the configuration names them: `10.0.0.0/8`, `::1`.
    ///
    /// # Errors
    /// The first that is none.
    pub fn parse(networks: &[String]) -> Result<Self, String> {
        networks
            .iter()
            .map(|text| text.parse())
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The client in front of the proxies; `None` when the peer is none of them, or says nothing that can be read.
    pub fn client(&self, peer: IpAddr, head: &Head) -> Option<IpAddr> {
        if !self.trusts(peer) {
            return None;
        }
        let mut found = None;
        for hop in hops(head).into_iter().rev().take(MAX_HOPS) {
            // What is no address hides who is behind it.
            let Some(address) = hop else {
                break;
            };
            found = Some(address);
            if !self.trusts(address) {
                break;
            }
        }
        found
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }
}

/// The addresses that the header names, the client's first; `None` for what is no address.
fn hops(head: &Head) -> Vec<Option<IpAddr>> {
    let elements = |name| {
        let values = head
            .values(name)
            .map(|value| String::from_utf8_lossy(value).into_owned());
        values.collect::<Vec<_>>().join(",")
    };
    let forwarded = elements("forwarded");
    if !forwarded.is_empty() {
        return forwarded
            .split(',')
            .map(|element| node(forwarded_for(element)?))
            .collect();
    }
    let listed = elements("x-forwarded-for");
    if listed.is_empty() {
        return Vec::new();
    }
    listed.split(',').map(node).collect()
}

/// The value of `for=` in an element of `Forwarded`.
fn forwarded_for(element: &str) -> Option<&str> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then_some(value)
    })
}

/// An address, with or without a port, brackets and quotes.
fn node(text: &str) -> Option<IpAddr> {
    let text = text.trim().trim_matches('"');
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .unwrap_or(text);
    let address = bare
        .parse()
        .ok()
        .or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::fixture::call;

    fn client(peer: &str, fields: &[(&'static str, &'static str)]) -> Option<String> {
        let trusted = ["10.0.0.0/8".to_owned(), "::1".to_owned()];
        let proxies = Proxies::parse(&trusted).unwrap();
        let call = fields
            .iter()
            .fold(call("GET", "/"), |call, (name, value)| call.field(name, value));
        let exchange = call.exchange();
        let found = proxies.client(peer.parse().unwrap(), &exchange.request.unwrap().head);
        found.map(|address| address.to_string())
    }

    #[test]
    fn the_first_address_that_no_trusted_proxy_vouches_for_is_the_client() {
        let is = |fields: &[(&'static str, &'static str)], expected: &str| {
            assert_eq!(client("10.0.0.1", fields).as_deref(), Some(expected))
        };
        is(&[("x-forwarded-for", "203.0.113.9")], "203.0.113.9");
        // What stands before it may be made up.
        is(
            &[("X-Forwarded-For", "1.1.1.1, 203.0.113.9, 10.0.0.7")],
            "203.0.113.9",
        );
        is(
            &[
                ("x-forwarded-for", "1.1.1.1"),
                ("x-forwarded-for", "203.0.113.9:4711"),
            ],
            "203.0.113.9",
        );
        is(
            &[(
                "forwarded",
                "for=1.1.1.1;proto=https, FOR=\"[2001:db8::1]:4711\";by=10.0.0.1",
            )],
            "2001:db8::1",
        );
        is(
            &[("forwarded", "for=203.0.113.9"), ("x-forwarded-for", "1.1.1.1")],
            "203.0.113.9",
        );
        // All are trusted: the farthest of them asked.
        is(&[("x-forwarded-for", "10.0.0.9, 10.0.0.8")], "10.0.0.9");
        // A name hides what is behind it.
        is(
            &[("forwarded", "for=1.1.1.1, for=_hidden, for=10.0.0.7")],
            "10.0.0.7",
        );
    }

    #[test]
    fn others_are_not_believed() {
        let claim = [("x-forwarded-for", "10.0.0.9")];
        assert_eq!(client("203.0.113.9", &claim), None);
        assert_eq!(client("10.0.0.1", &[]), None);
        for nonsense in ["", ",", "unknown", "for=", "999.1.1.1", "[::1", "\"\""] {
            assert_eq!(
                client("10.0.0.1", &[("x-forwarded-for", nonsense)]),
                None,
                "{nonsense}"
            );
            assert_eq!(client("10.0.0.1", &[("forwarded", nonsense)]), None, "{nonsense}");
        }
        assert_eq!(
            Proxies::default().client("10.0.0.1".parse().unwrap(), &Head::default()),
            None
        );
    }
}
