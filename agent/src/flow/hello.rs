//! What is said in the open at the start of TLS: the name of the server that the client wants, the protocols it offers,
//! and the version that the server chooses.
//!
//! In: the first bytes of both directions of a TLS connection, in pieces. Out: [`Tls`]. What is neither a ClientHello nor
//! a ServerHello says nothing. Input is hostile: lengths are checked, nothing is trusted, work is linear.
//!
//! Sources: RFC 8446 §5.1 (records), §4 (handshake messages), §4.1.2 (ClientHello), §4.1.3 (ServerHello), §4.2
//! (extensions), §4.2.1 (versions); RFC 6066 §3 (server name); RFC 7301 §3.1 (protocols); RFC 8701 §2 (GREASE).

use std::ops::RangeInclusive;

use apiarist_common::limits::TLS_HELLO_BYTES;

use super::Tls;
use crate::{event::Direction, exchange::TlsVersion};

/// Protocols that are kept of an offer. Overflow policy: further ones are left out.
const MAX_PROTOCOLS: usize = 8;

/// Longest name that is kept, in bytes (a DNS name has 253). Overflow policy: it is left out.
const MAX_NAME_BYTES: usize = 255;

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
const SERVER_NAME: u16 = 0;
const PROTOCOLS: u16 = 16;
const VERSIONS: u16 = 43;

/// SSL 3.0 to TLS 1.3: what is above is offered to keep servers tolerant.
const VERSIONS_KNOWN: RangeInclusive<u16> = 0x0300..=0x0304;

/// The first bytes of a TLS connection, by direction.
#[derive(Debug, Default)]
pub(super) struct Hello {
    sent: Vec<u8>,
    received: Vec<u8>,
}

impl Hello {
    /// Takes further bytes; those beyond the bound are not looked at.
    pub(super) fn bytes(&mut self, direction: Direction, bytes: &[u8]) {
        let known = match direction {
            Direction::Egress => &mut self.sent,
            Direction::Ingress => &mut self.received,
        };
        let room = (TLS_HELLO_BYTES as usize).saturating_sub(known.len());
        known.extend_from_slice(bytes.get(..room.min(bytes.len())).unwrap_or_default());
    }

    /// What they say.
    pub(super) fn finish(&self) -> Tls {
        let mut tls = Tls::default();
        let mut chosen = None;
        for bytes in [&self.sent, &self.received] {
            let message = handshake(bytes);
            // What was read before a message broke off holds.
            client_hello(&message, &mut tls).unwrap_or(());
            chosen = server_hello(&message).or(chosen);
        }
        tls.version = chosen.or(tls.version);
        tls
    }
}

/// The contents of the handshake records at the start, as one run of bytes.
fn handshake(bytes: &[u8]) -> Vec<u8> {
    let (mut input, mut out) = (Input(bytes), Vec::new());
    while input.u8() == Some(HANDSHAKE)
        && input.take(2).is_some()
        && let Some(length) = input.u16()
    {
        let piece = input.take(usize::from(length));
        // The last record may be cut.
        out.extend_from_slice(piece.unwrap_or(input.0));
        if piece.is_none() {
            break;
        }
    }
    out
}

fn client_hello(message: &[u8], tls: &mut Tls) -> Option<()> {
    let mut input = Input(message);
    if input.u8()? != CLIENT_HELLO {
        return None;
    }
    // Length of the message.
    input.take(3)?;
    tls.version = version(input.u16()?);
    // Random.
    input.take(32)?;
    let session = input.u8()?;
    input.take(usize::from(session))?;
    let ciphers = input.u16()?;
    input.take(usize::from(ciphers))?;
    let compressions = input.u8()?;
    input.take(usize::from(compressions))?;
    input.u16()?;
    loop {
        let (kind, length) = (input.u16()?, input.u16()?);
        let extension = input.take(usize::from(length))?;
        match kind {
            SERVER_NAME => tls.server_name = server_name(extension),
            PROTOCOLS => tls.protocols = protocols(extension).unwrap_or_default(),
            // Counts instead of the version in front.
            VERSIONS => tls.version = highest(extension).or(tls.version),
            _ => {}
        }
    }
}

/// The version that a server chose.
fn server_hello(message: &[u8]) -> Option<TlsVersion> {
    let mut input = Input(message);
    if input.u8()? != SERVER_HELLO {
        return None;
    }
    input.take(3)?;
    let chosen = version(input.u16()?)?;
    Some(chosen_by_extension(&mut input).unwrap_or(chosen))
}

/// The version of a ServerHello, behind the one in front, if it has the extension: 1.3 and above.
fn chosen_by_extension(input: &mut Input<'_>) -> Option<TlsVersion> {
    input.take(32)?;
    let session = input.u8()?;
    // Session, cipher and compression, length of all extensions.
    input.take(usize::from(session) + 2 + 1 + 2)?;
    loop {
        let (kind, length) = (input.u16()?, input.u16()?);
        let extension = input.take(usize::from(length))?;
        if kind == VERSIONS {
            return version(Input(extension).u16()?);
        }
    }
}

/// The highest of the versions that a client offers.
fn highest(extension: &[u8]) -> Option<TlsVersion> {
    let mut input = Input(extension);
    input.u8()?;
    let offered = std::iter::from_fn(|| input.u16());
    offered.filter_map(version).max()
}

/// A version that there is.
fn version(number: u16) -> Option<TlsVersion> {
    VERSIONS_KNOWN.contains(&number).then_some(TlsVersion(number))
}

fn server_name(extension: &[u8]) -> Option<String> {
    let mut input = Input(extension);
    input.u16()?;
    // The only kind of name there is: a host name.
    if input.u8()? != 0 {
        return None;
    }
    let length = input.u16()?;
    text(input.take(usize::from(length))?)
}

fn protocols(extension: &[u8]) -> Option<Vec<String>> {
    let mut input = Input(extension);
    input.u16()?;
    let mut names = Vec::new();
    while names.len() < MAX_PROTOCOLS
        && let Some(length) = input.u8()
    {
        names.extend(input.take(usize::from(length)).and_then(text));
    }
    Some(names)
}

/// A name as text; nothing else is kept.
fn text(bytes: &[u8]) -> Option<String> {
    let fits = bytes.len() <= MAX_NAME_BYTES && bytes.iter().all(u8::is_ascii_graphic);
    fits.then(|| String::from_utf8_lossy(bytes).into_owned())
}

/// What is left.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2)?.first_chunk::<2>().copied().map(u16::from_be_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extension(kind: u16, body: &[u8]) -> Vec<u8> {
        [&kind.to_be_bytes()[..], &(body.len() as u16).to_be_bytes(), body].concat()
    }

    fn hello() -> Vec<u8> {
        let name = [&b"\0\x0e\0\0\x0b"[..], b"api.example"].concat();
        let offer = b"\0\x0c\x02h2\x08http/1.1";
        let extensions = [
            extension(10, b"\0\x02\0\x1d"),
            extension(SERVER_NAME, &name),
            extension(PROTOCOLS, offer),
        ]
        .concat();
        let mut body = vec![3, 3];
        body.extend_from_slice(&[7; 32]);
        body.extend_from_slice(b"\x02id\0\x02\x13\x01\x01\0");
        body.extend_from_slice(&(extensions.len() as u16).to_be_bytes());
        body.extend_from_slice(&extensions);
        let mut message = vec![CLIENT_HELLO, 0];
        message.extend_from_slice(&(body.len() as u16).to_be_bytes());
        message.extend_from_slice(&body);
        // In two records.
        let (one, two) = message.split_at(50);
        [one, two]
            .iter()
            .flat_map(|part| [&[HANDSHAKE, 3, 1][..], &(part.len() as u16).to_be_bytes(), part].concat())
            .collect()
    }

    #[test]
    fn names_are_found_at_every_split() {
        let bytes = hello();
        for cut in 0..=bytes.len() {
            let mut hello = Hello::default();
            hello.bytes(Direction::Egress, &bytes[..cut]);
            hello.bytes(Direction::Egress, &bytes[cut..]);
            let tls = hello.finish();
            assert_eq!(tls.version, Some(TlsVersion(0x0303)));
            assert_eq!(tls.server_name.as_deref(), Some("api.example"), "{cut}");
            assert_eq!(tls.protocols, ["h2", "http/1.1"]);
        }
    }

    #[test]
    fn damage_does_no_harm() {
        let bytes = hello();
        for at in 0..bytes.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut damaged = bytes.clone();
                damaged[at] = value;
                let mut hello = Hello::default();
                hello.bytes(Direction::Egress, &damaged);
                assert!(hello.finish().protocols.len() <= MAX_PROTOCOLS);
            }
            let mut hello = Hello::default();
            hello.bytes(Direction::Egress, &bytes[..at]);
            assert!(!hello.finish().is_read);
        }
    }

    /// A message of a kind in a record, with everything behind its version.
    fn message(kind: u8, version: [u8; 2], rest: &[u8]) -> Vec<u8> {
        let body = [&version[..], rest].concat();
        let head = [&[kind, 0][..], &(body.len() as u16).to_be_bytes()].concat();
        let record = [HANDSHAKE, 3, 1];
        let length = ((head.len() + body.len()) as u16).to_be_bytes();
        [&record[..], &length, &head, &body].concat()
    }

    fn with_versions(session: &[u8], list: &[u8]) -> Vec<u8> {
        let extensions = extension(VERSIONS, list);
        let length = (extensions.len() as u16).to_be_bytes();
        [&[7; 32][..], session, &length, &extensions].concat()
    }

    fn version_of(parts: &[(Direction, &[u8])]) -> Option<&'static str> {
        let mut hello = Hello::default();
        for (direction, bytes) in parts {
            hello.bytes(*direction, bytes);
        }
        hello.finish().version.map(TlsVersion::as_str)
    }

    #[test]
    fn the_version_is_the_servers_or_else_the_clients_highest() {
        use Direction::{Egress, Ingress};
        let no_extension = [&[7; 32][..], b"\0\0\x02\0\x2f\x01\0"].concat();
        let old = message(CLIENT_HELLO, [3, 1], &no_extension);
        // 1.3, 1.2 and a value that no server must choose.
        let modern = with_versions(b"\0\0\x02\x13\x01\x01\0", b"\x06\x7a\x7a\x03\x04\x03\x03");
        let modern = message(CLIENT_HELLO, [3, 3], &modern);
        assert_eq!(version_of(&[(Ingress, &old)]), Some("TLS 1.0"));
        assert_eq!(version_of(&[(Ingress, &modern)]), Some("TLS 1.3"));
        // The beginning of an answer is enough for a version that has no extension.
        let answer = message(SERVER_HELLO, [3, 2], &[7; 40]);
        assert_eq!(
            version_of(&[(Ingress, &modern), (Egress, &answer[..11])]),
            Some("TLS 1.1")
        );
        let answer = message(SERVER_HELLO, [3, 3], &with_versions(b"\0\x13\x01\0", b"\x03\x04"));
        for side in [[Ingress, Egress], [Egress, Ingress]] {
            let whole = [(side[0], &*modern), (side[1], &*answer)];
            assert_eq!(version_of(&whole), Some("TLS 1.3"));
        }
        let answer = message(SERVER_HELLO, [3, 3], &no_extension);
        assert_eq!(version_of(&[(Egress, &answer)]), Some("TLS 1.2"));
        // An alert, nothing, and no version.
        for nothing in [
            &b"\x15\x03\x01\0\x02\x02\x46"[..],
            b"",
            &message(SERVER_HELLO, [9, 9], &[]),
        ] {
            assert_eq!(version_of(&[(Egress, nothing)]), None);
        }
    }
}
