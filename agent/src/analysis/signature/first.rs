//! The first look at a value that has no byte of note: whether detectors are to see it all the same.
//!
//! In: a value and the kinds of its bytes. Out: yes, if it begins like a statement or a command, or names a class, a file or a
//! place. Everything else that is written with letters, digits and a few signs is turned away here.

use super::{
    command, deserialisation,
    scan::{Bits, is_plain},
    text::{self, Source},
    values::Item,
};

/// Whether a name or a string of JSON is to be seen at all, as between its quotes: short ones of letters and digits are not.
pub(in crate::analysis) fn is_of_note(quoted: &[u8]) -> bool {
    !is_plain(quoted) || deserialisation::begins_encoded(quoted)
}

/// Whether a value without any byte of note may still be an attack: words that begin a statement, a path, a URL.
pub(super) fn deserves_a_look(item: &Item<'_>, bits: Bits) -> bool {
    let bytes = item.bytes;
    if bits.is_none() && item.source != Source::Header {
        return deserialisation::begins_encoded(bytes);
    }
    if bits.any(Bits::SPACE.or(Bits::PLUS)) {
        let behind = behind_number(bytes);
        let continues = behind.len() < bytes.len() && begins_with(behind, &BEHIND_NUMBERS);
        if continues || begins_a_statement(behind) || command::may_be_line(bytes) {
            return true;
        }
    }
    if deserialisation::begins_encoded(bytes) || bits.any(Bits::DOT) && names_a_class(bytes) {
        return true;
    }
    if item.source == Source::FreeHeader && bits.any(Bits::AMP) && text::has(bytes, b"&lt") {
        return true;
    }
    if item.source == Source::Name {
        return bits.any(Bits::COLON) && text::has(bytes, b"://");
    }
    let names_a_file =
        |name: &[u8]| name.len() >= 8 && name.windows(4).any(|four| four.eq_ignore_ascii_case(b"file"));
    item.source == Source::Header && names_a_file(item.place.name())
        || bits.any(Bits::DOT.or(Bits::SLASH).or(Bits::COLON)) && names_a_place(item, bits)
}

/// Names of classes have nothing but dots.
fn names_a_class(bytes: &[u8]) -> bool {
    if bytes.len() < 12 {
        return false;
    }
    bytes.iter().enumerate().any(|(at, first)| {
        let rest: &[u8] = match first {
            b'j' => b"java.",
            b'r' => b"rocessBuilder",
            b'u' => b"untime",
            b'o' => b"ocess.env",
            _ => return false,
        };
        text::from(bytes, at).starts_with(rest)
    })
}

/// What stands behind a number, which may have an exponent, and spaces: `1e0 union select …`.
fn behind_number(bytes: &[u8]) -> &[u8] {
    let rest = text::skip_while(bytes, |byte| {
        byte.is_ascii_digit() || matches!(byte, b'-' | b' ' | b'+' | b'.')
    });
    match rest {
        [b'e' | b'E', digits @ ..]
            if rest.len() < bytes.len() && digits.first().is_some_and(u8::is_ascii_digit) =>
        {
            text::skip_while(digits, |byte| {
                byte.is_ascii_digit() || matches!(byte, b' ' | b'+')
            })
        }
        _ => rest,
    }
}

/// `etc/`, `proc/` or `-inf/`.
fn has_segment_of_note(path: &[u8]) -> bool {
    let ends =
        |before: &[u8]| before.ends_with(b"etc") || before.ends_with(b"proc") || before.ends_with(b"-inf");
    let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
    slashes.filter_map(|(at, _)| path.get(..at)).any(ends)
}

fn begins_a_statement(bytes: &[u8]) -> bool {
    const WORDS: [&[u8]; 20] = [
        b"or",
        b"and",
        b"union",
        b"order",
        b"group",
        b"select",
        b"having",
        b"where",
        b"waitfor",
        b"exec",
        b"xor",
        b"procedure",
        b"delete",
        b"drop",
        b"insert",
        b"update",
        b"set",
        b"declare",
        b"is",
        b"limit",
    ];
    if !matches!(
        bytes.first(),
        Some(
            b'o' | b'a'
                | b'u'
                | b'g'
                | b's'
                | b'h'
                | b'w'
                | b'e'
                | b'x'
                | b'p'
                | b'd'
                | b'i'
                | b'l'
                | b'O'
                | b'A'
                | b'U'
                | b'G'
                | b'S'
                | b'H'
                | b'W'
                | b'E'
                | b'X'
                | b'P'
                | b'D'
                | b'I'
                | b'L'
        )
    ) {
        return false;
    }
    begins_with(bytes, &WORDS)
}

/// What goes on behind a number, beside what begins a statement.
const BEHIND_NUMBERS: [&[u8]; 9] = [
    b"is", b"in", b"not", b"between", b"like", b"rlike", b"regexp", b"limit", b"div",
];

/// Whether the first of several words is one of these.
fn begins_with(bytes: &[u8], words: &[&[u8]]) -> bool {
    let length = bytes.iter().take(12).position(|byte| matches!(byte, b' ' | b'+'));
    let Some(word) = length.and_then(|length| bytes.get(..length)) else {
        return false;
    };
    words.iter().any(|known| known.eq_ignore_ascii_case(word))
}

/// A path or a URL. Headers are full of slashes (`text/html`, `curl/8.5.0`), bodies of times and dates.
fn names_a_place(item: &Item<'_>, bits: Bits) -> bool {
    let bytes = item.bytes;
    let has = |part: &[u8]| text::has(bytes, part);
    if bits.any(Bits::DOT) && bytes.windows(2).any(|two| two == b"..") {
        return true;
    }
    match item.source {
        Source::Path => bits.any(Bits::DOT) || bits.any(Bits::SLASH) && has_segment_of_note(bytes),
        Source::FreeHeader => bytes.starts_with(b"/") || bits.any(Bits::SPACE) && has(b" /"),
        Source::Header => {
            bytes.starts_with(b"/")
                || bits.any(Bits::SPACE) && has(b" /")
                || bits.any(Bits::COLON) && has(b"://")
        }
        _ => {
            let first = bytes.first().copied().unwrap_or_default();
            let path =
                bits.any(Bits::SLASH) && (first.is_ascii_alphabetic() || matches!(first, b'/' | b'.' | b' '));
            let scheme = |colon: usize| colon > 0 && text::at(bytes, colon - 1).is_ascii_alphabetic();
            path || bits.any(Bits::COLON) && memchr::memchr(b':', bytes).is_some_and(scheme)
        }
    }
}
