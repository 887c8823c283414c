//! What every detector wants to know of an exchange, worked out once.
//!
//! In: a [`Seen`]. Out: a [`Look`]: who acted, from where, and what came of it. Refuses to look into bodies:
//! [`super::fields`] does, for those who need it.

use std::{borrow::Cow, net::IpAddr, sync::Arc};

use super::{
    Seen,
    hash::{hash, hash_all},
};
use crate::{
    clock::Timestamp,
    event::Address,
    exchange::{Completeness, CredentialLocation, Exchange, Request, Side},
    inventory::{EndpointId, is_private},
    protocol::operation::Detail,
    verdict::EvidenceQuality,
    workload::Workload,
};

/// What came of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Outcome {
    /// It was done.
    Success,
    /// It leads elsewhere, or nothing has changed.
    Redirect,
    /// Who are you, or: you may not.
    Refused,
    /// There is no such thing.
    Absent,
    /// Not so often.
    Limited,
    /// Anything else that the client did wrong.
    Invalid,
    /// The server failed.
    Failed,
    /// No answer was seen.
    Unknown,
}

impl Outcome {
    /// The server turned the request down.
    pub(crate) const fn is_rejected(self) -> bool {
        matches!(self, Self::Refused | Self::Absent | Self::Limited | Self::Invalid)
    }

    fn of(exchange: &Exchange) -> Self {
        let Some(response) = &exchange.response else {
            return Self::Unknown;
        };
        if let Some(Detail::Grpc(call)) = exchange.operation.as_ref().map(|operation| &operation.detail)
            && let Some(status) = call.status
        {
            // https://grpc.io/docs/guides/status-codes/
            return match status {
                0 => Self::Success,
                5 | 12 => Self::Absent,
                7 | 16 => Self::Refused,
                8 => Self::Limited,
                1 | 3 | 6 | 9 | 10 | 11 => Self::Invalid,
                _ => Self::Failed,
            };
        }
        match response.status {
            200..=299 => Self::Success,
            300..=399 => Self::Redirect,
            401 | 403 | 407 => Self::Refused,
            404 | 405 | 410 => Self::Absent,
            429 => Self::Limited,
            400..=499 => Self::Invalid,
            500..=599 => Self::Failed,
            _ => Self::Unknown,
        }
    }
}

/// What kind of name an actor has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum ActorKind {
    /// The keyed hash of a credential.
    Credential,
    /// A workload of this host.
    Workload,
    /// An address.
    Address,
}

/// An exchange with what follows from it at once.
#[derive(Debug)]
pub(crate) struct Look<'a> {
    pub(crate) seen: &'a Seen<'a>,
    pub(crate) exchange: &'a Exchange,
    pub(crate) request: &'a Request,
    /// When it began.
    pub(crate) at: Timestamp,
    pub(crate) outcome: Outcome,
    /// Everything of it was seen: what is not there was not there.
    pub(crate) is_whole: bool,
    /// Id of the workload that served it, or sent it.
    pub(crate) workload: u64,
    /// Who did it: credential, else caller, else address.
    pub(crate) actor: u64,
    pub(crate) actor_kind: ActorKind,
    /// Where it came from: caller, else address.
    pub(crate) source: u64,
    /// The neighbourhood of the source: its /24 or /64, or the caller itself.
    pub(crate) network: u64,
    pub(crate) endpoint: Option<EndpointId>,
}

impl<'a> Look<'a> {
    /// `None` when the request was lost: there is nothing to judge.
    pub(crate) fn new(seen: &'a Seen<'a>) -> Option<Self> {
        let exchange = seen.exchange;
        let request = exchange.request.as_ref()?;
        let (source, network) = source(seen);
        let (actor, actor_kind) = match (credential(request), seen.caller) {
            (Some(fingerprint), _) => (fingerprint, ActorKind::Credential),
            (None, Some(_)) => (source, ActorKind::Workload),
            (None, None) => (source, ActorKind::Address),
        };
        let response_is_whole = exchange
            .response
            .as_ref()
            .is_some_and(|response| !response.head.cut);
        Some(Self {
            seen,
            exchange,
            request,
            at: exchange.started,
            outcome: Outcome::of(exchange),
            is_whole: exchange.completeness == Completeness::Complete
                && response_is_whole
                && !request.head.cut
                && !(exchange.connection.joined_late && exchange.number == 0),
            workload: hash(seen.workload.id.as_bytes()),
            actor,
            actor_kind,
            source,
            network,
            endpoint: seen.endpoint,
        })
    }

    /// Whether this host served it; else one of its workloads sent it.
    pub(crate) fn is_served(&self) -> bool {
        self.exchange.connection.side == Side::Server
    }

    pub(crate) fn is_success(&self) -> bool {
        self.outcome == Outcome::Success
    }

    /// Who an object may belong to: the holder that a token names, which stays the same when it is renewed; else the actor.
    pub(crate) fn principal(&self) -> u64 {
        let credentials = self.request.credentials.iter();
        let mut holders = credentials.filter_map(|credential| credential.token.as_ref()?.holder);
        holders.next().unwrap_or(self.actor)
    }

    /// Seconds since the epoch.
    pub(crate) const fn second(&self) -> u64 {
        self.at.0 / 1_000_000_000
    }

    /// Hours since the epoch.
    pub(crate) const fn hour(&self) -> u32 {
        (self.second() / 3600) as u32
    }

    /// The actor as alerts name it.
    pub(crate) fn actor_name(&self) -> String {
        match self.actor_kind {
            ActorKind::Credential => format!("credential:{:016x}", self.actor),
            ActorKind::Workload | ActorKind::Address => self.source_name().into_owned(),
        }
    }

    /// The source as alerts name it.
    pub(crate) fn source_name(&self) -> Cow<'a, str> {
        if let Some(caller) = self.seen.caller {
            return Cow::Borrowed(&caller.name);
        }
        match (address(self.seen), self.seen.client) {
            (Some(address), _) => address.to_string().into(),
            (None, Some(name)) => name.into(),
            (None, None) => "unix".into(),
        }
    }

    /// The endpoint for people: method and template, or method and operation.
    pub(crate) fn endpoint_name(&self) -> Option<String> {
        let operation = self.exchange.operation.as_ref();
        let name = operation
            .and_then(|operation| operation.name.as_deref())
            .or(self.seen.template)?;
        Some(format!("{} {name}", self.request.method))
    }

    /// How much of it was seen.
    pub(crate) fn quality(&self) -> EvidenceQuality {
        let response = self.exchange.response.as_ref();
        let cut = self.request.head.cut
            || self.request.body.cut
            || response.is_some_and(|response| response.head.cut || response.body.cut)
            || matches!(
                self.exchange.completeness,
                Completeness::Lost | Completeness::Truncated
            );
        if self.exchange.connection.joined_late {
            EvidenceQuality::JoinedLate
        } else if cut {
            EvidenceQuality::Cut
        } else {
            EvidenceQuality::Complete
        }
    }

    /// The workload at the observed end.
    pub(crate) fn served_by(&self) -> &'a Arc<Workload> {
        self.seen.workload
    }

    /// Whether it came from a public address.
    pub(crate) fn is_from_internet(&self) -> bool {
        self.seen.caller.is_none()
            && address(self.seen).is_some_and(|ip| !is_private(ip) && !ip.is_loopback())
    }

    /// The path as sent, without its query.
    pub(crate) fn path(&self) -> &'a str {
        let target = &*self.request.target;
        target.split_once('?').map_or(target, |(path, _)| path)
    }
}

/// The fingerprint of the credential that a request names its sender with: fields go before the target.
fn credential(request: &Request) -> Option<u64> {
    let credentials = &request.credentials;
    credentials
        .iter()
        .find(|credential| !matches!(credential.location, CredentialLocation::Query(_)))
        .or(credentials.first())
        .map(|credential| credential.fingerprint)
}

fn source(seen: &Seen<'_>) -> (u64, u64) {
    if let Some(caller) = seen.caller {
        let name = hash_all(["workload", &caller.id]);
        return (name, name);
    }
    match (address(seen), seen.client) {
        (Some(IpAddr::V4(ip)), _) => {
            let [a, b, c, d] = ip.octets();
            (hash(&[4, a, b, c, d]), hash(&[4, a, b, c]))
        }
        (Some(IpAddr::V6(ip)), _) => {
            let octets = ip.octets();
            let network = octets.get(..8).unwrap_or_default();
            (hash(&octets), hash(network))
        }
        (None, Some(name)) => {
            let name = hash_all(["client", name]);
            (name, name)
        }
        (None, None) => (0, 0),
    }
}

/// The address that a request came from: as a file names it, else that of the connection.
fn address(seen: &Seen<'_>) -> Option<IpAddr> {
    if let Some(client) = seen.client {
        let host = client
            .parse::<std::net::SocketAddr>()
            .map(|address| address.ip())
            .ok();
        return host.or_else(|| client.parse().ok());
    }
    match seen.exchange.connection.client {
        Address::Ip(ip, _) => Some(ip),
        Address::Unix(_) => None,
    }
}
