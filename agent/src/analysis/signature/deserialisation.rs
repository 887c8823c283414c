//! Serialised objects of platforms whose readers run code: Java, PHP, Python, .NET, Node.js, Ruby.

use std::sync::LazyLock;

use super::{
    Hit,
    class::Class,
    hints::Hints,
    needles::{self, Needles},
    text::{Text, at, from, is_word},
};

/// Beginnings of serialised streams in base64, at each of its three offsets where the magic is long enough: case matters.
pub(super) const ENCODED: [&[u8]; 4] = [b"rO0AB", b"KztAAU", b"Cs7QAF", b"AAEAAAD/////"];

/// Whether a value begins like such a stream: it has no byte of note.
pub(super) fn begins_encoded(bytes: &[u8]) -> bool {
    bytes.len() >= 6
        && matches!(bytes.first(), Some(b'r' | b'K' | b'C' | b'A'))
        && ENCODED.iter().any(|magic| bytes.starts_with(magic))
}

/// Type names and tags that make readers build objects.
pub(super) const TYPES: &[&str] = &[
    "!!python/object",
    "!!python/name",
    "!!javax.script",
    "!!java.",
    "!ruby/object",
    "!!ruby/object",
    "_$$nd_func$$_",
    "c__builtin__\n",
    "cos\nsystem",
    "csubprocess\n",
    "cposix\nsystem",
    "\"@type\":\"com.sun",
    "@type\": \"com.sun",
    "com.sun.rowset.jdbcrowsetimpl",
    "objectdataprovider",
    "system.diagnostics.process",
    "windowsidentity",
    "javax.management.",
    "org.apache.xalan",
    "templatesimpl",
    "ysoserial",
    "java.util.priorityqueue",
    "sun.rmi.",
    "system.windows.data",
    "org.springframework.context.support",
];

static TAGS: Needles = LazyLock::new(|| needles::build(TYPES));

/// A serialised object in this value.
pub(super) fn detect(text: &Text<'_>) -> Option<Hit> {
    let hit = |confidence, why| Some(Hit::new(Class::Deserialisation, confidence, why));
    if text.raw.starts_with(b"\xac\xed\x00\x05") {
        return hit(0.95, "a serialised Java object");
    }
    if text.is_content() || !text.hints.any(Hints::OBJECT) {
        return None;
    }
    let begins = |magic: &[u8]| {
        memchr::memmem::find_iter(text.raw, magic)
            .any(|place| place == 0 || !is_word(at(text.raw, place - 1)) && at(text.raw, place - 1) != b'/')
    };
    if ENCODED.iter().any(|magic| begins(magic)) && !text.raw.contains(&b' ') {
        return hit(0.85, "a serialised object in base64");
    }
    if php(text.lower) {
        return hit(0.9, "a serialised PHP object");
    }
    needles::find(&TAGS, text.lower).and_then(|_| hit(0.9, "a type that readers of objects would build"))
}

/// `O:8:"stdClass":1:{`, `a:1:{i:0;O:…`.
fn php(lower: &[u8]) -> bool {
    let mut place = 0;
    while let Some(found) = memchr::memmem::find(from(lower, place), b"o:") {
        let start = place + found;
        place = start + 2;
        if start > 0 && is_word(at(lower, start - 1)) {
            continue;
        }
        let rest = from(lower, place);
        let rest = rest.strip_prefix(b"+").unwrap_or(rest);
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits > 0 && matches!(from(rest, digits), [b':', b'"' | b'\'', ..]) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::signature::text::Source;

    #[test]
    fn streams_of_objects_are_found_and_base64_is_not() {
        let is_object = |value: &str| {
            let lower = value.to_ascii_lowercase();
            detect(&Text::new(value.as_bytes(), lower.as_bytes(), Source::Body)).is_some()
        };
        for value in [
            "rO0ABXNyABFqYXZhLnV0aWwuSGFzaE1hcA",
            "O:8:\"stdClass\":1:{s:1:\"a\";i:2;}",
            "!!python/object/apply:os.system ['id']",
            "{\"rce\":\"_$$ND_FUNC$$_function(){}()\"}",
            "AAEAAAD/////AQAAAAAAAAAM",
        ] {
            assert!(is_object(value), "{value}");
        }
        for value in [
            "iVBORw0KGgoAAAANSUhEUgAA",
            "SGVsbG8sIFdvcmxkIQ==",
            "ratio:8:2",
            "hello:5:x",
            "video:16:9",
            "a:1:{}",
        ] {
            assert!(!is_object(value), "{value}");
        }
    }
}
