//! Requests to the API server over HTTP.
//!
//! In: [`Access`] and a path. Out: the bytes of the answer, bounded. Every request is a GET; redirects are not followed, and no
//! proxy of the environment is used: a token goes to the named server or nowhere.

use std::{
    io::{BufRead, BufReader, Read as _},
    time::Duration,
};

use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};

use super::{access::Access, session::Trouble};

/// Longest page of a list, in bytes. Overflow policy: the list fails, and is tried again after a pause.
const MAX_PAGE_BYTES: u64 = 16 * 1024 * 1024;

/// Longest line of a watch, in bytes: etcd takes objects of 1.5 MiB. Overflow policy: the watch ends, and a list is made.
const MAX_LINE_BYTES: u64 = 2 * 1024 * 1024;

/// Longest wait for a connection and for the head of an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Longest life of an answer: a little longer than the server lets a watch live.
const LONGEST: Duration = Duration::from_secs(260);

/// A connection of its own, with what may be used now.
pub(super) struct Client {
    agent: ureq::Agent,
    server: String,
    authorization: Option<String>,
}

impl Client {
    /// A client that trusts the authorities given, and no other.
    pub(super) fn new(access: Access) -> Self {
        let Access {
            server,
            authorities,
            token,
            certificate,
        } = access;
        let roots = authorities.map_or(RootCerts::PlatformVerifier, |pem| {
            RootCerts::new_with_certs(&certificates(&pem))
        });
        let own = certificate.and_then(|(chain, key)| {
            let key = PrivateKey::from_pem(&key).ok()?;
            Some(ClientCert::new_with_certs(&certificates(&chain), key))
        });
        let tls = TlsConfig::builder().root_certs(roots).client_cert(own).build();
        let agent = ureq::Agent::config_builder()
            .timeout_resolve(Some(PATIENCE))
            .timeout_connect(Some(PATIENCE))
            .timeout_recv_response(Some(PATIENCE))
            .timeout_recv_body(Some(LONGEST))
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .user_agent(concat!("apiarist/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls)
            .build();
        Self {
            agent: agent.into(),
            server,
            authorization: token.map(|token| format!("Bearer {token}")),
        }
    }

    /// Asks for a path.
    pub(super) fn get(&self, path: &str) -> Result<Answer, Trouble> {
        let mut request = self
            .agent
            .get(format!("{}{path}", self.server))
            .header("accept", "application/json");
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        let response = request.call().map_err(|error| {
            tracing::debug!(%error, "the API server was not reached");
            Trouble::Network
        })?;
        match response.status().as_u16() {
            200 => Ok(Answer(BufReader::new(
                response.into_body().into_with_config().limit(u64::MAX).reader(),
            ))),
            status => Err(Trouble::Status(status)),
        }
    }
}

/// An answer that is being read.
pub(super) struct Answer(BufReader<ureq::BodyReader<'static>>);

impl Answer {
    /// All of it.
    pub(super) fn whole(self) -> Result<Vec<u8>, Trouble> {
        let mut text = Vec::new();
        self.0
            .take(MAX_PAGE_BYTES + 1)
            .read_to_end(&mut text)
            .map_err(|_| Trouble::Network)?;
        if text.len() as u64 > MAX_PAGE_BYTES {
            Err(Trouble::Network)
        } else {
            Ok(text)
        }
    }

    /// Puts the next line into `line`; false at the end.
    pub(super) fn line(&mut self, line: &mut Vec<u8>) -> Result<bool, Trouble> {
        line.clear();
        let mut rest = (&mut self.0).take(MAX_LINE_BYTES);
        rest.read_until(b'\n', line).map_err(|_| Trouble::Network)?;
        match line.last() {
            None => Ok(false),
            Some(b'\n') => Ok(true),
            // A list says what the line that is too long would have said; the end of a stream inside a line likewise.
            Some(_) => Err(Trouble::Status(410)),
        }
    }
}

fn certificates(pem: &[u8]) -> Vec<Certificate<'static>> {
    let items = parse_pem(pem).filter_map(|item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(certificate),
        _ => None,
    });
    items.collect()
}
