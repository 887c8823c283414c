//! An exchange as the rules look at it: what several of them ask for is found out once.

use std::net::IpAddr;

use super::subject::LOGIN;
use crate::{
    analysis::hash,
    clock::Timestamp,
    event::Address,
    exchange::{Completeness, Exchange, Request, Response},
    inventory::{Exposure, sensitive::SensitiveType},
};

/// Whether a request says who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Caller {
    /// It carries nothing that could.
    Anonymous,
    /// It carries a credential.
    Authenticated,
    /// It carries cookies that may be one, or part of its head was lost.
    Unclear,
}

/// One answered request.
pub(super) struct Message<'a> {
    pub(super) exchange: &'a Exchange,
    pub(super) request: &'a Request,
    pub(super) response: &'a Response,
    pub(super) template: &'a str,
    pub(super) caller: Caller,
    /// The client is not on this host.
    pub(super) is_remote: bool,
    /// Types of sensitive data in the answer, one for each value that has one; nothing where it was not read.
    pub(super) answered: &'a [SensitiveType],
}

impl<'a> Message<'a> {
    /// `None` for an exchange of which too little was seen to judge it.
    pub(super) fn of(
        exchange: &'a Exchange,
        template: &'a str,
        answered: &'a [SensitiveType],
    ) -> Option<Self> {
        let (request, response) = (exchange.request.as_ref()?, exchange.response.as_ref()?);
        if exchange.completeness == Completeness::Lost {
            return None;
        }
        let head = &request.head;
        let caller = if !request.credentials.is_empty() {
            Caller::Authenticated
        } else if head.cut || head.first("cookie").is_some() || head.first("authorization").is_some() {
            Caller::Unclear
        } else {
            Caller::Anonymous
        };
        Some(Self {
            exchange,
            request,
            response,
            template,
            caller,
            is_remote: Exposure::of(&exchange.connection) > Exposure::Host,
            answered,
        })
    }

    pub(super) fn at(&self) -> Timestamp {
        self.exchange.started
    }

    /// The name of the client's address, if that is one of the internet.
    pub(super) fn internet_address(&self) -> Option<u64> {
        let connection = &self.exchange.connection;
        match &connection.client {
            Address::Ip(ip, _) if Exposure::of(connection) == Exposure::Internet => Some(match ip {
                IpAddr::V4(ip) => hash::hash(&ip.octets()),
                IpAddr::V6(ip) => hash::hash(&ip.octets()),
            }),
            _ => None,
        }
    }

    pub(super) fn is_success(&self) -> bool {
        self.response.status / 100 == 2
    }

    /// The first value of a field of the answer, as text.
    pub(super) fn answer_field(&self, name: &'static str) -> Option<&'a str> {
        std::str::from_utf8(self.response.head.first(name)?).ok()
    }

    /// The first value of a field of the request, as text.
    pub(super) fn field(&self, name: &'static str) -> Option<&'a str> {
        std::str::from_utf8(self.request.head.first(name)?).ok()
    }

    /// Whether the answer is a page for people, such as one that asks to log in.
    pub(super) fn is_page(&self) -> bool {
        self.answer_field("content-type")
            .is_some_and(|kind| kind.trim_start().starts_with("text/html"))
    }

    /// Whether it tries to log in, by its place.
    pub(super) fn is_login(&self) -> bool {
        &*self.request.method == "POST"
            && self
                .template
                .split(['/', '.', ':'])
                .any(|word| LOGIN.iter().any(|known| word.eq_ignore_ascii_case(known)))
    }

    /// Whether an answer of success says in its body that it is none.
    pub(super) fn says_failed(&self) -> bool {
        let sample = &self.response.body.sample;
        let head: Vec<u8> = sample
            .iter()
            .take(256)
            .filter(|byte| !byte.is_ascii_whitespace())
            .map(u8::to_ascii_lowercase)
            .collect();
        [
            &b"\"status\":\"fail"[..],
            b"\"status\":\"error",
            b"\"result\":\"fail",
            b"\"success\":false",
            b"\"ok\":false",
            b"\"authenticated\":false",
        ]
        .iter()
        .any(|said| memchr::memmem::find(&head, said).is_some())
    }

    /// Whether the answer carries data.
    pub(super) fn has_data(&self) -> bool {
        self.is_success() && !self.is_page() && self.response.status != 204
    }

    /// Whether bytes went unencrypted beyond this host, as far as can be told: a proxy in front may have ended TLS.
    pub(super) fn is_cleartext(&self) -> bool {
        let was_https = ["x-forwarded-proto", "x-forwarded-scheme", "forwarded"]
            .into_iter()
            .filter_map(|name| self.field(name))
            .any(|value| value.to_ascii_lowercase().contains("https"));
        !self.exchange.connection.tls && self.is_remote && !was_https
    }
}
