//! What a TLS client says in the open: the name of the server it wants, and the protocols it offers.
//!
//! In: the first bytes of a TLS connection, in pieces. Out: [`Tls`]. A ServerHello, or anything else that is not a
//! ClientHello, says nothing. Input is hostile: lengths are checked, nothing is trusted, work is linear.
//!
//! Sources: RFC 8446 §5.1 (records), §4 (handshake messages), §4.1.2 (ClientHello), §4.2 (extensions); RFC 6066 §3
//! (server name); RFC 7301 §3.1 (protocols).

use apiarist_common::limits::TLS_HELLO_BYTES;

use super::Tls;

/// Protocols that are kept of an offer. Overflow policy: further ones are left out.
const MAX_PROTOCOLS: usize = 8;

/// Longest name that is kept, in bytes (a DNS name has 253). Overflow policy: it is left out.
const MAX_NAME_BYTES: usize = 255;

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const SERVER_NAME: u16 = 0;
const PROTOCOLS: u16 = 16;

/// The first bytes of a TLS connection.
#[derive(Debug, Default)]
pub(super) struct Hello {
    bytes: Vec<u8>,
}

impl Hello {
    /// Takes further bytes; those beyond the bound are not looked at.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        let room = (TLS_HELLO_BYTES as usize).saturating_sub(self.bytes.len());
        self.bytes
            .extend_from_slice(bytes.get(..room.min(bytes.len())).unwrap_or_default());
    }

    /// What they say.
    pub(super) fn finish(&self) -> Tls {
        let mut tls = Tls::default();
        // What was read before the message broke off holds.
        client_hello(&handshake(&self.bytes), &mut tls).unwrap_or(());
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
    // Length of the message, version, random.
    input.take(3 + 2 + 32)?;
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
            _ => {}
        }
    }
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
            hello.bytes(&bytes[..cut]);
            hello.bytes(&bytes[cut..]);
            let tls = hello.finish();
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
                hello.bytes(&damaged);
                assert!(hello.finish().protocols.len() <= MAX_PROTOCOLS);
            }
            let mut hello = Hello::default();
            hello.bytes(&bytes[..at]);
            assert!(!hello.finish().is_read);
        }
        let mut server = Hello::default();
        server.bytes(&[HANDSHAKE, 3, 3, 0, 4, 2, 0, 0, 0]);
        assert_eq!(server.finish(), Tls::default());
    }
}
