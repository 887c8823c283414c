//! Exchanges from files that describe them as such: the connection they need is made up.
//!
//! In: a [`Draft`], the common content of a HAR entry and a line of an exchanges file. Out: a
//! [`FileExchange`]. Exchanges with the same client, workload, host and scheme share a connection. Refuses to
//! invent more: there is no process, no port where none was given, no time but that of the file.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;

use crate::{
    clock::Timestamp,
    event::{Address, ProcessRef, SocketId},
    exchange::{
        BODY_SAMPLE_BYTES, Body, Completeness, Connection, Exchange, Facts, Head, Protocol, Request,
        Response, Side, TlsVersion,
    },
    protocol::redact::Redactor,
};

/// Connections remembered. Overflow policy: all are forgotten, and exchanges open new ones.
const MAX_CONNECTIONS: usize = 65_536;

/// Field bytes of one head, besides a target. Overflow policy: the fields beyond are left out and the head says
/// so.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// Longest method. Longer ones are an error.
const MAX_METHOD_BYTES: usize = 64;

/// Longest target. Longer ones are an error.
const MAX_TARGET_BYTES: usize = 64 * 1024;

/// An exchange that a file gave as such.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileExchange {
    /// Its name in the file; its line or entry number, from 1, if it has none.
    pub id: String,
    /// The workload that the file names.
    pub workload: Option<String>,
    /// The client as the file has it.
    pub client: Option<String>,
    /// The server as the file has it: its name, else its address.
    pub server: Option<String>,
    /// What was said.
    pub exchange: Exchange,
}

/// Fields and body of a message as a file gives them.
#[derive(Debug, Default)]
pub(super) struct Message {
    pub(super) headers: Vec<(String, String)>,
    /// `None` if the file does not say.
    pub(super) body: Option<Vec<u8>>,
    /// Length of the whole body, if the file tells it.
    pub(super) length: Option<u64>,
}

/// What a file says about an exchange.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) id: String,
    pub(super) at: Option<Timestamp>,
    pub(super) workload: Option<String>,
    pub(super) client: Option<String>,
    /// Address of the server, if the file knows it.
    pub(super) server: Option<String>,
    pub(super) host: Option<String>,
    pub(super) tls: bool,
    pub(super) tls_version: Option<TlsVersion>,
    pub(super) protocol: Protocol,
    pub(super) method: String,
    pub(super) target: String,
    pub(super) request: Message,
    pub(super) status: Option<u16>,
    pub(super) response: Message,
    pub(super) latency: Option<Duration>,
    pub(super) duration: Option<Duration>,
}

/// What makes exchanges share a connection.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    client: Option<String>,
    workload: Option<String>,
    server: Option<String>,
    host: Option<String>,
    tls: bool,
    tls_version: Option<TlsVersion>,
}

/// Turns drafts into exchanges.
#[derive(Debug)]
pub(super) struct Maker<'a> {
    redactor: &'a Redactor,
    connections: HashMap<Key, (Arc<Connection>, u64)>,
    sockets: u64,
    last_at: Timestamp,
}

impl<'a> Maker<'a> {
    pub(super) fn new(redactor: &'a Redactor) -> Self {
        Self {
            redactor,
            connections: HashMap::new(),
            sockets: 0,
            last_at: Timestamp::default(),
        }
    }

    /// Makes an exchange, or says why not.
    pub(super) fn make(&mut self, draft: Draft) -> Result<FileExchange, String> {
        let Draft {
            id,
            at,
            workload,
            client,
            server,
            host,
            tls,
            tls_version,
            protocol,
            method,
            target,
            mut request,
            status,
            response,
            latency,
            duration,
        } = draft;
        if method.is_empty() || method.len() > MAX_METHOD_BYTES {
            return Err(format!("`method` must have 1 to {MAX_METHOD_BYTES} bytes"));
        }
        if target.is_empty() || target.len() > MAX_TARGET_BYTES {
            return Err(format!("`target` must have 1 to {MAX_TARGET_BYTES} bytes"));
        }
        // RFC 9110 §15: three digits; 1xx are not final, but 101 ends HTTP.
        let status = status.filter(|status| *status == 101 || (200..=999).contains(status));
        self.last_at = at.unwrap_or(self.last_at);
        let started = self.last_at;
        if let Some(host) = &host
            && !request
                .headers
                .iter()
                .any(|(name, _)| name.eq_ignore_ascii_case("host"))
        {
            request.headers.insert(0, ("host".to_owned(), host.clone()));
        }
        let named = host.clone().or_else(|| server.clone());
        let (connection, number) = self.connection(Key {
            client: client.clone(),
            workload: workload.clone(),
            server,
            host,
            tls,
            tls_version,
        });
        let exchange = Exchange {
            connection,
            number,
            stream: None,
            protocol,
            started,
            latency,
            duration,
            request: Some(self.request(method, &target, request)),
            response: status.map(|status| self.response(status, response)),
            completeness: match status {
                Some(_) => Completeness::Complete,
                None => Completeness::NoResponse,
            },
            facts: Facts::default(),
            operation: None,
        };
        Ok(FileExchange {
            id,
            workload,
            client,
            server: named,
            exchange,
        })
    }

    fn request(&self, method: String, target: &str, message: Message) -> Request {
        let (mut head, mut bytes) = head(target, &message.headers);
        let range = 0..target.len() as u32;
        let sent_target = self.redactor.sent_target(&bytes, &range);
        let credentials = self.redactor.request(&mut bytes, &range, &head.fields);
        head.buffer = Bytes::from(bytes);
        let target: Box<str> = String::from_utf8_lossy(head.slice(&range)).into();
        Request {
            method: method.into(),
            sent_target: sent_target.filter(|sent| *sent != target),
            target,
            head,
            body: body(message),
            credentials,
        }
    }

    fn response(&self, status: u16, message: Message) -> Response {
        let (mut head, mut bytes) = head("", &message.headers);
        self.redactor.response(&mut bytes, &head.fields);
        head.buffer = Bytes::from(bytes);
        Response {
            status,
            head,
            body: body(message),
        }
    }

    fn connection(&mut self, key: Key) -> (Arc<Connection>, u64) {
        if self.connections.len() >= MAX_CONNECTIONS {
            self.connections.clear();
        }
        let sockets = &mut self.sockets;
        let (connection, next) = self.connections.entry(key).or_insert_with_key(|key| {
            *sockets += 1;
            let port = if key.tls { 443 } else { 80 };
            let server = key.server.as_deref().or(key.host.as_deref());
            let connection = Connection {
                socket: SocketId(*sockets),
                side: Side::Server,
                server: address(server, port),
                client: address(key.client.as_deref(), 0),
                netns: 0,
                process: Arc::new(ProcessRef {
                    pid: 0,
                    start_ns: 0,
                    cgroup: 0,
                    comm: Default::default(),
                }),
                peer_process: None,
                joined_late: false,
                tls: key.tls,
                tls_version: key.tls_version,
            };
            (Arc::new(connection), 0)
        });
        let number = *next;
        *next += 1;
        (Arc::clone(connection), number)
    }
}

/// An address with or without a port; names, which are not resolved, become the unspecified address.
fn address(text: Option<&str>, port: u16) -> Address {
    let text = text.unwrap_or_default();
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Address::Ip(address.ip().to_canonical(), address.port());
    }
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Address::Ip(ip.to_canonical(), port);
    }
    let port = text
        .rsplit_once(':')
        .and_then(|(_, port)| port.parse().ok())
        .unwrap_or(port);
    Address::Ip(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port)
}

/// A head whose buffer begins with `start`, and the buffer, to be masked and put into it.
fn head(start: &str, headers: &[(String, String)]) -> (Head, Vec<u8>) {
    let mut buffer = Vec::from(start);
    let mut head = Head::default();
    for (name, value) in headers {
        if buffer.len() + name.len() + value.len() > MAX_TARGET_BYTES + MAX_HEAD_BYTES {
            head.cut = true;
            break;
        }
        let mut add = |text: &str| {
            // Bounded by the sizes above.
            let start = buffer.len() as u32;
            buffer.extend_from_slice(text.as_bytes());
            start..buffer.len() as u32
        };
        head.fields.push((add(name), add(value)));
    }
    (head, buffer)
}

fn body(message: Message) -> Body {
    let Some(mut bytes) = message.body else {
        return Body {
            length: message.length,
            cut: message.length.is_some_and(|length| length > 0),
            ..Body::default()
        };
    };
    let seen = bytes.len() as u64;
    bytes.truncate(BODY_SAMPLE_BYTES);
    bytes.shrink_to_fit();
    let length = message.length.unwrap_or(seen);
    Body {
        cut: length > bytes.len() as u64,
        length: Some(length),
        sample: Bytes::from(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_as_given_or_left_open() {
        let cases = [
            (Some("10.0.0.7"), "10.0.0.7:80"),
            (Some("10.0.0.7:51512"), "10.0.0.7:51512"),
            (Some("::1"), "[::1]:80"),
            (Some("[::1]:9"), "[::1]:9"),
            (Some("[::1]"), "[::1]:80"),
            (Some("::ffff:10.0.0.7"), "10.0.0.7:80"),
            (Some("api.example.test"), "0.0.0.0:80"),
            (Some("api.example.test:8443"), "0.0.0.0:8443"),
            (None, "0.0.0.0:80"),
        ];
        for (text, expected) in cases {
            assert_eq!(address(text, 80).to_string(), expected, "{text:?}");
        }
    }

    #[test]
    fn heads_are_bounded() {
        let long = vec![("x".to_owned(), "y".repeat(40_000)); 9];
        let (head, bytes) = head("/", &long);
        assert_eq!(head.fields.len(), 3);
        assert!(bytes.len() <= MAX_TARGET_BYTES + MAX_HEAD_BYTES);
        assert!(head.cut);
    }

    #[test]
    fn bodies_are_sampled() {
        let whole = body(Message {
            body: Some(vec![b'x'; BODY_SAMPLE_BYTES + 1]),
            ..Message::default()
        });
        assert_eq!(
            (whole.sample.len(), whole.length, whole.cut),
            (BODY_SAMPLE_BYTES, Some(65_537), true)
        );
        let unknown = body(Message::default());
        assert_eq!((unknown.length, unknown.cut), (None, false));
    }
}
