//! Which protocol a socket speaks, from the first bytes of one direction.
//!
//! Runs in the kernel on every new socket and on every operation beyond its budget, so it compares whole
//! words and has no loop over bytes. It looks at [`PREFIX_BYTES`] at the most, never decides on a guess
//! ([`Verdict::More`] until the bytes suffice), and does not parse: a request line that starts right and is
//! malformed later is the parser's business.
//!
//! Sources: RFC 9110 §9 and the IANA method registry; RFC 9113 §3.4 (preface); RFC 8446 §5.1 (record
//! header); the PROXY protocol document of HAProxy, §2.

mod methods;

use crate::limits::PREFIX_BYTES;

/// Protocol class of a socket. The number travels in [`crate::event::Header::class`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Class {
    /// Not decided yet.
    Unknown = 0,
    /// HTTP/1.0 or HTTP/1.1.
    Http1 = 1,
    /// HTTP/2 in clear text.
    Http2 = 2,
    /// TLS records: ciphertext.
    Tls = 3,
}

impl Class {
    /// The class with this number, `Unknown` for any other.
    #[inline(always)]
    pub const fn from_number(number: u8) -> Self {
        match number {
            1 => Class::Http1,
            2 => Class::Http2,
            3 => Class::Tls,
            _ => Class::Unknown,
        }
    }
}

/// What the first bytes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Too few bytes, and what is there fits a known protocol.
    More,
    /// A PROXY protocol header: another protocol follows it.
    Preamble,
    /// An HTTP/1 request line.
    Http1Request,
    /// An HTTP/1 status line.
    Http1Response,
    /// The client's HTTP/2 preface.
    Http2,
    /// A TLS handshake record.
    Tls,
    /// None of these.
    Other,
}

impl Verdict {
    /// The class this verdict settles, if it does.
    #[inline(always)]
    pub const fn class(self) -> Option<Class> {
        match self {
            Verdict::Http1Request | Verdict::Http1Response => Some(Class::Http1),
            Verdict::Http2 => Some(Class::Http2),
            Verdict::Tls => Some(Class::Tls),
            Verdict::More | Verdict::Preamble | Verdict::Other => None,
        }
    }
}

/// Up to 16 bytes as two little-endian words.
#[derive(Clone, Copy)]
struct Pattern {
    low: u64,
    high: u64,
    len: u32,
}

const fn pattern(text: &[u8]) -> Pattern {
    let (mut low, mut high, mut i) = (0_u64, 0_u64, 0);
    while i < text.len() && i < 16 {
        #[expect(
            clippy::indexing_slicing,
            reason = "evaluated at compile time, bounded by the loop"
        )]
        let byte = text[i] as u64;
        if i < 8 {
            low |= byte << (8 * i);
        } else {
            high |= byte << (8 * (i - 8));
        }
        i += 1;
    }
    Pattern {
        low,
        high,
        len: text.len() as u32,
    }
}

/// Selects the first `bytes` of a word: none for a negative number, all from eight on. No condition, as each doubles the ways that
/// the kernel's verifier walks from there; and no table, for which 5.10 would have to know the number's bounds.
#[inline(always)]
const fn mask(bytes: i64) -> u64 {
    let is_negative = (bytes >> 63) as u64;
    let is_whole = ((7 - bytes) >> 63) as u64;
    let part = (1_u64 << ((bytes & 7) * 8)) - 1;
    (is_whole | part) & !is_negative
}

/// The first 16 bytes; those beyond `len` are zero.
#[derive(Clone, Copy)]
struct Start {
    low: u64,
    high: u64,
    len: u32,
    /// What selects the bytes that are there.
    masks: [u64; 2],
}

impl Start {
    #[inline(always)]
    const fn new(low: u64, high: u64, len: u32) -> Self {
        let masks = [mask(len as i64), mask(len as i64 - 8)];
        let [low_mask, high_mask] = masks;
        Self {
            low: low & low_mask,
            high: high & high_mask,
            len,
            masks,
        }
    }

    /// Whether the bytes start with the whole pattern. No branch but the last: the kernel's verifier walks every
    /// path, and a branch in each of forty comparisons would be too many of them.
    #[inline(always)]
    const fn is(self, pattern: Pattern) -> bool {
        let low = (self.low & mask(pattern.len as i64)) ^ pattern.low;
        let high = (self.high & mask(pattern.len as i64 - 8)) ^ pattern.high;
        low | high == 0
    }

    /// Whether there are fewer bytes than the pattern has, and they fit it.
    #[inline(always)]
    const fn could_be(self, pattern: Pattern) -> bool {
        let [low_mask, high_mask] = self.masks;
        let low = self.low ^ (pattern.low & low_mask);
        let high = self.high ^ (pattern.high & high_mask);
        self.len < pattern.len && low | high == 0
    }

    /// The byte at `index` (below 16), zero beyond `len`.
    #[inline(always)]
    const fn byte(self, index: u32) -> u8 {
        if index < 8 {
            (self.low >> (8 * index)) as u8
        } else {
            (self.high >> (8 * (index - 8))) as u8
        }
    }
}

const HTTP1: Pattern = pattern(b"HTTP/1.");
const HTTP2: Pattern = pattern(b"PRI * HTTP/2.0\r\n");
const PROXY1: Pattern = pattern(b"PROXY ");
const PROXY2: Pattern = pattern(b"\r\n\r\n\0\r\nQUIT\n");
const CONNECT: u64 = pattern(b"CONNECT ").low;

/// Looks at the first `len` bytes of a direction (bytes beyond `len` are ignored).
#[inline(always)]
pub fn sniff(prefix: &[u8; PREFIX_BYTES], len: usize) -> Verdict {
    let [first, second, third, _] = words(prefix);
    let len = if len > PREFIX_BYTES {
        PREFIX_BYTES as u32
    } else {
        len as u32
    };
    let start = Start::new(first, second, len);
    if start.is(PROXY2) {
        return Verdict::Preamble;
    }
    if start.could_be(PROXY2) {
        return Verdict::More;
    }
    // RFC 9112 §2.2: an empty line before the request line is ignored.
    let start = if start.low & 0xffff == 0x0a0d {
        Start::new(
            (first >> 16) | (second << 48),
            (second >> 16) | (third << 48),
            len - 2,
        )
    } else {
        start
    };
    lines(start)
}

#[inline(always)]
fn words(prefix: &[u8; PREFIX_BYTES]) -> [u64; 4] {
    let (chunks, _) = prefix.as_chunks::<8>();
    let mut out = [0; 4];
    let mut i = 0;
    while i < 4 {
        if let (Some(slot), Some(chunk)) = (out.get_mut(i), chunks.get(i)) {
            *slot = u64::from_le_bytes(*chunk);
        }
        i += 1;
    }
    out
}

#[inline(always)]
fn lines(start: Start) -> Verdict {
    let first = start.byte(0);
    if first == 0x16 {
        return tls(start);
    }
    if start.is(HTTP1) {
        return Verdict::Http1Response;
    }
    // Every other known start is a capital letter: most binary protocols leave here.
    if start.len > 0 && !first.is_ascii_uppercase() {
        return Verdict::Other;
    }
    if start.is(HTTP2) {
        return Verdict::Http2;
    }
    if start.is(PROXY1) {
        return Verdict::Preamble;
    }
    if start.could_be(HTTP2) {
        return Verdict::More;
    }
    request(start)
}

#[inline(always)]
fn request(start: Start) -> Verdict {
    match methods::method(start) {
        Some(name) => target(start.byte(name.len), name.low),
        None if methods::is_unfinished(start) => Verdict::More,
        None => Verdict::Other,
    }
}

/// RFC 9112 §3.2: a target starts with a slash, `*`, a scheme, or for CONNECT a host. Keeps out protocols
/// whose commands look like methods: Redis inline commands, RTSP, SIP, FTP.
#[inline(always)]
fn target(first: u8, method: u64) -> Verdict {
    match first {
        0 => Verdict::More,
        b'/' | b'*' | b'h' | b'H' => Verdict::Http1Request,
        _ if method == CONNECT => Verdict::Http1Request,
        _ => Verdict::Other,
    }
}

/// RFC 8446 §5.1: handshake (22), legacy version 3.x, 3.0 to 3.4.
#[inline(always)]
fn tls(start: Start) -> Verdict {
    match start.len {
        1 => Verdict::More,
        _ if start.byte(1) != 3 => Verdict::Other,
        2 => Verdict::More,
        _ if start.byte(2) > 4 => Verdict::Other,
        _ => Verdict::Tls,
    }
}

/// Whether the first `len` bytes start a TLS record of any type, as those in the middle of a connection do (RFC 8446
/// §5.1: types 20 to 24). Three bytes are too few to tell TLS from everything else: only for sockets that a TLS library
/// is known to use.
#[inline(always)]
pub fn starts_tls_record(prefix: &[u8; PREFIX_BYTES], len: usize) -> bool {
    let [first, ..] = words(prefix);
    let [kind, major, minor] = [first & 0xff, (first >> 8) & 0xff, (first >> 16) & 0xff];
    len >= 3 && matches!((kind, major, minor), (20..=24, 3, 0..=4))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &[u8]) -> Verdict {
        let mut prefix = [0xee; PREFIX_BYTES];
        let len = text.len().min(PREFIX_BYTES);
        prefix[..len].copy_from_slice(&text[..len]);
        sniff(&prefix, len)
    }

    #[test]
    fn records_in_the_middle_of_tls_are_known() {
        let at = |bytes: [u8; 3], len| {
            let mut prefix = [0xee; PREFIX_BYTES];
            prefix[..3].copy_from_slice(&bytes);
            starts_tls_record(&prefix, len)
        };
        assert!(at([23, 3, 3], 5) && at([21, 3, 1], 3));
        assert!(!at([23, 3, 3], 2) && !at([25, 3, 3], 5) && !at([23, 2, 3], 5) && !at([23, 3, 5], 5));
    }

    #[test]
    fn known_starts() {
        let cases: [(&[u8], Verdict); 14] = [
            (b"GET / HTTP/1.1\r\n", Verdict::Http1Request),
            (b"MKWORKSPACE /x HTTP/1.1\r\n", Verdict::Http1Request),
            (b"UNSUBSCRIBE /x HTTP/1.1", Verdict::Http1Request),
            (b"CONNECT example.test:443 HTTP/1.1", Verdict::Http1Request),
            (b"OPTIONS * HTTP/1.1", Verdict::Http1Request),
            (b"GET http://a/ HTTP/1.1", Verdict::Http1Request),
            (b"\r\nPOST /a HTTP/1.1", Verdict::Http1Request),
            (b"HTTP/1.1 200 OK", Verdict::Http1Response),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Verdict::Http2),
            (b"\x16\x03\x01\x02\x00", Verdict::Tls),
            (b"PROXY TCP4 10.0.0.1", Verdict::Preamble),
            (b"\r\n\r\n\0\r\nQUIT\n\x21\x11", Verdict::Preamble),
            (b"\r\n\r\nGET / HTTP/1.1", Verdict::Other),
            (b"HTTP/2 200", Verdict::Other),
        ];
        for (text, verdict) in cases {
            assert_eq!(check(text), verdict, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn other_protocols_are_other() {
        let cases: [&[u8]; 12] = [
            b"*1\r\n$4\r\nPING\r\n",
            b"GET key\r\n",
            b"OPTIONS rtsp://h/ RTSP/1.0",
            b"OPTIONS sip:a@b SIP/2.0",
            b"SSH-2.0-OpenSSH_9.2",
            b"\0\0\0\x08\x04\xd2\x16\x2f",
            b"EHLO mail.example.test",
            b"220 ready",
            b"\x16\x04\x01",
            b"get / HTTP/1.1",
            b"GETX / HTTP/1.1",
            b"{\"a\":1}",
        ];
        for text in cases {
            assert_eq!(check(text), Verdict::Other, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn a_prefix_of_a_known_start_asks_for_more_and_never_decides_otherwise() {
        let starts: [&[u8]; 7] = [
            b"DELETE /a",
            b"PROPPATCH /a",
            b"HTTP/1.",
            b"PRI * HTTP/2.0\r\n",
            b"\x16\x03\x01",
            b"\r\n\r\n\0\r\nQUIT\n",
            b"PROXY ",
        ];
        for text in starts {
            let whole = check(text);
            assert!(
                whole != Verdict::More && whole != Verdict::Other,
                "{}",
                text.escape_ascii()
            );
            for cut in 0..text.len() {
                let verdict = check(&text[..cut]);
                assert!(
                    verdict == Verdict::More || verdict == whole,
                    "{} cut at {cut}",
                    text.escape_ascii()
                );
            }
        }
    }

    #[test]
    fn short_words_of_other_protocols_are_other() {
        for text in [
            &b"PING\r\n"[..],
            b"QUIT\n",
            b"USER anonymous",
            b"A1 LOGIN",
            b"EHLO x",
        ] {
            assert_eq!(check(text), Verdict::Other, "{}", text.escape_ascii());
        }
    }

    /// The rule for a line that starts with a capital letter, said plainly.
    fn plainly(line: &[u8]) -> Verdict {
        let line = line.get(..16).unwrap_or(line);
        if let Some(name) = methods::NAMES.iter().find(|name| line.starts_with(name)) {
            return match line.get(name.len()) {
                None | Some(0) => Verdict::More,
                Some(b'/' | b'*' | b'h' | b'H') => Verdict::Http1Request,
                Some(_) if *name == b"CONNECT " => Verdict::Http1Request,
                Some(_) => Verdict::Other,
            };
        }
        let could_be = |byte: &u8| byte.is_ascii_uppercase() || b"-/1".contains(byte);
        match line.len() < 12 && line.iter().all(could_be) {
            true => Verdict::More,
            false => Verdict::Other,
        }
    }

    #[test]
    fn methods_are_found_and_nothing_that_is_like_them() {
        for name in methods::NAMES {
            let line = [name, b"/a HTTP/1.1\r\n"].concat();
            assert_eq!(check(&line), Verdict::Http1Request, "{}", line.escape_ascii());
            for cut in 1..=line.len() {
                for (place, value) in (1..cut).flat_map(|place| (0..=255).map(move |value| (place, value))) {
                    let mut other = line[..cut].to_vec();
                    other[place] = value;
                    if !other.starts_with(b"PR") && !other.starts_with(b"HTTP/1") {
                        assert_eq!(check(&other), plainly(&other), "{}", other.escape_ascii());
                    }
                }
            }
        }
    }

    #[test]
    fn any_bytes_give_a_verdict() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..20_000 {
            let mut prefix = [0; PREFIX_BYTES];
            for byte in &mut prefix {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                *byte = (state >> 33) as u8;
            }
            let len = (state >> 20) as usize % 40;
            let first = sniff(&prefix, len);
            assert_eq!(first, sniff(&prefix, len));
        }
    }
}
