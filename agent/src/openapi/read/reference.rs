//! References inside a document: `{"$ref": "#/components/parameters/Id"}` (RFC 6901 pointers after the `#`).

use serde_json::Value;

use super::Reader;

/// References to references that are followed. Overflow policy: the last one stays.
pub(super) const MAX_HOPS: usize = 16;

/// An object at its own place, after references.
#[derive(Debug, Clone)]
pub(super) struct Located<'a> {
    pub(super) value: &'a Value,
    /// Where it stands.
    pub(super) pointer: String,
}

impl<'a> Reader<'a> {
    /// The object that stands at a place, or what it refers to. Nothing, with a problem told, when that is not there.
    pub(super) fn follow(&mut self, value: &'a Value, pointer: &str) -> Option<Located<'a>> {
        let mut found = Located {
            value,
            pointer: pointer.to_owned(),
        };
        for _ in 0..MAX_HOPS {
            let Some(reference) = target(found.value) else {
                return Some(found);
            };
            let Some(local) = local(reference) else {
                self.problem(pointer, format!("refers to another document: {reference}"));
                return None;
            };
            let Some(value) = self.root.pointer(&local) else {
                self.problem(pointer, format!("refers to {reference}, which is not there"));
                return None;
            };
            found = Located {
                value,
                pointer: local,
            };
        }
        self.problem(pointer, "refers to itself");
        None
    }
}

/// What an object refers to.
pub(super) fn target(value: &Value) -> Option<&str> {
    value.get("$ref")?.as_str()
}

/// The pointer of a reference into the same document, percent-escapes decoded (RFC 3986 §2.1).
pub(super) fn local(reference: &str) -> Option<String> {
    let escaped = reference.strip_prefix('#')?;
    if !escaped.contains('%') {
        return Some(escaped.to_owned());
    }
    let mut bytes = Vec::with_capacity(escaped.len());
    let mut rest = escaped.as_bytes();
    while let [byte, tail @ ..] = rest {
        let escape = match tail {
            [high, low, ..] if *byte == b'%' => hex(*high).zip(hex(*low)),
            _ => None,
        };
        match escape {
            Some((high, low)) => {
                bytes.push(high << 4 | low);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*byte);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

fn hex(digit: u8) -> Option<u8> {
    u8::try_from(char::from(digit).to_digit(16)?).ok()
}

/// The pointer of a member.
pub(super) fn inside(pointer: &str, name: &str) -> String {
    format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"))
}
