//! One request with its response: the second of the two plain types that carry everything.
//!
//! Made by [`crate::protocol`] (and by sources that start here: HAR, exchanges files), consumed by the
//! inventory, baselines and detectors. Credentials are masked before an exchange leaves the protocol layer:
//! [`Head`] keeps the scheme and a keyed hash, never the secret. Bodies are bounded samples that live as long as
//! the exchange and are never stored.

use std::{borrow::Cow, hash::Hasher as _, ops::Range, sync::Arc, time::Duration};

use bytes::Bytes;
use siphasher::sip::SipHasher13;
use smallvec::SmallVec;

use crate::{
    clock::Timestamp,
    event::{Address, ProcessRef, SocketId},
    protocol::{field, operation::Operation},
};

/// Body bytes kept of each message for the observers. Overflow policy: the sample is cut and says so.
pub const BODY_SAMPLE_BYTES: usize = 64 * 1024;

/// Fields of a head that need no memory of their own: as many as programs send. Browsers send more, but every exchange has room
/// for two heads.
pub const INLINE_FIELDS: usize = 8;

/// The connection an exchange went over, shared by all its exchanges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// The socket the bytes were read on.
    pub socket: SocketId,
    /// Which end was observed.
    pub side: Side,
    /// Where the request was sent to.
    pub server: Address,
    /// Where it came from.
    pub client: Address,
    /// Network namespace; 0 when unknown.
    pub netns: u32,
    /// The process at the observed end.
    pub process: Arc<ProcessRef>,
    /// The process at the other end, when it is on this host.
    pub peer_process: Option<Arc<ProcessRef>>,
    /// Seen from the middle on.
    pub joined_late: bool,
    /// Plaintext of a TLS connection.
    pub tls: bool,
    /// Its version, as far as its handshake was seen.
    pub tls_version: Option<TlsVersion>,
}

/// A version of TLS as its messages write it: 0x0303 is 1.2 (RFC 8446 §4.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TlsVersion(pub u16);

impl TlsVersion {
    /// The oldest that may still be used (RFC 8996, RFC 7568).
    pub const OLDEST: Self = Self(0x0303);

    /// From a number as people write it: `1.0`, or `TLSv1.1`.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.trim_start_matches(|c: char| !c.is_ascii_digit());
        match (text.to_ascii_lowercase().starts_with("ssl"), digits) {
            (true, "3" | "3.0") => Some(Self(0x0300)),
            (false, "1" | "1.0") => Some(Self(0x0301)),
            (false, "1.1") => Some(Self(0x0302)),
            (false, "1.2") => Some(Self(0x0303)),
            (false, "1.3") => Some(Self(0x0304)),
            _ => None,
        }
    }

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self.0 {
            ..=0x0300 => "SSL 3.0",
            0x0301 => "TLS 1.0",
            0x0302 => "TLS 1.1",
            0x0303 => "TLS 1.2",
            _ => "TLS 1.3",
        }
    }
}

/// Which end of a connection was observed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// The observed process answers requests.
    Server,
    /// The observed process sends requests.
    Client,
}

/// Protocol that carried the exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    Http11,
    /// HTTP/2.
    Http2,
}

/// The request line and fields of a request, or the fields of a response, in one buffer.
///
/// Field values of credentials are masked with `*` in place; see [`Credential`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Head {
    /// The bytes all ranges point into.
    pub buffer: Bytes,
    /// Name and value of each field, in order of arrival.
    pub fields: SmallVec<[(Range<u32>, Range<u32>); INLINE_FIELDS]>,
    /// Fields were left out: the head was longer than its bound, or partly lost.
    pub cut: bool,
}

impl Head {
    /// The bytes of a range; empty if it lies outside the buffer.
    pub fn slice(&self, range: &Range<u32>) -> &[u8] {
        self.buffer
            .get(range.start as usize..range.end as usize)
            .unwrap_or_default()
    }

    /// All fields, name and value.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.fields
            .iter()
            .map(|(name, value)| (self.slice(name), self.slice(value)))
    }

    /// Values of the fields with this name, which is in lower case (RFC 9110 §5.1).
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> + 'a {
        // Most names differ in length already.
        let is_wanted = move |(range, _): &&(Range<u32>, Range<u32>)| {
            range.len() == name.len() && field::is(self.slice(range), name.as_bytes())
        };
        self.fields
            .iter()
            .filter(is_wanted)
            .map(|(_, value)| self.slice(value))
    }

    /// The first value of a field.
    pub fn first<'a>(&'a self, name: &'a str) -> Option<&'a [u8]> {
        self.values(name).next()
    }
}

/// A body as far as it was seen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Body {
    /// The first bytes, at most [`BODY_SAMPLE_BYTES`], after removal of the transfer coding, and of content codings that
    /// are known and undamaged.
    pub sample: Bytes,
    /// Length of the whole body without transfer coding; `None` if it is not known (lost framing).
    pub length: Option<u64>,
    /// Bytes are missing inside the sample's range or behind it.
    pub cut: bool,
}

/// How a request authenticates: the scheme and a keyed hash of the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// Where it was: `authorization`, `cookie`, `x-api-key`, …
    pub location: CredentialLocation,
    /// `basic`, `bearer`, `bearer_jwt`, `api_key`, `session_cookie`, `digest`, `negotiate`, `aws_sigv4`, …
    pub scheme: &'static str,
    /// SipHash of the secret with the host's key: tells "the same credential", nothing else.
    pub fingerprint: u64,
    /// What the secret says about itself, where it is a JSON web token that decodes.
    pub token: Option<Box<TokenFacts>>,
}

/// Facts about a JSON web token (RFC 7519): never a claim itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenFacts {
    /// How it is signed.
    pub algorithm: TokenAlgorithm,
    /// When it expires, if it says so.
    pub expires: Option<Timestamp>,
    /// When it was issued, if it says so.
    pub issued: Option<Timestamp>,
    /// Keyed hash of the claim that names its holder (`sub`, or the usual private names): stays the same when the
    /// token is renewed.
    pub holder: Option<u64>,
    /// Names of the claims that say who or whose: see [`TokenFacts::name_of`]. Kept as long as the exchange.
    pub names: SmallVec<[u64; 2]>,
    /// It is signed with a key that everybody guesses.
    pub has_guessable_key: bool,
    /// It brings the key it is to be checked with, or names where to fetch it.
    pub brings_key: bool,
    /// A claim is named like something that must not be read by everybody.
    pub is_sensitive: bool,
}

impl TokenFacts {
    /// Names a value, to be compared with the claims of a token.
    pub fn name_of(value: &[u8]) -> u64 {
        let mut hasher = SipHasher13::new_with_keys(0, 1);
        hasher.write(value);
        hasher.finish()
    }

    /// Whether a claim of the token that says who or whose has this value.
    pub fn claims(&self, value: &[u8]) -> bool {
        self.names.contains(&Self::name_of(value))
    }
}

/// How a token is signed (RFC 7518 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenAlgorithm {
    /// `none`: not at all.
    None,
    /// `HS…`: with a key that both sides share.
    Symmetric,
    /// Anything else.
    Other,
}

/// Where a credential was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialLocation {
    /// In the field with this lower-case name.
    Header(Box<str>),
    /// In the cookie with this name.
    Cookie(Box<str>),
    /// In the query parameter with this name.
    Query(Box<str>),
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Method as sent: usual ones need no memory of their own.
    pub method: Cow<'static, str>,
    /// Request target as sent (path and query, or another form of RFC 9112 §3.2), lossy UTF-8. Query values
    /// known as credentials are masked.
    pub target: Box<str>,
    /// The target with nothing masked, where that differs and the redactor keeps it: for the operator of a replay,
    /// who holds the input. Always `None` on a live host.
    pub sent_target: Option<Box<str>>,
    /// Fields.
    pub head: Head,
    /// Body.
    pub body: Body,
    /// Credentials seen.
    pub credentials: SmallVec<[Credential; 1]>,
}

impl Request {
    /// What stands behind the first question mark of the target.
    pub fn query(&self) -> Option<&str> {
        // Most targets are shorter than it takes to set up a search.
        let question = self.target.bytes().position(|byte| byte == b'?')?;
        self.target.get(question + 1..)
    }
}

/// A response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Final status code, 200 to 999 (or 101).
    pub status: u16,
    /// Fields.
    pub head: Head,
    /// Body.
    pub body: Body,
}

/// How much of an exchange was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Completeness {
    /// Every byte was captured, or is known to have passed beyond the budget.
    Complete,
    /// The request was seen, its response was not (yet the connection went on or ended).
    NoResponse,
    /// Bytes were lost, or framing was, inside the exchange.
    Lost,
    /// The connection ended before the message did.
    Truncated,
}

/// Facts about the framing that detectors judge: kept, not judged here. A set of bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Facts(pub u32);

impl Facts {
    /// Both `Content-Length` and `Transfer-Encoding` (RFC 9112 §6.1).
    pub const LENGTH_AND_CHUNKED: Self = Self(1);
    /// Several differing `Content-Length` values (RFC 9112 §6.3).
    pub const DIFFERING_LENGTHS: Self = Self(1 << 1);
    /// A `Content-Length` that is no number.
    pub const MALFORMED_LENGTH: Self = Self(1 << 2);
    /// A line folded over several (RFC 9112 §5.2).
    pub const OBSOLETE_FOLD: Self = Self(1 << 3);
    /// Lines that end in LF alone.
    pub const BARE_LF: Self = Self(1 << 4);
    /// `Transfer-Encoding` other than a final `chunked`.
    pub const ODD_TRANSFER_CODING: Self = Self(1 << 5);
    /// White space between field name and colon (RFC 9112 §5.1).
    pub const SPACE_BEFORE_COLON: Self = Self(1 << 6);
    /// Chunk framing that does not parse.
    pub const MALFORMED_CHUNK: Self = Self(1 << 7);
    /// The request upgraded or tunnelled the connection, which ends HTTP/1 on it.
    pub const UPGRADED: Self = Self(1 << 8);
    /// The target was in absolute form.
    pub const ABSOLUTE_FORM: Self = Self(1 << 9);
    /// Several `Content-Length` values, all equal (RFC 9110 §8.6).
    pub const REPEATED_LENGTH: Self = Self(1 << 10);
    /// Several hosts: `Host` fields, or one that is not the authority of an absolute target (RFC 9112 §3.2).
    pub const DIFFERING_HOSTS: Self = Self(1 << 11);
    /// A request line without a version, as of HTTP/0.9.
    pub const NO_VERSION: Self = Self(1 << 12);
    /// A line among the fields that is none, or a name or value with bytes that they cannot have (RFC 9110 §5).
    pub const MALFORMED_FIELD: Self = Self(1 << 13);
    /// `Transfer-Encoding` in HTTP/1.0 (RFC 9112 §6.1).
    pub const CODED_BEFORE_11: Self = Self(1 << 14);
    /// The server sent it unasked (RFC 9113 §8.4).
    pub const PUSHED: Self = Self(1 << 16);
    /// The client gave the stream up (RFC 9113 §6.4).
    pub const RESET_BY_CLIENT: Self = Self(1 << 17);
    /// The server gave the stream up.
    pub const RESET_BY_SERVER: Self = Self(1 << 18);
    /// The client gave this stream up like most of the many before it on its connection (CVE-2023-44487).
    pub const RAPID_RESETS: Self = Self(1 << 19);

    /// Both sets.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` is in this set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// One request with its response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// The connection it went over.
    pub connection: Arc<Connection>,
    /// Number of the exchange on its connection, from 0.
    pub number: u64,
    /// Stream of the connection, for HTTP/2.
    pub stream: Option<u32>,
    /// Protocol.
    pub protocol: Protocol,
    /// When the first byte of the request was seen.
    pub started: Timestamp,
    /// From the last byte of the request to the first byte of the response.
    pub latency: Option<Duration>,
    /// From the first byte of the request to the last known byte of the response.
    pub duration: Option<Duration>,
    /// The request; `None` only if it was lost and a response was seen.
    pub request: Option<Request>,
    /// The response, if it was seen.
    pub response: Option<Response>,
    /// How much was seen.
    pub completeness: Completeness,
    /// Framing facts.
    pub facts: Facts,
    /// What it does in terms of a protocol that HTTP carries, where it does.
    pub operation: Option<Box<Operation>>,
}

impl Exchange {
    /// Its name on this host: connection and number.
    pub fn id(&self) -> String {
        format!("{}-{}", self.connection.socket.0, self.number)
    }
}
