//! A request that made its server call somewhere else (API7:2023).
//!
//! In: requests that name a host in a field, and requests that the same workload then sends. Out: a signal when the
//! second goes where the first said. Services that fetch for a living (webhooks, previews) are learned; for them only
//! places that no caller can reach by himself count.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Memory, Scene, signal};
use crate::{
    analysis::{
        fields::{Field, Part},
        hash::hash,
        look::Look,
    },
    clock::Timestamp,
    event::Address,
    verdict::{Group, Signal},
};

/// Calls remembered of one workload. Overflow policy: the oldest is forgotten.
const MAX_CALLS: usize = 64;

/// Workloads remembered. Overflow policy: the one not seen for the longest is forgotten.
const MAX_REMEMBERED: usize = 1024;

/// Seconds by which a call may follow the request that asked for it.
const SOON: u64 = 30;

/// One call that a workload has made.
#[derive(Debug, Clone, Copy)]
struct Call {
    host: u64,
    at: Timestamp,
    is_new: bool,
}

/// Calls of workloads.
#[derive(Debug)]
pub(in crate::analysis) struct Ssrf {
    calls: Memory<Vec<Call>>,
    /// The exchange at hand named a host that was then called.
    pub(in crate::analysis) has_joined: bool,
}

impl Default for Ssrf {
    fn default() -> Self {
        Self {
            calls: Memory::new(MAX_REMEMBERED),
            has_joined: false,
        }
    }
}

impl Ssrf {
    /// Remembers a call that a workload makes: the host it names, and the address it goes to.
    pub(super) fn outbound(&mut self, look: &Look<'_>, is_new: bool) {
        let head = &look.request.head;
        let named = head.first("host").or_else(|| head.first(":authority"));
        let named = named.and_then(|host| std::str::from_utf8(host).ok()).map(bare);
        let address = match look.exchange.connection.server {
            Address::Ip(ip, _) => Some(ip.to_string()),
            Address::Unix(_) => None,
        };
        let calls = self.calls.of(look.workload);
        for host in [named, address.as_deref()].into_iter().flatten() {
            if calls.len() >= MAX_CALLS {
                calls.remove(0);
            }
            calls.push(Call {
                host: hash(host.to_ascii_lowercase().as_bytes()),
                at: look.at,
                is_new,
            });
        }
    }

    pub(super) fn inbound(&mut self, scene: &Scene<'_>, signals: &mut Vec<Signal>) {
        self.has_joined = false;
        let look = scene.look;
        let Some(calls) = self.calls.get(look.workload) else {
            return;
        };
        for field in scene.asked.iter().filter(|field| field.part != Part::Path) {
            let Some(host) = host_in(&field) else {
                continue;
            };
            let name = hash(host.to_ascii_lowercase().as_bytes());
            let joined = calls.iter().rev().find(|call| {
                call.host == name && call.at >= look.at && call.at.since(look.at).as_secs() <= SOON
            });
            let Some(call) = joined else {
                continue;
            };
            self.has_joined = true;
            let is_internal = is_internal(&host);
            let fetches = scene.usual.is_some_and(|usual| usual.fetches.bounds().0 > 0.5);
            let (class, confidence) = match (is_internal, fetches) {
                (true, _) => ("ssrf_internal", 0.9),
                (false, true) => return,
                // Whether it fetches for a living is not known yet.
                (false, false) if scene.usual.is_none() => ("ssrf", 0.45),
                (false, false) => ("ssrf", if call.is_new { 0.8 } else { 0.7 }),
            };
            let text = "the server called the host that the request named";
            signals.push(
                signal("ssrf", class, Group::Ssrf, confidence, text)
                    .at(field.path)
                    .seen(
                        if is_internal {
                            "a host inside"
                        } else {
                            "a host outside"
                        },
                        "no such call",
                    )
                    .within(SOON),
            );
            return;
        }
    }
}

/// The host that a value names: of a URL, or an address or name under a name that says so.
fn host_in(field: &Field<'_>) -> Option<String> {
    let text = field.text.trim();
    let host = match text.split_once("://") {
        Some((scheme, rest)) if scheme.len() <= 10 && scheme.bytes().all(|b| b.is_ascii_alphanumeric()) => {
            let authority = rest.split(['/', '?', '#']).next()?;
            authority.rsplit('@').next()?
        }
        _ if super::words::has_word(
            field.name(),
            &["host", "hostname", "server", "domain", "ip", "address", "url"],
        ) =>
        {
            text.split('/').next()?
        }
        _ => return None,
    };
    let host = bare(host);
    (!host.is_empty() && host.len() <= 253).then(|| normal(host))
}

/// A host without its port.
fn bare(host: &str) -> &str {
    if let Some(inner) = host.strip_prefix('[') {
        return inner.split(']').next().unwrap_or(inner);
    }
    host.split(':').next().unwrap_or(host)
}

/// Numbers that stand for an address as that address: `2130706433` is `127.0.0.1`.
fn normal(host: &str) -> String {
    match host.parse::<u32>() {
        Ok(number) => Ipv4Addr::from(number).to_string(),
        Err(_) => host.to_owned(),
    }
}

/// Whether a host is one that a caller from outside cannot reach by himself.
fn is_internal(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) => {
            ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_unspecified()
        }
        Ok(IpAddr::V6(ip)) => ip == Ipv6Addr::LOCALHOST || ip.is_unique_local() || ip.is_unicast_link_local(),
        Err(_) => {
            let host = host.to_ascii_lowercase();
            host == "localhost"
                || [".local", ".internal", ".svc", ".cluster.local", ".localdomain"]
                    .iter()
                    .any(|end| host.ends_with(end))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::fields::Kind;

    fn host(path: &str, text: &str) -> Option<String> {
        host_in(&Field {
            part: Part::Query,
            kind: Kind::Text,
            place: 0,
            path,
            text,
        })
    }

    #[test]
    fn hosts_in_values() {
        assert_eq!(
            host("query.url", "http://169.254.169.254/latest").as_deref(),
            Some("169.254.169.254")
        );
        assert_eq!(
            host("query.x", "https://a:b@Host.test:8080/x").as_deref(),
            Some("Host.test")
        );
        assert_eq!(host("query.host", "2130706433").as_deref(), Some("127.0.0.1"));
        assert_eq!(host("query.name", "hello world"), None);
        assert!(is_internal("169.254.169.254") && is_internal("db.internal") && !is_internal("example.test"));
    }
}
