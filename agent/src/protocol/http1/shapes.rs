//! Heads that are understood here and may be understood otherwise elsewhere: the shapes of request smuggling.
//!
//! In: a parsed head. Out: [`Facts`] besides those of its lengths ([`super::lengths`]) and line ends. What they mean is for
//! detectors to judge. Looks at names and values of a few fields only.

use std::ops::Range;

use super::head::{Fields, Kind, Line, Parsed};
use crate::{exchange::Facts, protocol::field};

/// What is odd about a head in `bytes`.
pub(super) fn facts(kind: Kind, parsed: &Parsed, bytes: &[u8]) -> Facts {
    let mut facts = Facts::default();
    // RFC 9112 §6.1: transfer codings are of HTTP/1.1; who does not know them goes by something else.
    if parsed.minor == 0 && parsed.lengths.has_transfer_coding() {
        facts = facts.with(Facts::CODED_BEFORE_11);
    }
    if kind == Kind::Request
        && let Line::Request(_, target) = &parsed.line
        && hosts_differ(slice(bytes, target), &parsed.fields, bytes)
    {
        facts = facts.with(Facts::DIFFERING_HOSTS);
    }
    facts
}

/// Whether a request names several hosts: in `Host` fields, or in a target in absolute form (RFC 9112 §3.2).
fn hosts_differ(target: &[u8], fields: &Fields, bytes: &[u8]) -> bool {
    let mut named = authority(target);
    for (name, value) in fields {
        if name.len() != 4 || !field::is(slice(bytes, name), b"host") {
            continue;
        }
        let host = slice(bytes, value);
        if named.is_some_and(|named| !same_host(named, host)) {
            return true;
        }
        named = Some(host);
    }
    false
}

/// The authority of a target in absolute form, without user information.
fn authority(target: &[u8]) -> Option<&[u8]> {
    if target.first() == Some(&b'/') {
        return None;
    }
    let start = memchr::memmem::find(target, b"://")? + 3;
    let rest = target.get(start..)?;
    let end = rest
        .iter()
        .position(|byte| matches!(byte, b'/' | b'?' | b'#'))
        .unwrap_or(rest.len());
    let authority = rest.get(..end)?;
    let host = memchr::memrchr(b'@', authority).map_or(0, |at| at + 1);
    authority.get(host..)
}

/// Equal but for case and a default port.
fn same_host(one: &[u8], other: &[u8]) -> bool {
    let bare = |host: &'_ [u8]| -> usize {
        let port = host.strip_suffix(b":80").or_else(|| host.strip_suffix(b":443"));
        port.map_or(host.len(), <[u8]>::len)
    };
    let (one, other) = (one.get(..bare(one)), other.get(..bare(other)));
    matches!((one, other), (Some(one), Some(other)) if one.eq_ignore_ascii_case(other))
}

fn slice<'a>(bytes: &'a [u8], range: &Range<u32>) -> &'a [u8] {
    bytes
        .get(range.start as usize..range.end as usize)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{super::head::tests::head, *};

    #[test]
    fn requests_that_servers_disagree_about() {
        let length = Facts::MALFORMED_LENGTH;
        let coding = Facts::ODD_TRANSFER_CODING;
        let cases: [(&[u8], Facts); 26] = [
            (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", Facts::default()),
            (b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\n", Facts::default()),
            (
                b"POST / HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n",
                Facts::LENGTH_AND_CHUNKED,
            ),
            (
                b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n",
                Facts::LENGTH_AND_CHUNKED,
            ),
            (
                b"POST / HTTP/1.1\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\n",
                Facts::DIFFERING_LENGTHS,
            ),
            (
                b"POST / HTTP/1.1\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\n",
                Facts::REPEATED_LENGTH,
            ),
            (
                b"POST / HTTP/1.1\r\nContent-Length: 4, 4\r\n\r\n",
                Facts::REPEATED_LENGTH,
            ),
            (b"POST / HTTP/1.1\r\nContent-Length: +4\r\n\r\n", length),
            (b"POST / HTTP/1.1\r\nContent-Length: 0x4\r\n\r\n", length),
            (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", length),
            (b"POST / HTTP/1.1\r\nContent-Length:\r\n\r\n", length),
            (b"POST / HTTP/1.1\r\nContent-Length: 4 4\r\n\r\n", length),
            (b"POST / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n", coding),
            (
                b"POST / HTTP/1.1\r\nTransfer-Encoding: identity, chunked\r\n\r\n",
                coding,
            ),
            (
                b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n",
                coding,
            ),
            (
                b"POST / HTTP/1.1\r\nTransfer-Encoding : chunked\r\n\r\n",
                Facts::SPACE_BEFORE_COLON,
            ),
            (
                b"POST / HTTP/1.1\r\nTransfer-Encoding:\r\n chunked\r\n\r\n",
                Facts::OBSOLETE_FOLD,
            ),
            (
                b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
                Facts::CODED_BEFORE_11,
            ),
            (b"GET / HTTP/1.1\nHost: a\n\n", Facts::BARE_LF),
            (b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", Facts::BARE_LF),
            (
                b"GET / HTTP/1.1\r\nHost: a\r\nX\0: b\r\n\r\n",
                Facts::MALFORMED_FIELD,
            ),
            (
                b"GET / HTTP/1.1\r\nHost: a\r\nno field\r\n\r\n",
                Facts::MALFORMED_FIELD,
            ),
            (
                b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
                Facts::DIFFERING_HOSTS,
            ),
            (
                b"GET http://u@A:80/x HTTP/1.1\r\nHost: a\r\n\r\n",
                Facts::default(),
            ),
            (
                b"GET http://b/x HTTP/1.1\r\nHost: a\r\n\r\n",
                Facts::DIFFERING_HOSTS,
            ),
            (b"GET /\r\n\r\n", Facts::NO_VERSION),
        ];
        for (text, facts) in cases {
            assert_eq!(head(Kind::Request, text).facts, facts, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn a_line_break_inside_a_value_is_malformed() {
        let parsed = head(
            Kind::Request,
            b"GET / HTTP/1.1\r\nX: a\rContent-Length: 3\r\n\r\n",
        );
        assert!(parsed.facts.has(Facts::MALFORMED_FIELD));
    }
}
