//! Walks a JSON text field by field without building it.
//!
//! In: the sample of a body, perhaps cut. Out: an [`Event`] per value, with the path of its field: `$.user.tags[]`;
//! names that are identifiers are left out: `$.users.*`. Linear, bounded in depth, values and list elements; ends
//! quietly where the text ends or is no JSON.

use std::borrow::Cow;

use crate::{
    inventory::template::segment::{SegmentType, classify, is_plain_word},
    protocol::json::string_end,
};

/// Nested objects and lists. Overflow policy: what is deeper is passed over.
const MAX_DEPTH: usize = 16;

/// Values of one text. Overflow policy: the first so many.
const MAX_VALUES: usize = 1000;

/// Elements of one list. Overflow policy: the first so many.
const MAX_ELEMENTS: usize = 32;

/// Longest path. Overflow policy: fields with longer ones are passed over.
const MAX_PATH_BYTES: usize = 256;

/// Bytes of one text. Overflow policy: as if it were cut there.
const MAX_BYTES: usize = 32 * 1024;

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value<'a> {
    Object,
    /// The end of an object that was seen whole.
    ObjectEnd,
    Array,
    Text(Cow<'a, str>),
    Number(&'a str),
    Bool(bool),
    Null,
    /// A file in a form; never in JSON.
    File,
}

/// One value and its place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event<'a> {
    pub(crate) path: &'a str,
    /// The name of the field, or of the list it is an element of.
    pub(crate) name: &'a str,
    pub(crate) value: Value<'a>,
}

/// Walks a text. Whether it was JSON as far as it went.
pub(crate) fn walk(text: &[u8], visit: impl FnMut(Event<'_>)) -> bool {
    outline(text, visit).is_json
}

/// What became of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outline {
    /// It was JSON as far as it went.
    pub(crate) is_json: bool,
    /// Some of it was passed over: too deep, too long, or too much.
    pub(crate) is_cut: bool,
}

/// As [`walk`], telling whether a bound was reached.
pub(crate) fn outline(text: &[u8], mut visit: impl FnMut(Event<'_>)) -> Outline {
    let is_long = text.len() > MAX_BYTES;
    let text = text.get(..MAX_BYTES).unwrap_or(text);
    // Much quicker than a look for what is to be replaced.
    let text = std::str::from_utf8(text).map_or_else(|_| String::from_utf8_lossy(text), Cow::Borrowed);
    let mut walker = Walker {
        rest: &text,
        path: "$".to_owned(),
        left: MAX_VALUES,
        is_cut: is_long,
        visit: &mut visit,
    };
    let is_json = walker.value("", 0).is_some() || walker.rest.is_empty();
    Outline {
        is_json,
        is_cut: walker.is_cut,
    }
}

struct Walker<'a, 'v> {
    rest: &'a str,
    path: String,
    left: usize,
    is_cut: bool,
    visit: &'v mut dyn FnMut(Event<'_>),
}

impl<'a> Walker<'a, '_> {
    /// The next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        let first = self.rest.as_bytes().first()?;
        if *first > b' ' {
            return Some(*first);
        }
        self.rest = self.rest.trim_ascii_start();
        self.rest.as_bytes().first().copied()
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.rest = self.rest.get(1..).unwrap_or_default())
    }

    fn emit(&mut self, name: &str, value: Value<'_>) {
        if self.path.len() <= MAX_PATH_BYTES {
            (self.visit)(Event {
                path: &self.path,
                name,
                value,
            });
        }
    }

    /// One value with everything in it; `None` at the end of the text, or where it is no JSON.
    fn value(&mut self, name: &str, depth: usize) -> Option<()> {
        let Some(left) = self.left.checked_sub(1) else {
            self.is_cut = true;
            return None;
        };
        self.left = left;
        match self.peek()? {
            b'{' => self.object(name, depth),
            b'[' => self.array(name, depth),
            b'"' => {
                let (text, is_escaped) = self.string()?;
                self.emit(name, Value::Text(plain(text, is_escaped)));
                Some(())
            }
            _ => self.word(name),
        }
    }

    fn object(&mut self, name: &str, depth: usize) -> Option<()> {
        self.take(b'{')?;
        self.emit(name, Value::Object);
        if self.take(b'}').is_none() {
            loop {
                let (key, is_escaped) = self.string()?;
                self.take(b':')?;
                let key = plain(key, is_escaped);
                let length = self.path.len();
                self.push_name(&key);
                self.nested(&key, depth)?;
                self.path.truncate(length);
                if self.take(b',').is_none() {
                    break;
                }
            }
            self.take(b'}')?;
        }
        self.emit(name, Value::ObjectEnd);
        Some(())
    }

    fn array(&mut self, name: &str, depth: usize) -> Option<()> {
        self.take(b'[')?;
        self.emit(name, Value::Array);
        if self.take(b']').is_some() {
            return Some(());
        }
        let length = self.path.len();
        self.path.push_str("[]");
        let mut elements = 0;
        loop {
            if elements < MAX_ELEMENTS {
                self.nested(name, depth)?;
            } else {
                self.is_cut = true;
                self.skip()?;
            }
            elements += 1;
            if self.take(b',').is_none() {
                break;
            }
        }
        self.path.truncate(length);
        self.take(b']')
    }

    fn nested(&mut self, name: &str, depth: usize) -> Option<()> {
        if depth < MAX_DEPTH {
            self.value(name, depth + 1)
        } else {
            self.is_cut = true;
            self.skip()
        }
    }

    fn push_name(&mut self, key: &str) {
        self.path.push('.');
        if is_plain_word(key.as_bytes()) {
            self.path.push_str(key);
            return;
        }
        // An identifier as a name makes the object a map.
        let kind = classify(key);
        if kind.is_parameter() && kind != SegmentType::Float || key.len() > 64 {
            self.path.push('*');
        } else {
            self.path
                .extend(key.chars().filter(|c| !c.is_control() && !".[]".contains(*c)));
        }
    }

    /// The raw text of a string, and whether there are escapes in it.
    fn string(&mut self) -> Option<(&'a str, bool)> {
        self.take(b'"')?;
        let (end, is_escaped) = string_end(self.rest.as_bytes())?;
        let (text, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest.get(1..).unwrap_or_default();
        Some((text, is_escaped))
    }

    /// A number, a truth value or null.
    fn word(&mut self, name: &str) -> Option<()> {
        let ends = |byte: u8| matches!(byte, b',' | b']' | b'}' | b' ' | b'\t' | b'\r' | b'\n');
        let end = self.rest.bytes().position(ends)?;
        let (word, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest;
        let value = match word.as_bytes() {
            b"null" => Value::Null,
            b"true" => Value::Bool(true),
            b"false" => Value::Bool(false),
            [b'-' | b'0'..=b'9', ..] => Value::Number(word),
            _ => return None,
        };
        self.emit(name, value);
        Some(())
    }

    /// Passes over one value.
    fn skip(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match self.peek()? {
                b'"' => drop(self.string()?),
                b'{' | b'[' => {
                    depth += 1;
                    self.rest = self.rest.get(1..)?;
                    continue;
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    self.rest = self.rest.get(1..)?;
                }
                b',' | b':' if depth > 0 => {
                    self.rest = self.rest.get(1..)?;
                    continue;
                }
                _ => {
                    let end = self.rest.bytes().position(|b| b",:]}[{\" \t\r\n".contains(&b))?;
                    self.rest = self.rest.get(end.max(1)..)?;
                }
            }
            if depth == 0 {
                return Some(());
            }
        }
    }
}

/// A string without its escapes (RFC 8259 §7).
fn plain(text: &str, is_escaped: bool) -> Cow<'_, str> {
    if !is_escaped {
        return text.into();
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    let mut next = memchr::memchr(b'\\', text.as_bytes());
    while let Some(at) = next {
        let (before, escape) = rest.split_at_checked(at).unwrap_or((rest, ""));
        let character = match escape.as_bytes().get(1) {
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(*byte),
            Some(b'n') => '\n',
            Some(b't') => '\t',
            Some(b'r') => '\r',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            // Characters by number, alone or in pairs.
            _ => return numbered(text),
        };
        plain.push_str(before);
        plain.push(character);
        rest = escape.get(2..).unwrap_or_default();
        next = memchr::memchr(b'\\', rest.as_bytes());
    }
    plain.push_str(rest);
    plain.into()
}

fn numbered(text: &str) -> Cow<'_, str> {
    match serde_json::from_str::<String>(&format!("\"{text}\"")) {
        Ok(plain) => plain.into(),
        Err(_) => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(text: &str) -> Vec<String> {
        let mut events = Vec::new();
        walk(text.as_bytes(), |event| {
            events.push(format!("{} {} {:?}", event.path, event.name, event.value));
        });
        events
    }

    #[test]
    fn every_value_has_a_path() {
        assert_eq!(
            events(r#"{"a":{"b":[1,{"c":"x\u00e9"}]},"42":null,"d":true}"#),
            [
                "$  Object",
                "$.a a Object",
                "$.a.b b Array",
                "$.a.b[] b Number(\"1\")",
                "$.a.b[] b Object",
                "$.a.b[].c c Text(\"xé\")",
                "$.a.b[] b ObjectEnd",
                "$.a a ObjectEnd",
                "$.* 42 Null",
                "$.d d Bool(true)",
                "$  ObjectEnd",
            ]
        );
    }

    #[test]
    fn escapes_are_taken_off() {
        for (text, expected) in [
            (r#"a\"b\\c\/d"#, "a\"b\\c/d"),
            (r"\n\t\r\b\f", "\n\t\r\u{8}\u{c}"),
            (r"x\u00e9\n", "xé\n"),
            (r"\ud83d\ude00", "😀"),
            (r"no\x", r"no\x"),
            ("cut\\", "cut\\"),
        ] {
            assert_eq!(plain(text, true), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_utf8_is_replaced() {
        let mut found = Vec::new();
        walk(b"[\"\xff\\n\",\"\xe2\",\"cut\xe2", |event| {
            if let Value::Text(text) = event.value {
                found.push(text.into_owned());
            }
        });
        assert_eq!(found, ["\u{fffd}\n", "\u{fffd}"]);
    }

    #[test]
    fn hostile_texts_end() {
        let deep = "[".repeat(100_000);
        let wide = format!("[{}]", "1,".repeat(100_000));
        for text in [
            "",
            "{",
            "{\"a\"",
            "{\"a\":",
            "[1,",
            "nul",
            "{]",
            "{\"a\":1,}",
            &deep,
            &wide,
            "[[[[[]]]]",
            "\"\\",
        ] {
            assert!(events(text).len() <= MAX_VALUES, "{text:.20}");
        }
        let whole = r#"{"a":{"b":[1,{"c":"x"}]},"d":true}"#;
        for cut in 0..whole.len() {
            assert!(!events(&whole[..cut]).iter().any(|event| event == "$  ObjectEnd"));
        }
    }

    #[test]
    fn deep_values_are_passed_over() {
        let text = format!("{}1{}", "{\"a\":".repeat(20), "}".repeat(20));
        let events = events(&text);
        assert_eq!(events.last().map(String::as_str), Some("$  ObjectEnd"));
    }
}
