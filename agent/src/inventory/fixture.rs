//! Exchanges for the tests of this module, made in one line.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use bytes::Bytes;
use smallvec::SmallVec;

use crate::{
    clock::Timestamp,
    event::{Address, ProcessRef, SocketId},
    exchange::{
        Body, Completeness, Connection, Credential, CredentialLocation, Exchange, Facts, Head, Protocol,
        Request, Response, Side,
    },
    protocol::recognise,
};

/// An exchange in the making.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    method: &'static str,
    target: String,
    fields: Vec<(&'static str, String)>,
    answer_fields: Vec<(&'static str, String)>,
    answer: Bytes,
    body: Bytes,
    status: Option<u16>,
    client: Address,
    server: Address,
    side: Side,
    second: u64,
    latency_ms: u64,
    scheme: Option<&'static str>,
    completeness: Completeness,
}

/// A call from 10.0.0.7 that is answered with 200 after 5 ms.
pub(crate) fn call(method: &'static str, target: &str) -> Call {
    Call {
        method,
        target: target.into(),
        fields: vec![("host", "api.test".into())],
        answer_fields: Vec::new(),
        answer: Bytes::new(),
        body: Bytes::new(),
        status: Some(200),
        client: Address::Ip(Ipv4Addr::new(10, 0, 0, 7).into(), 50_000),
        server: Address::Ip(Ipv4Addr::new(10, 0, 0, 1).into(), 80),
        side: Side::Server,
        second: 1_700_000_000,
        latency_ms: 5,
        scheme: None,
        completeness: Completeness::Complete,
    }
}

impl Call {
    pub(crate) fn field(mut self, name: &'static str, value: &str) -> Self {
        self.fields.retain(|(known, _)| *known != name);
        self.fields.push((name, value.into()));
        self
    }

    pub(crate) fn answer_field(mut self, name: &'static str, value: &str) -> Self {
        self.answer_fields.push((name, value.into()));
        self
    }

    /// A body of the request.
    pub(crate) fn body(mut self, media: &str, body: &str) -> Self {
        self.body = Bytes::copy_from_slice(body.as_bytes());
        self.field("content-type", media)
    }

    /// A JSON body of the response.
    pub(crate) fn answer(mut self, body: &str) -> Self {
        self.answer = Bytes::copy_from_slice(body.as_bytes());
        self.answer_field("content-type", "application/json")
    }

    pub(crate) fn status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    pub(crate) fn unanswered(mut self) -> Self {
        self.status = None;
        self.completeness = Completeness::NoResponse;
        self
    }

    pub(crate) fn completeness(mut self, completeness: Completeness) -> Self {
        self.completeness = completeness;
        self
    }

    pub(crate) fn from(mut self, client: Address) -> Self {
        self.client = client;
        self
    }

    pub(crate) fn to(mut self, server: Address) -> Self {
        self.server = server;
        self.side = Side::Client;
        self
    }

    pub(crate) fn second(mut self, second: u64) -> Self {
        self.second = 1_700_000_000 + second;
        self
    }

    pub(crate) fn latency_ms(mut self, latency_ms: u64) -> Self {
        self.latency_ms = latency_ms;
        self
    }

    pub(crate) fn credential(mut self, scheme: &'static str) -> Self {
        self.scheme = Some(scheme);
        self
    }

    pub(crate) fn exchange(self) -> Exchange {
        let body = Body {
            sample: Bytes::new(),
            length: Some(100),
            cut: false,
        };
        let credential = |scheme| Credential {
            location: CredentialLocation::Header("authorization".into()),
            scheme,
            fingerprint: 1,
            token: None,
        };
        let mut exchange = Exchange {
            connection: Arc::new(Connection {
                socket: SocketId(1),
                side: self.side,
                server: self.server,
                client: self.client,
                netns: 0,
                process: Arc::new(ProcessRef {
                    pid: 1,
                    start_ns: 1,
                    cgroup: 0,
                    comm: "server".into(),
                }),
                peer_process: None,
                joined_late: false,
                tls: false,
                tls_version: None,
            }),
            number: 0,
            stream: None,
            protocol: Protocol::Http11,
            started: Timestamp(self.second * 1_000_000_000),
            latency: self.status.map(|_| Duration::from_millis(self.latency_ms)),
            duration: None,
            request: Some(Request {
                method: self.method.into(),
                target: self.target.into(),
                sent_target: None,
                head: head(&self.fields),
                body: Body {
                    sample: self.body,
                    ..body.clone()
                },
                credentials: self.scheme.map(credential).into_iter().collect(),
            }),
            response: self.status.map(|status| Response {
                status,
                head: head(&self.answer_fields),
                body: Body {
                    sample: self.answer,
                    ..body
                },
            }),
            completeness: self.completeness,
            facts: Facts::default(),
            operation: None,
        };
        recognise::name(&mut exchange);
        exchange
    }
}

fn head(fields: &[(&'static str, String)]) -> Head {
    let mut buffer = Vec::new();
    let mut push = |text: &str| {
        let start = u32::try_from(buffer.len()).expect("small");
        buffer.extend_from_slice(text.as_bytes());
        start..u32::try_from(buffer.len()).expect("small")
    };
    let fields: SmallVec<_> = fields
        .iter()
        .map(|(name, value)| (push(name), push(value)))
        .collect();
    Head {
        buffer: buffer.into(),
        fields,
        cut: false,
    }
}
