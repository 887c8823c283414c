//! Heads: a request or status line with its fields.
//!
//! In: bytes that start at the first byte of a head. Out: a [`Parsed`] whose ranges point into them, or that more
//! bytes are needed. `httparse` reads what is well-formed; what it refuses goes to [`super::lenient`], which takes
//! what servers in the field take and records how it deviates.

use std::{mem::MaybeUninit, ops::Range};

use smallvec::SmallVec;

use super::{lengths::Lengths, lenient, shapes};
use crate::exchange::{Facts, INLINE_FIELDS};

/// Largest head, in bytes. Overflow policy: the message keeps the fields that fit, is marked cut, and the
/// framing of its direction is lost until the next message.
pub(super) const MAX_HEAD_BYTES: usize = 64 * 1024;

/// Most fields kept of a head. Overflow policy: further ones are left out, the head is marked cut; those
/// that frame the body are obeyed still.
pub(super) const MAX_FIELDS: usize = 128;

/// Most fields of a trailer section. Overflow policy: none of them is kept.
const MAX_TRAILERS: usize = 32;

/// Which head is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Request,
    Response,
}

/// Ranges of names and values.
pub(super) type Fields = SmallVec<[(Range<u32>, Range<u32>); INLINE_FIELDS]>;

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line {
    /// Method and target.
    Request(Range<u32>, Range<u32>),
    /// Status code.
    Status(u16),
}

/// A head that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parsed {
    /// Bytes of the head, its empty line included.
    pub(super) length: usize,
    pub(super) line: Line,
    /// Of HTTP/1.x.
    pub(super) minor: u8,
    pub(super) fields: Fields,
    pub(super) lengths: Lengths,
    pub(super) facts: Facts,
    /// Fields were left out.
    pub(super) cut: bool,
}

/// What came of a try.
#[derive(Debug)]
pub(super) enum Outcome {
    /// A head, complete.
    Head(Box<Parsed>),
    /// The bytes end before the head does.
    Partial,
    /// Not a head of this kind.
    Malformed,
}

/// Parses a head at the start of `bytes`.
pub(super) fn parse(kind: Kind, bytes: &[u8]) -> Outcome {
    let understood = |mut parsed: Box<Parsed>| {
        parsed.facts = parsed.facts.with(shapes::facts(kind, &parsed, bytes));
        Outcome::Head(parsed)
    };
    match strict(kind, bytes) {
        Ok(httparse::Status::Complete(parsed)) => understood(parsed),
        Ok(httparse::Status::Partial) => Outcome::Partial,
        Err(_) => match end(bytes, 0) {
            Some(end) => {
                let parsed = lenient::parse(kind, bytes.get(..end).unwrap_or(bytes));
                parsed.map(Box::new).map_or(Outcome::Malformed, understood)
            }
            None if could_start(kind, bytes) => Outcome::Partial,
            None => Outcome::Malformed,
        },
    }
}

/// Position behind the empty line that ends a head, looked for from `from` on.
pub(super) fn end(bytes: &[u8], from: usize) -> Option<usize> {
    let tail = bytes.get(from..)?;
    memchr::memchr_iter(b'\n', tail).find_map(|at| match tail.get(at + 1..)? {
        [b'\n', ..] => Some(from + at + 2),
        [b'\r', b'\n', ..] => Some(from + at + 3),
        _ => None,
    })
}

/// Whether bytes that are no complete head may become one.
fn could_start(kind: Kind, bytes: &[u8]) -> bool {
    let line = memchr::memchr(b'\n', bytes);
    match (kind, line) {
        (_, Some(end)) => {
            let (line, rest) = bytes.split_at_checked(end).unwrap_or((bytes, &[]));
            let is_simple = || matches!(rest, b"\n" | b"\n\r") && lenient::simple_request(line).is_some();
            lenient::first_line(kind, line).is_some() || (kind == Kind::Request && is_simple())
        }
        (Kind::Response, None) => bytes.iter().zip(b"HTTP/").all(|(a, b)| a == b),
        (Kind::Request, None) => bytes.first().is_some_and(u8::is_ascii_alphabetic),
    }
}

/// The fields of a trailer section (RFC 9112 §7.1.2); none if it is malformed.
pub(super) fn trailers(bytes: &[u8]) -> Fields {
    let mut headers = [httparse::EMPTY_HEADER; MAX_TRAILERS];
    let Ok(httparse::Status::Complete((_, headers))) = httparse::parse_headers(bytes, &mut headers) else {
        return Fields::new();
    };
    headers.iter().map(|header| place(bytes, header)).collect()
}

/// Where name and value of a field lie. An empty value may point anywhere.
fn place(bytes: &[u8], header: &httparse::Header<'_>) -> (Range<u32>, Range<u32>) {
    let range = |part: &[u8]| {
        let start = (part.as_ptr() as usize).wrapping_sub(bytes.as_ptr() as usize) as u32;
        start..start.wrapping_add(part.len() as u32)
    };
    let name = range(header.name.as_bytes());
    let value = if header.value.is_empty() {
        name.end..name.end
    } else {
        range(header.value)
    };
    (name, value)
}

fn strict(kind: Kind, bytes: &[u8]) -> httparse::Result<Box<Parsed>> {
    let mut headers = [const { MaybeUninit::<httparse::Header<'_>>::uninit() }; MAX_FIELDS];
    let config = httparse::ParserConfig::default();
    let base = bytes.as_ptr() as usize;
    let range = |part: &[u8]| {
        let start = (part.as_ptr() as usize).wrapping_sub(base) as u32;
        start..start.wrapping_add(part.len() as u32)
    };
    let (length, line, minor, headers) = match kind {
        Kind::Request => {
            let mut request = httparse::Request::new(&mut []);
            let status = config.parse_request_with_uninit_headers(&mut request, bytes, &mut headers)?;
            let httparse::Status::Complete(length) = status else {
                return Ok(httparse::Status::Partial);
            };
            let (Some(method), Some(path)) = (request.method, request.path) else {
                return Err(httparse::Error::Token);
            };
            let line = Line::Request(range(method.as_bytes()), range(path.as_bytes()));
            (length, line, request.version, request.headers)
        }
        Kind::Response => {
            let mut response = httparse::Response::new(&mut []);
            let status = config.parse_response_with_uninit_headers(&mut response, bytes, &mut headers)?;
            let httparse::Status::Complete(length) = status else {
                return Ok(httparse::Status::Partial);
            };
            let line = Line::Status(response.code.unwrap_or(0));
            (length, line, response.version, response.headers)
        }
    };
    // Filled where it stays: it is large.
    let mut parsed = Box::new(Parsed {
        length,
        line,
        minor: minor.unwrap_or(1),
        fields: Fields::new(),
        facts: Facts::default(),
        lengths: Lengths::default(),
        cut: false,
    });
    parsed.fields.reserve_exact(headers.len());
    for header in &*headers {
        parsed.lengths.field(header.name.as_bytes(), header.value);
        parsed.fields.push(place(bytes, header));
    }
    let head = bytes.get(..length).unwrap_or(bytes);
    let has_bare_lf = has_bare_lf(head, &parsed.fields);
    parsed.facts = match has_bare_lf {
        true => parsed.lengths.facts.with(Facts::BARE_LF),
        false => parsed.lengths.facts,
    };
    Ok(httparse::Status::Complete(parsed))
}

/// Whether a line ends in LF alone. Looks at the byte two before each field name and at the end only, which is
/// where the line ends are.
fn has_bare_lf(head: &[u8], fields: &Fields) -> bool {
    let bare = |end: usize| end >= 2 && head.get(end - 2) != Some(&b'\r');
    bare(head.len()) || fields.iter().any(|(name, _)| bare(name.start as usize))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::protocol::http1) fn head(kind: Kind, text: &[u8]) -> Parsed {
        match parse(kind, text) {
            Outcome::Head(parsed) => *parsed,
            other => panic!("{other:?} for {}", text.escape_ascii()),
        }
    }

    pub(in crate::protocol::http1) fn texts(parsed: &Parsed, bytes: &[u8]) -> Vec<(String, String)> {
        let text = |range: &Range<u32>| {
            String::from_utf8_lossy(&bytes[range.start as usize..range.end as usize]).into_owned()
        };
        parsed
            .fields
            .iter()
            .map(|(name, value)| (text(name), text(value)))
            .collect()
    }

    #[test]
    fn ranges_point_at_the_text() {
        let bytes = b"GET /a?b=1 HTTP/1.0\r\nHost: h\r\nEmpty:\r\nX:  y  \r\n\r\nbody";
        let parsed = head(Kind::Request, bytes);
        assert_eq!(parsed.line, Line::Request(0..3, 4..10));
        assert_eq!((parsed.minor, parsed.length), (0, bytes.len() - 4));
        let fields = texts(&parsed, bytes);
        let expected = [("Host", "h"), ("Empty", ""), ("X", "y")];
        assert!(
            fields.iter().map(|(n, v)| (&**n, &**v)).eq(expected),
            "{fields:?}"
        );
        assert_eq!(parsed.facts, Facts::default());
    }

    #[test]
    fn bare_line_feeds_are_a_fact() {
        for text in [
            &b"GET / HTTP/1.1\nHost: h\n\n"[..],
            b"GET / HTTP/1.1\r\nA: b\nHost: h\r\n\r\n",
        ] {
            assert!(
                head(Kind::Request, text).facts.has(Facts::BARE_LF),
                "{}",
                text.escape_ascii()
            );
        }
        let response = head(Kind::Response, b"HTTP/1.1 200\r\n\n");
        assert!(response.facts.has(Facts::BARE_LF));
        assert_eq!(response.line, Line::Status(200));
    }

    #[test]
    fn every_prefix_is_partial() {
        let whole = b"POST /a HTTP/1.1\r\nHost: h\r\nX : y\r\n folded\r\n\r\n";
        for cut in 1..whole.len() {
            assert!(
                matches!(parse(Kind::Request, &whole[..cut]), Outcome::Partial),
                "{cut}"
            );
        }
        head(Kind::Request, whole);
    }

    #[test]
    fn what_is_no_head_is_refused_early() {
        for text in [
            &b"\x16\x03\x01"[..],
            b"{\"a\":1}",
            b"hello there\r\n",
            b"GET /\r\nHost: h\r\n",
        ] {
            assert!(
                matches!(parse(Kind::Request, text), Outcome::Malformed),
                "{}",
                text.escape_ascii()
            );
        }
        for text in [&b"HTTX"[..], b"hello", b"HTTP/1.1 abc\r\n"] {
            assert!(
                matches!(parse(Kind::Response, text), Outcome::Malformed),
                "{}",
                text.escape_ascii()
            );
        }
    }
}
