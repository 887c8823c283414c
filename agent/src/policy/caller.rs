//! Callers: workloads by name, addresses and networks (RFC 4632, RFC 4291 §2.3).

use std::net::IpAddr;

use serde::{Deserialize, Deserializer, de::Error as _};

use super::glob::Glob;

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    is_negated: bool,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Network(IpAddr, u8),
    Name(Glob),
}

impl Caller {
    /// Whether `!` stands in front.
    pub(super) const fn is_negated(&self) -> bool {
        self.is_negated
    }

    /// Whether a caller fits, `!` aside.
    pub(super) fn fits(&self, address: Option<IpAddr>, name: &str) -> bool {
        match &self.kind {
            Kind::Name(glob) => glob.fits(name),
            Kind::Network(network, bits) => address.is_some_and(|address| {
                let address = address.to_canonical();
                match (network, address) {
                    (IpAddr::V4(network), IpAddr::V4(address)) => {
                        let shift = 32 - u32::from(*bits);
                        let head = |ip: u32| ip.checked_shr(shift).unwrap_or(0);
                        head(network.to_bits()) == head(address.to_bits())
                    }
                    (IpAddr::V6(network), IpAddr::V6(address)) => {
                        let shift = 128 - u32::from(*bits);
                        let head = |ip: u128| ip.checked_shr(shift).unwrap_or(0);
                        head(network.to_bits()) == head(address.to_bits())
                    }
                    _ => false,
                }
            }),
        }
    }
}

impl TryFrom<&str> for Caller {
    type Error = String;

    fn try_from(text: &str) -> Result<Self, String> {
        let (text, is_negated) = match text.strip_prefix('!') {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let kind = match (address.parse::<IpAddr>(), bits) {
            (Ok(address), bits) => {
                let most = if address.is_ipv4() { 32 } else { 128 };
                let bits =
                    match bits {
                        None => most,
                        Some(bits) => bits.parse().ok().filter(|bits| *bits <= most).ok_or_else(|| {
                            format!("`{text}` is no network: the part behind / is 0 to {most}")
                        })?,
                    };
                Kind::Network(address, bits)
            }
            (Err(_), _) => Kind::Name(Glob::try_from(text)?),
        };
        Ok(Self { is_negated, kind })
    }
}

impl<'de> Deserialize<'de> for Caller {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::try_from(text.as_str()).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_and_names() {
        let fits = |caller: &str, address: &str, name: &str| {
            Caller::try_from(caller)
                .expect("a caller")
                .fits(address.parse().ok(), name)
        };
        assert!(fits("10.0.0.0/8", "10.9.9.9", ""));
        assert!(!fits("10.0.0.0/8", "11.0.0.1", ""));
        assert!(fits("0.0.0.0/0", "11.0.0.1", "") && !fits("0.0.0.0/0", "::1", ""));
        assert!(fits("10.0.0.7", "::ffff:10.0.0.7", ""));
        assert!(fits("2001:db8::/32", "2001:db8:1::1", ""));
        assert!(fits("shop*", "127.0.0.1", "shop-api") && !fits("shop*", "127.0.0.1", "x"));
        assert!(Caller::try_from("10.0.0.0/33").is_err());
    }
}
