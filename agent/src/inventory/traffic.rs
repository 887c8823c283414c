//! What is known of the exchanges of one endpoint: counts, times, distributions.
//!
//! In: exchanges. Out: [`Traffic`], which is mergeable. Everything in it is a sum, a minimum or a maximum, so that
//! the order of exchanges does not matter. Keeps no value of a body or a credential.

use std::{borrow::Cow, collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    Limits, Stats,
    counts::{Counts, Room},
    exposure::Exposure,
    sketch::Sketch,
};
use crate::{
    clock::Timestamp,
    exchange::{Completeness, Exchange, Request},
    protocol::text,
};

/// Different authentication schemes kept. Overflow policy: counted together.
const MAX_SCHEMES: usize = 8;

/// Different status codes kept. Overflow policy: the smallest stay; classes count all.
const MAX_CODES: usize = 32;

/// The scheme under which requests without a credential are counted.
pub const NO_SCHEME: &str = "none";

/// What is known of a set of exchanges.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Traffic {
    /// Exchanges.
    pub hits: u64,
    /// Start of the first.
    pub first_seen: Timestamp,
    /// Start of the last.
    pub last_seen: Timestamp,
    /// Answers by class, from 1xx to 5xx; then all others.
    pub status: [u64; 6],
    /// Answers by status code.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub codes: BTreeMap<u16, u64>,
    /// Exchanges by how much of them was seen.
    pub completeness: CompletenessCounts,
    /// From the end of the request to the start of the answer, in microseconds.
    pub latency_us: Sketch,
    /// Lengths of request bodies that are known, in bytes.
    pub request_bytes: Sketch,
    /// Lengths of response bodies that are known, in bytes.
    pub response_bytes: Sketch,
    /// Host names asked for.
    pub hosts: Counts,
    /// Names of workloads, and addresses, that called.
    pub callers: Counts,
    /// Authentication schemes of requests that were answered with 2xx.
    pub schemes: Counts,
    /// Requests that were answered with 2xx.
    pub succeeded: u64,
    /// The farthest caller.
    pub exposure: Exposure,
}

/// Exchanges by how much of them was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CompletenessCounts {
    /// All of it.
    pub complete: u64,
    /// The request only.
    pub no_response: u64,
    /// With bytes lost inside.
    pub lost: u64,
    /// Cut off by the end of the connection.
    pub truncated: u64,
}

impl CompletenessCounts {
    fn add(&mut self, completeness: Completeness) {
        *match completeness {
            Completeness::Complete => &mut self.complete,
            Completeness::NoResponse => &mut self.no_response,
            Completeness::Lost => &mut self.lost,
            Completeness::Truncated => &mut self.truncated,
        } += 1;
    }

    fn merge(&mut self, other: Self) {
        let Self {
            complete,
            no_response,
            lost,
            truncated,
        } = other;
        self.complete += complete;
        self.no_response += no_response;
        self.lost += lost;
        self.truncated += truncated;
    }
}

impl Traffic {
    /// Adds one exchange.
    pub(super) fn add(
        &mut self,
        exchange: &Exchange,
        request: &Request,
        caller: &str,
        limits: &Limits,
        stats: &mut Stats,
    ) {
        self.see(exchange.started, exchange.started);
        self.hits += 1;
        self.completeness.add(exchange.completeness);
        self.exposure = self.exposure.max(Exposure::of(&exchange.connection));
        if let Some(latency) = exchange.latency {
            self.latency_us.add(micros(latency));
        }
        if let Some(length) = request.body.length {
            self.request_bytes.add(length);
        }
        if let Some(response) = &exchange.response {
            let class = match response.status / 100 {
                class @ 1..=5 => usize::from(class) - 1,
                _ => 5,
            };
            if let Some(count) = self.status.get_mut(class) {
                *count += 1;
            }
            self.count_code(response.status, 1);
            if let Some(length) = response.body.length {
                self.response_bytes.add(length);
            }
            // A head of which a part was lost may have carried a credential.
            if response.status / 100 == 2 && !request.head.cut {
                self.add_schemes(request);
            }
        }
        if let Some(host) = host(request)
            && self.hosts.add(&host, limits.hosts) == Room::Overflow
        {
            stats.host_overflow += 1;
        }
        if self.callers.add(caller, limits.callers) == Room::Overflow {
            stats.caller_overflow += 1;
        }
    }

    /// Adds everything another one knows.
    pub(super) fn merge(&mut self, other: &Self, limits: &Limits) {
        if other.hits == 0 {
            return;
        }
        self.see(other.first_seen, other.last_seen);
        self.hits += other.hits;
        for (count, more) in self.status.iter_mut().zip(other.status) {
            *count += more;
        }
        for (code, more) in &other.codes {
            self.count_code(*code, *more);
        }
        self.completeness.merge(other.completeness);
        self.latency_us.merge(&other.latency_us);
        self.request_bytes.merge(&other.request_bytes);
        self.response_bytes.merge(&other.response_bytes);
        self.hosts.merge(&other.hosts, limits.hosts);
        self.callers.merge(&other.callers, limits.callers);
        self.schemes.merge(&other.schemes, MAX_SCHEMES);
        self.succeeded += other.succeeded;
        self.exposure = self.exposure.max(other.exposure);
    }

    /// Widens first and last seen; to be called before `hits` is counted up.
    fn see(&mut self, first: Timestamp, last: Timestamp) {
        self.first_seen = if self.hits == 0 {
            first
        } else {
            self.first_seen.min(first)
        };
        self.last_seen = self.last_seen.max(last);
    }

    fn count_code(&mut self, code: u16, more: u64) {
        *self.codes.entry(code).or_default() += more;
        if self.codes.len() > MAX_CODES {
            self.codes.pop_last();
        }
    }

    fn add_schemes(&mut self, request: &Request) {
        self.succeeded += 1;
        let mut add = |scheme: &str| {
            // What has no room is in the overflow of `schemes`.
            let (Room::Kept | Room::Overflow) = self.schemes.add(scheme, MAX_SCHEMES);
        };
        if request.credentials.is_empty() {
            add(NO_SCHEME);
        }
        for (at, credential) in request.credentials.iter().enumerate() {
            let mut before = request.credentials.iter().take(at);
            if before.all(|other| other.scheme != credential.scheme) {
                add(credential.scheme);
            }
        }
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

/// The host that a request names, in lower case: the authority of its target (RFC 9112 §3.2.2), or its field.
/// `None` if it is no host name.
pub(super) fn host(request: &Request) -> Option<Cow<'_, str>> {
    let text = match super::path::authority(&request.target) {
        Some(authority) => authority,
        None => {
            let head = &request.head;
            text::of(head.first("host").or_else(|| head.first(":authority"))?)?
        }
    };
    let (mut is_host, mut has_capitals) = (!text.is_empty(), false);
    for byte in text.bytes() {
        is_host &= byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'[' | b']');
        has_capitals |= byte.is_ascii_uppercase();
    }
    is_host.then(|| match has_capitals {
        true => text.to_ascii_lowercase().into(),
        false => text.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::{
        addresses::Addresses,
        fixture::{Call, call},
    };

    fn traffic(calls: &[Call]) -> Traffic {
        let mut traffic = Traffic::default();
        for call in calls {
            let exchange = call.clone().exchange();
            let request = exchange.request.as_ref().expect("request");
            let caller = Addresses::default().name(&exchange.connection.client);
            traffic.add(
                &exchange,
                request,
                &caller,
                &Limits::default(),
                &mut Stats::default(),
            );
        }
        traffic
    }

    #[test]
    fn order_and_parts_do_not_matter() {
        let calls = [
            call("GET", "/a").second(5).latency_ms(7),
            call("GET", "/a").second(1).status(404).field("host", "B.test"),
            call("GET", "/a").second(9).credential("basic"),
            call("GET", "/a").second(3).unanswered(),
        ];
        let whole = traffic(&calls);
        let reversed: Vec<_> = calls.iter().rev().cloned().collect();
        assert_eq!(traffic(&reversed), whole);
        let mut parts = traffic(&calls[..2]);
        parts.merge(&traffic(&calls[2..]), &Limits::default());
        assert_eq!(parts, whole);
        assert_eq!(whole.hits, 4);
        assert_eq!(whole.status, [0, 2, 0, 1, 0, 0]);
        assert_eq!(whole.codes, [(200, 2), (404, 1)].into());
        assert_eq!(whole.hosts.by_frequency(), ["api.test", "b.test"]);
        assert_eq!(whole.callers.by_frequency(), ["10.0.0.7"]);
        assert_eq!(whole.last_seen.since(whole.first_seen), Duration::from_secs(8));
        assert_eq!(
            whole.schemes.iter().collect::<Vec<_>>(),
            [("basic", 1), ("none", 1)]
        );
    }

    #[test]
    fn hosts_are_names() {
        let host_of = |target: &str, field: &str| {
            let exchange = call("GET", target).field("host", field).exchange();
            host(exchange.request.as_ref().expect("request")).map(|host| host.into_owned())
        };
        assert_eq!(host_of("/", "API.test:80").as_deref(), Some("api.test:80"));
        assert_eq!(
            host_of("http://other.test/x", "api.test").as_deref(),
            Some("other.test")
        );
        assert_eq!(host_of("/", "[::1]:80").as_deref(), Some("[::1]:80"));
        assert_eq!(host_of("/", "<script>"), None);
        assert_eq!(host_of("/", ""), None);
    }
}
