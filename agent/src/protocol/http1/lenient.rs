//! Heads that break RFC 9112 in ways that servers in the field put up with.
//!
//! In: a head up to and including its empty line. Out: [`Parsed`] with the deviations as facts: folded lines,
//! white space in front of the colon, targets with spaces or bytes beyond ASCII, more than [`MAX_FIELDS`] fields, a request
//! line without a version. Lines that are no field at all are left out. Linear in the length of the head.

use std::ops::Range;

use super::{
    head::{Fields, Kind, Line, MAX_FIELDS, Parsed},
    lengths::Lengths,
};
use crate::exchange::Facts;

/// Parses what the strict parser refused; `None` if the first line is not one of HTTP/1.
pub(super) fn parse(kind: Kind, head: &[u8]) -> Option<Parsed> {
    let mut lines = Lines { head, at: 0 };
    let first = lines.next()?;
    let text = head.get(first)?;
    let mut facts = Facts::default();
    let (line, minor) = match first_line(kind, text) {
        Some(known) => known,
        None if kind == Kind::Request && head.get(lines.at..).is_some_and(is_blank) => {
            facts = Facts::NO_VERSION;
            (simple_request(text)?, 0)
        }
        None => return None,
    };
    let mut fields = Fields::new();
    let mut lengths = Lengths::default();
    let mut cut = false;
    let mut open: Option<(Range<usize>, Range<usize>)> = None;
    for line in lines {
        let text = head.get(line.clone())?;
        if matches!(text.first(), Some(b' ' | b'\t')) {
            facts = facts.with(Facts::OBSOLETE_FOLD);
            if let Some((_, value)) = &mut open {
                value.end = line.end;
            }
            continue;
        }
        close(&mut open, head, &mut fields, &mut lengths, &mut cut);
        let Some((name, value)) = memchr::memchr(b':', text).and_then(|colon| text.split_at_checked(colon))
        else {
            facts = facts.with(Facts::MALFORMED_FIELD);
            continue;
        };
        let colon = name.len();
        let trimmed = name.trim_ascii_end().len();
        if !is_token(name.trim_ascii_end()) || value.iter().any(|&b| b.is_ascii_control() && b != b'\t') {
            facts = facts.with(Facts::MALFORMED_FIELD);
        }
        if trimmed == 0 {
            continue;
        }
        if trimmed < name.len() {
            facts = facts.with(Facts::SPACE_BEFORE_COLON);
        }
        let start = line.start;
        open = Some((start..start + trimmed, start + colon + 1..line.end));
    }
    close(&mut open, head, &mut fields, &mut lengths, &mut cut);
    if bare_line_feed(head) {
        facts = facts.with(Facts::BARE_LF);
    }
    Some(Parsed {
        length: head.len(),
        line,
        minor,
        fields,
        facts: facts.with(lengths.facts),
        lengths,
        cut,
    })
}

/// Finishes the field that folded lines may have extended.
fn close(
    open: &mut Option<(Range<usize>, Range<usize>)>,
    head: &[u8],
    fields: &mut Fields,
    lengths: &mut Lengths,
    cut: &mut bool,
) {
    let Some((name, mut value)) = open.take() else {
        return;
    };
    let text = head.get(value.clone()).unwrap_or_default();
    value.start += text.len() - text.trim_ascii_start().len();
    let text = text.trim_ascii();
    value.end = value.start + text.len();
    lengths.field(head.get(name.clone()).unwrap_or_default(), text);
    if fields.len() < MAX_FIELDS {
        fields.push((narrow(name), narrow(value)));
    } else {
        *cut = true;
    }
}

fn narrow(range: Range<usize>) -> Range<u32> {
    range.start as u32..range.end as u32
}

/// A name or a method (RFC 9110 §5.6.2).
fn is_token(text: &[u8]) -> bool {
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !text.is_empty() && text.iter().all(is_token)
}

/// An empty line, and nothing else.
fn is_blank(text: &[u8]) -> bool {
    matches!(text, b"\n" | b"\r\n")
}

/// A request line of HTTP/0.9 (RFC 1945 §5): `GET` and a path.
pub(super) fn simple_request(line: &[u8]) -> Option<Line> {
    let line = line.trim_ascii_end();
    let target = line.strip_prefix(b"GET ")?;
    let is_path = target.first() == Some(&b'/') && target.iter().all(u8::is_ascii_graphic);
    is_path.then(|| Line::Request(0..3, narrow(4..line.len())))
}

/// The version of a status line as the minor one of HTTP/1, and what follows. Clients take `0.9`, `1.01` or `2.1`
/// there for the version of theirs that is nearest.
fn version(line: &[u8]) -> Option<(u8, &[u8])> {
    let (major, rest) = number(line)?;
    let (minor, rest) = number(rest.strip_prefix(b".")?)?;
    Some((u8::from((major, minor) >= (1, 1)), rest))
}

/// A number of one to three digits.
fn number(text: &[u8]) -> Option<(u16, &[u8])> {
    let digits = text
        .iter()
        .take(4)
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let (digits, rest) = text.split_at_checked(digits)?;
    if !(1..=3).contains(&digits.len()) {
        return None;
    }
    Some((
        digits
            .iter()
            .fold(0, |number, digit| number * 10 + u16::from(digit - b'0')),
        rest,
    ))
}

/// The first line of a message and its minor version.
pub(super) fn first_line(kind: Kind, line: &[u8]) -> Option<(Line, u8)> {
    let line = line.trim_ascii_end();
    match kind {
        Kind::Response => {
            let (minor, rest) = version(line.strip_prefix(b"HTTP/")?)?;
            let rest = rest.trim_ascii_start();
            let digits = rest.get(..3)?;
            if rest.get(3).is_some_and(|&b| b != b' ') {
                return None;
            }
            let code = digits.iter().try_fold(0_u16, |code, &digit| {
                digit
                    .is_ascii_digit()
                    .then(|| code * 10 + u16::from(digit - b'0'))
            })?;
            (code >= 100).then_some((Line::Status(code), minor))
        }
        Kind::Request => {
            let version = memchr::memmem::rfind(line, b"HTTP/1.")?;
            let minor = match line.get(version + 7..)? {
                [digit] if digit.is_ascii_digit() => (digit - b'0').min(1),
                _ => return None,
            };
            let method = line.iter().position(|&b| b == b' ' || b == b'\t')?;
            let is_token = line
                .get(..method)?
                .iter()
                .all(|&b| b.is_ascii_graphic() && b != b'"');
            let target = line.get(method..version)?;
            let start = method + (target.len() - target.trim_ascii_start().len());
            let target = target.trim_ascii();
            if method == 0 || !is_token || target.is_empty() || !line.get(version - 1)?.is_ascii_whitespace()
            {
                return None;
            }
            let end = start + target.len();
            Some((Line::Request(narrow(0..method), narrow(start..end)), minor))
        }
    }
}

/// Lines without their ends, up to the empty one.
struct Lines<'a> {
    head: &'a [u8],
    at: usize,
}

impl Iterator for Lines<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        let rest = self.head.get(self.at..)?;
        let length = memchr::memchr(b'\n', rest)?;
        let start = self.at;
        self.at += length + 1;
        let line = rest.get(..length)?;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        (!line.is_empty()).then(|| start..start + line.len())
    }
}

fn bare_line_feed(head: &[u8]) -> bool {
    memchr::memchr_iter(b'\n', head).any(|at| at == 0 || head.get(at - 1) != Some(&b'\r'))
}

#[cfg(test)]
mod tests {
    use super::{
        super::head::tests::{head, texts},
        *,
    };

    #[test]
    fn folded_lines_belong_to_their_field() {
        let bytes = b"GET / HTTP/1.1\r\nA: one\r\n  two\r\nB: c\r\n\r\n";
        let parsed = head(Kind::Request, bytes);
        assert!(parsed.facts.has(Facts::OBSOLETE_FOLD));
        assert_eq!(
            texts(&parsed, bytes),
            [("A".into(), "one\r\n  two".into()), ("B".into(), "c".into())]
        );
    }

    #[test]
    fn space_before_the_colon_still_frames() {
        let bytes = b"POST / HTTP/1.1\r\nContent-Length : 5\r\n\r\n";
        let parsed = head(Kind::Request, bytes);
        assert!(parsed.facts.has(Facts::SPACE_BEFORE_COLON));
        assert_eq!(parsed.lengths.rule(), super::super::lengths::Rule::Length(5));
    }

    #[test]
    fn odd_targets_are_kept() {
        for target in ["/a b c", "/caf\u{e9}", "/x\u{7f}"] {
            let text = format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n");
            let parsed = head(Kind::Request, text.as_bytes());
            let Line::Request(_, range) = parsed.line else {
                panic!()
            };
            assert_eq!(&text[range.start as usize..range.end as usize], target);
        }
    }

    #[test]
    fn odd_versions_of_responses_are_the_nearest_known_one() {
        for (version, minor) in [
            ("0.9", 0),
            ("1.00", 0),
            ("1.01", 1),
            ("1.10", 1),
            ("1.7", 1),
            ("2.1", 1),
            ("1.1 ", 1),
        ] {
            let text = format!("HTTP/{version} 200 ok\r\nContent-Length: 5\r\n\r\n");
            let parsed = head(Kind::Response, text.as_bytes());
            assert_eq!(
                (parsed.line, parsed.minor),
                (Line::Status(200), minor),
                "{version}"
            );
        }
        for line in [
            "HTTP/ 200",
            "HTTP/1. 200",
            "HTTP/1.1000 200",
            "HTTP/.1 200",
            "HTTP/1.1",
            "HTTP/1.1 2000",
        ] {
            assert_eq!(first_line(Kind::Response, line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn many_fields_are_cut_and_obeyed() {
        let mut text = String::from("POST / HTTP/1.1\r\n");
        for i in 0..200 {
            text.push_str(&format!("X-{i}: y\r\n"));
        }
        text.push_str("Content-Length: 7\r\n\r\n");
        let parsed = head(Kind::Request, text.as_bytes());
        assert!(parsed.cut);
        assert_eq!(parsed.fields.len(), MAX_FIELDS);
        assert_eq!(parsed.lengths.rule(), super::super::lengths::Rule::Length(7));
    }
}
