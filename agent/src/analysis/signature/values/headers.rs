//! Headers that applications read, and cookies.
//!
//! Fields with a syntax of their own that the server reads, not the application, are left out: they would only cost.

use super::{Item, Place, Visit};
use crate::{
    analysis::signature::{decode::Encoding, text::Source},
    exchange::Head,
};

/// Fields that are left out, in lower case. What begins with `accept`, `sec-`, `if-` or `access-control-` is, too.
const STRUCTURED: [&[u8]; 22] = [
    b"host",
    b"connection",
    b"date",
    b"authorization",
    b"proxy-authorization",
    b"cache-control",
    b"pragma",
    b"content-length",
    b"content-encoding",
    b"transfer-encoding",
    b"te",
    b"trailer",
    b"upgrade",
    b"expect",
    b"range",
    b"etag",
    b"keep-alive",
    b"traceparent",
    b"tracestate",
    b"dnt",
    b"dpop",
    b"digest",
];

/// Longest name of a field that is left out.
const MAX_STRUCTURED_BYTES: usize = 20;

/// Visits the fields and cookies of a head.
pub(super) fn walk(head: &Head, visit: &mut Visit<'_>) {
    for (name, value) in head.iter() {
        if value.len() < 4 || is_structured(name) {
            continue;
        }
        if name.eq_ignore_ascii_case(b"cookie") {
            cookies(value, visit);
            continue;
        }
        let free = name.eq_ignore_ascii_case(b"user-agent") || name.eq_ignore_ascii_case(b"referer");
        visit(&Item {
            source: if free { Source::FreeHeader } else { Source::Header },
            place: Place::Header(name),
            bytes: value,
            encoding: Encoding::Plain,
        });
    }
}

fn is_structured(name: &[u8]) -> bool {
    let starts = |prefix: &[u8]| {
        name.get(..prefix.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    let begins = match name.first() {
        Some(b'a' | b'A') => starts(b"accept") || starts(b"access-control-"),
        Some(b's' | b'S') => starts(b"sec-"),
        Some(b'i' | b'I') => starts(b"if-"),
        Some(b':') => true,
        _ => false,
    };
    begins
        || name.len() <= MAX_STRUCTURED_BYTES
            && STRUCTURED.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// Pairs of RFC 6265 §5.4. Values that are credentials are masked and say nothing.
fn cookies(field: &[u8], visit: &mut Visit<'_>) {
    for pair in field.split(|byte| *byte == b';') {
        let Some(equals) = memchr::memchr(b'=', pair) else {
            continue;
        };
        let name = pair.get(..equals).unwrap_or_default().trim_ascii();
        let value = pair.get(equals + 1..).unwrap_or_default();
        visit(&Item {
            source: Source::Header,
            place: Place::Cookie(name),
            bytes: value,
            encoding: Encoding::Percent,
        });
        visit(&Item {
            source: Source::Name,
            place: Place::Cookie(&[]),
            bytes: name,
            encoding: Encoding::Percent,
        });
    }
}
