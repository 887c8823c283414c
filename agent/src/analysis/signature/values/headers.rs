//! Headers that applications read, and cookies.
//!
//! Fields with a syntax of their own that the server reads, not the application, are left out: they would only cost.

use super::{Item, Place, Visit};
use crate::{
    analysis::signature::{decode::Encoding, text::Source},
    exchange::Head,
    protocol::field,
};

/// Fields of so many letters that are left out. What begins with `accept`, `sec-`, `if-` or `access-control-` is, too.
const fn structured(letters: usize) -> &'static [&'static [u8]] {
    match letters {
        2 => &[b"te"],
        3 => &[b"dnt"],
        4 => &[b"host", b"date", b"etag", b"dpop"],
        5 => &[b"range"],
        6 => &[b"pragma", b"expect", b"digest"],
        7 => &[b"trailer", b"upgrade"],
        10 => &[b"connection", b"keep-alive", b"tracestate"],
        11 => &[b"traceparent"],
        13 => &[b"authorization", b"cache-control"],
        14 => &[b"content-length"],
        16 => &[b"content-encoding"],
        17 => &[b"transfer-encoding"],
        19 => &[b"proxy-authorization"],
        _ => &[],
    }
}

/// Visits the fields and cookies of a head.
pub(super) fn walk(head: &Head, visit: &mut Visit<'_>) {
    for (name, value) in head.iter() {
        if value.len() < 4 || is_structured(name) {
            continue;
        }
        if field::is(name, b"cookie") {
            cookies(value, visit);
            continue;
        }
        let free = field::is(name, b"user-agent") || field::is(name, b"referer");
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
    begins || structured(name.len()).iter().any(|known| field::is(name, known))
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
