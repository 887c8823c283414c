//! Browser script that is the whole of a value, or follows the quote by which it left a string.
//!
//! Code that stands in a sentence, a message or a file is talk about code: an expression counts when the value *is* one.

use super::{
    hints::Hints,
    scan::Bits,
    text::{Shape, Text, at, from, has, is_word, prose_words},
};

/// Words without which no rule here holds.
pub(super) const NAMES: &[&str] = &[
    "alert",
    "confirm",
    "prompt",
    "eval",
    "settimeout",
    "setinterval",
    "setimmediate",
    "function",
    "execscript",
    "atob",
    "fromcharcode",
    "getscript",
    "xmlhttprequest",
    "document",
    "importscripts",
    "location",
    "localstorage",
    "constructor",
    "window",
    "self",
    "top",
    "parent",
    "frames",
    "globalthis",
    "this",
];

/// Functions and objects that attacks prove themselves with, or reach for.
const SINKS: [&[u8]; 22] = [
    b"alert",
    b"confirm",
    b"prompt",
    b"eval",
    b"settimeout",
    b"setinterval",
    b"setimmediate",
    b"function",
    b"execscript",
    b"atob",
    b"fromcharcode",
    b"getscript",
    b"xmlhttprequest",
    b"document.write",
    b"importscripts",
    b"document.location",
    b"document.cookie",
    b"document.domain",
    b"window.location",
    b"location.href",
    b"localstorage",
    b"constructor",
];

/// Objects whose members are reached by computed names.
const GLOBALS: [&[u8]; 8] = [
    b"window",
    b"self",
    b"top",
    b"parent",
    b"frames",
    b"globalthis",
    b"this",
    b"document",
];

/// Why the value is a script, if it is one.
pub(super) fn expression(text: &Text<'_>) -> Option<&'static str> {
    let kinds = Bits::PAREN
        .or(Bits::QUOTE)
        .or(Bits::SQUARE)
        .or(Bits::EQUAL)
        .or(Bits::SLASH);
    if matches!(text.shape, Shape::Document | Shape::Code) || !text.bits.any(kinds) {
        return None;
    }
    let lower = text.lower.get(..MAX_BYTES).unwrap_or(text.lower);
    if is_bracket_code(lower) {
        return Some("script written in brackets alone");
    }
    let has_comment = has(lower, b"/*");
    if !text.hints.any(Hints::SCRIPT) && !has_comment {
        return None;
    }
    let plain: Vec<u8>;
    let lower = if has_comment {
        plain = without_comments(lower);
        plain.as_slice()
    } else {
        lower
    };
    if is_apart(lower) {
        return Some("script that spaces out what attacks read");
    }
    for sink in SINKS {
        for place in memchr::memmem::find_iter(lower, sink).take(MAX_PLACES) {
            if stands_alone(lower, place) && is_used(lower, place + sink.len(), sink) {
                return Some("script that calls what attacks call");
            }
        }
    }
    for global in GLOBALS {
        for place in memchr::memmem::find_iter(lower, global).take(MAX_PLACES) {
            let behind = skip(lower, place + global.len());
            if stands_alone(lower, place) && at(lower, behind) == b'[' && computed(from(lower, behind + 1)) {
                return Some("script that reaches a member by a computed name");
            }
        }
    }
    None
}

/// `document .  cookie`: blanks that a sentence has behind a full stop, not before it.
fn is_apart(lower: &[u8]) -> bool {
    memchr::memmem::find_iter(lower, b"document")
        .take(MAX_PLACES)
        .any(|place| {
            let rest = from(lower, place + 8);
            let stop = skip(rest, 0);
            let member = from(rest, skip(rest, stop + 1));
            let named = [&b"cookie"[..], b"domain", b"write", b"location"]
                .iter()
                .any(|name| {
                    member
                        .strip_prefix(*name)
                        .is_some_and(|behind| !is_word(at(behind, 0)))
                });
            stop > 0 && at(rest, stop) == b'.' && named
        })
}

/// `[][(![]+[])[+[]]…`: all of JavaScript can be written with six characters.
fn is_bracket_code(lower: &[u8]) -> bool {
    lower.len() >= 10
        && lower
            .iter()
            .all(|byte| matches!(byte, b'[' | b']' | b'(' | b')' | b'!' | b'+' | b' ' | b'{' | b'}'))
        && memchr::memmem::find(lower, b"[]").is_some()
        && lower.contains(&b'!')
}

fn without_comments(lower: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(lower.len());
    let mut rest = lower;
    while let Some(start) = memchr::memmem::find(rest, b"/*") {
        let Some(end) = memchr::memmem::find(from(rest, start + 2), b"*/") else {
            break;
        };
        plain.extend_from_slice(rest.get(..start).unwrap_or_default());
        rest = from(rest, start + end + 4);
    }
    plain.extend_from_slice(rest);
    plain
}

/// Bytes of a value that are read. Overflow policy: what is behind is not.
const MAX_BYTES: usize = 1_024;

/// Places of one name that are judged. Overflow policy: the first so many.
const MAX_PLACES: usize = 8;

/// Whether the name here begins the expression: behind nothing, behind a quote that left a string, but not in a sentence.
fn stands_alone(lower: &[u8], place: usize) -> bool {
    if place > 0 && is_word(at(lower, place - 1)) {
        return false;
    }
    let before = lower.get(..place).unwrap_or_default();
    prose_words(before, 3) < 2
}

/// Whether the name that ends here is called, tagged or assigned.
fn is_used(lower: &[u8], end: usize, sink: &[u8]) -> bool {
    if is_word(at(lower, end)) {
        return false;
    }
    let behind = skip(lower, end);
    let property = sink.contains(&b'.') || sink == b"localstorage";
    let argument = |open: usize| {
        // `alert (see below)` is a sentence.
        let spaced = behind > end;
        let close = memchr::memchr(b')', from(lower, open + 1));
        let inside = lower
            .get(open + 1..open + 1 + close.unwrap_or(0))
            .unwrap_or_default();
        !spaced || prose_words(inside, 2) < 1
    };
    match at(lower, behind) {
        b'(' => argument(behind),
        b'`' => sink != b"function" || at(lower, behind + 1) != b'`',
        b'?' => at(lower, behind + 1) == b'.',
        b'.' => {
            let rest = from(lower, behind + 1);
            [
                &b"call"[..],
                b"apply",
                b"bind",
                b"valueof",
                b"constructor",
                b"prototype",
            ]
            .iter()
            .any(|name| rest.starts_with(name))
        }
        b'=' => property && at(lower, behind + 1) != b'=',
        0 | b')' | b']' | b'}' | b'+' | b'/' | b'<' | b',' | b'\\' | b'"' | b'\'' => property,
        _ => false,
    }
}

/// Past white space, comments and closing parentheses.
fn skip(lower: &[u8], place: usize) -> usize {
    let mut place = place;
    loop {
        let rest = from(lower, place);
        match rest.first() {
            Some(b' ' | b'\t' | b'\n' | b'\r' | b')') => place += 1,
            Some(b'/') if at(rest, 1) == b'*' => {
                let Some(end) = memchr::memmem::find(from(rest, 2), b"*/") else {
                    return place;
                };
                place += end + 4;
            }
            _ => return place,
        }
    }
}

/// Whether what stands between brackets is put together, or names a sink.
fn computed(inside: &[u8]) -> bool {
    let end = memchr::memchr(b']', inside).unwrap_or(inside.len());
    let inside = inside.get(..end).unwrap_or_default();
    let called = inside
        .iter()
        .any(|byte| matches!(byte, b'+' | b'(' | b'`' | b'/' | b'\\'));
    let has = |name: &[u8]| memchr::memmem::find(inside, name).is_some();
    let quoted = inside.iter().any(|byte| matches!(byte, b'"' | b'\'' | b'`'));
    let named = quoted
        && [&b"cookie"[..], b"location", b"domain", b"write"]
            .iter()
            .any(|name| has(name));
    let sink = named || SINKS.iter().any(|sink| has(sink));
    sink || called
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::signature::text::Source;

    fn is_script(value: &str) -> bool {
        let lower = value.to_ascii_lowercase();
        expression(&Text::new(value.as_bytes(), lower.as_bytes(), Source::Query)).is_some()
    }

    #[test]
    fn expressions_are_found() {
        for value in [
            "alert(1)",
            "'-alert(1)-'",
            "';confirm(document.domain)//",
            "alert.apply(null,[1])",
            "top['al'+'ert'](1)",
            "window[`atob`](x)",
            "alert?.(1)",
            "eval(atob('YQ=='))",
            "setTimeout`alert\\x281\\x29`",
            "prompt(1)",
            "\"+document.cookie+\"",
        ] {
            assert!(is_script(value), "{value}");
        }
    }

    #[test]
    fn talk_about_code_is_not() {
        for value in [
            "please confirm (by phone)",
            "an alert (see below) was sent",
            "you can use setTimeout(() => load(), 100) to wait for it",
            "smoke alert",
            "f(x) = alert",
            "prompt: write a poem",
            "this[0] and that[1]",
            "self[0]",
            "confirmed(yes)",
            "self-evaluation (annual)",
        ] {
            assert!(!is_script(value), "{value}");
        }
    }
}
