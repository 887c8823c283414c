//! Walks a JSON text field by field without building it.
//!
//! In: the sample of a body, perhaps cut. Out: an [`Event`] per value, with the path of its field: `$.user.tags[]`;
//! names that are identifiers are left out: `$.users.*`. Linear, bounded in depth, values and list elements; ends
//! quietly where the text ends or is no JSON.

use std::{borrow::Cow, ops::Range};

use super::paths::{Among, MAX_PATH_BYTES, Paths, Place, ROOT};
use crate::protocol::json::string_end;

/// Nested objects and lists. Overflow policy: what is deeper is passed over.
const MAX_DEPTH: usize = 16;

/// Values of one text. Overflow policy: the first so many.
const MAX_VALUES: usize = 1000;

/// Elements of one list. Overflow policy: the first so many.
const MAX_ELEMENTS: usize = 32;

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
    /// The number of its path.
    pub(crate) place: u32,
    pub(crate) path: &'a str,
    /// The name of the field, or of the list it is an element of.
    pub(crate) name: &'a str,
    /// The name as between its quotes; elements of lists have none.
    pub(crate) key: &'a str,
    /// Where a string stands between its quotes, escapes included; of other values nothing.
    pub(crate) quoted: Range<usize>,
    pub(crate) value: Value<'a>,
}

/// What became of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outline {
    /// Some of it was passed over: too deep, too long, or too much.
    pub(crate) is_cut: bool,
    /// It was JSON to its last byte, and all of that was told: who has seen the events has seen every name and string.
    pub(crate) is_whole: bool,
}

/// Walks a text with the paths of others like it. Fields whose path is longer than 256 bytes are passed over.
pub(crate) fn walk(text: &[u8], paths: &mut Paths, visit: impl FnMut(Event<'_>)) -> Outline {
    let is_long = text.len() > MAX_BYTES;
    let text = text.get(..MAX_BYTES).unwrap_or(text);
    // Much quicker than a look for what is to be replaced.
    let text = std::str::from_utf8(text).map_or_else(|_| String::from_utf8_lossy(text), Cow::Borrowed);
    paths.begin();
    let mut walker = Walker {
        text: &text,
        at: 0,
        paths,
        left: MAX_VALUES,
        is_cut: is_long,
        is_told: matches!(text, Cow::Borrowed(_)),
        visit,
    };
    let is_read = walker.value(ROOT, 0).is_some();
    Outline {
        is_whole: is_read && walker.peek().is_none() && walker.is_told && !walker.is_cut,
        is_cut: walker.is_cut,
    }
}

struct Walker<'a, 'v, V> {
    text: &'a str,
    at: usize,
    paths: &'v mut Paths,
    left: usize,
    is_cut: bool,
    /// All that was read was told as it stands.
    is_told: bool,
    visit: V,
}

impl<'a, V: FnMut(Event<'_>)> Walker<'a, '_, V> {
    /// The next byte that is no white space (RFC 8259 §2).
    fn peek(&mut self) -> Option<u8> {
        loop {
            let byte = *self.text.as_bytes().get(self.at)?;
            if byte > b' ' || !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn emit(&mut self, place: u32, quoted: Range<usize>, value: Value<'_>) {
        let Some(Place { key, name, path, .. }) = self.paths.get(place) else {
            self.is_told = false;
            return;
        };
        if path.len() > MAX_PATH_BYTES {
            self.is_told = false;
            return;
        }
        (self.visit)(Event {
            place,
            path,
            name,
            key,
            quoted,
            value,
        });
    }

    /// One value with everything in it; `None` at the end of the text, or where it is no JSON.
    fn value(&mut self, place: u32, depth: usize) -> Option<()> {
        let Some(left) = self.left.checked_sub(1) else {
            self.is_cut = true;
            return None;
        };
        self.left = left;
        match self.peek()? {
            b'{' => self.object(place, depth),
            b'[' => self.array(place, depth),
            b'"' => {
                let (text, is_escaped) = self.string()?;
                let end = self.at - 1;
                self.emit(place, end - text.len()..end, Value::Text(plain(text, is_escaped)));
                Some(())
            }
            _ => self.word(place),
        }
    }

    fn object(&mut self, place: u32, depth: usize) -> Option<()> {
        self.take(b'{')?;
        self.emit(place, 0..0, Value::Object);
        if self.take(b'}').is_none() {
            let mut among = self.paths.enter(place);
            loop {
                let member = self.member(&mut among)?;
                self.nested(member, depth)?;
                if self.take(b',').is_none() {
                    break;
                }
            }
            self.take(b'}')?;
        }
        self.emit(place, 0..0, Value::ObjectEnd);
        Some(())
    }

    /// The name of a member and the colon behind it.
    fn member(&mut self, among: &mut Among) -> Option<u32> {
        self.peek()?;
        let rest = self.text.as_bytes().get(self.at..)?;
        if let Some((member, length)) = self.paths.expected(among, rest) {
            self.at += length;
            self.take(b':')?;
            return Some(member);
        }
        let (key, is_escaped) = self.string()?;
        self.take(b':')?;
        Some(self.paths.member(among, key, || plain(key, is_escaped)))
    }

    fn array(&mut self, place: u32, depth: usize) -> Option<()> {
        self.take(b'[')?;
        self.emit(place, 0..0, Value::Array);
        if self.take(b']').is_some() {
            return Some(());
        }
        let element = self.paths.element(place);
        let mut elements = 0;
        loop {
            if elements < MAX_ELEMENTS {
                self.nested(element, depth)?;
            } else {
                self.is_cut = true;
                self.skip()?;
            }
            elements += 1;
            if self.take(b',').is_none() {
                break;
            }
        }
        self.take(b']')
    }

    fn nested(&mut self, place: u32, depth: usize) -> Option<()> {
        if depth < MAX_DEPTH {
            self.value(place, depth + 1)
        } else {
            self.is_cut = true;
            self.skip()
        }
    }

    /// The raw text of a string, and whether there are escapes in it.
    fn string(&mut self) -> Option<(&'a str, bool)> {
        self.take(b'"')?;
        let (length, is_escaped) = string_end(self.text.as_bytes().get(self.at..)?)?;
        let text = self.text.get(self.at..self.at + length)?;
        self.at += length + 1;
        Some((text, is_escaped))
    }

    /// A number, a truth value or null.
    fn word(&mut self, place: u32) -> Option<()> {
        let ends = |byte: &u8| matches!(byte, b',' | b']' | b'}' | b' ' | b'\t' | b'\r' | b'\n');
        let length = self.text.as_bytes().get(self.at..)?.iter().position(ends)?;
        let word = self.text.get(self.at..self.at + length)?;
        self.at += length;
        let value = match word.as_bytes() {
            b"null" => Value::Null,
            b"true" => Value::Bool(true),
            b"false" => Value::Bool(false),
            [b'-' | b'0'..=b'9', ..] => {
                self.is_told &= word.bytes().all(is_of_number);
                Value::Number(word)
            }
            _ => return None,
        };
        self.emit(place, 0..0, value);
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
                    self.at += 1;
                    continue;
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    self.at += 1;
                }
                b',' | b':' if depth > 0 => {
                    self.at += 1;
                    continue;
                }
                _ => {
                    let rest = self.text.as_bytes().get(self.at..)?;
                    let length = rest.iter().position(|b| b",:]}[{\" \t\r\n".contains(b))?;
                    self.at += length.max(1);
                }
            }
            if depth == 0 {
                return Some(());
            }
        }
    }
}

/// Whether a byte is one that numbers are written with (RFC 8259 §6).
const fn is_of_number(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')
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
        walk(text.as_bytes(), &mut Paths::default(), |event| {
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
    fn whole_is_what_was_read_and_told_to_its_end() {
        let mut paths = Paths::default();
        let mut is_whole = |text: &[u8]| walk(text, &mut paths, |_| {}).is_whole;
        for text in [
            r#" {"a":["x",-1.5e+3,true,null,{}],"":{"b":"\u0041\""}} "#,
            "[]\r\n",
        ] {
            assert!(is_whole(text.as_bytes()), "{text}");
        }
        let deep = format!("{}1{}", "[".repeat(20), "]".repeat(20));
        let wide = format!("[{}1]", "1,".repeat(40));
        let long = format!("{}1{}", "{\"a_name_of_some_length\":".repeat(14), "}".repeat(14));
        for text in [
            r#"{"a":1"#,
            r#"{"a":1} {"b":2}"#,
            r#"{"a":1}x"#,
            "[1'or'1]",
            "[1x]",
            "[TRUE]",
            "[1\u{c}]",
            &deep,
            &wide,
            &long,
        ] {
            assert!(!is_whole(text.as_bytes()), "{text}");
        }
        assert!(!is_whole(b"[\"\xff\"]"), "it was replaced");
    }

    #[test]
    fn strings_are_where_they_stand() {
        let text = r#"{"a b":"x\"y","c":["z",1]}"#;
        let mut found = Vec::new();
        walk(text.as_bytes(), &mut Paths::default(), |event| {
            found.push((event.key.to_owned(), text.get(event.quoted).map(str::to_owned)));
        });
        found.retain(|(key, quoted)| !key.is_empty() || quoted.as_deref() != Some(""));
        let expected = [("a b", "x\\\"y"), ("c", ""), ("", "z")];
        assert_eq!(
            found,
            expected.map(|(key, quoted)| (key.to_owned(), Some(quoted.to_owned())))
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
        walk(
            b"[\"\xff\\n\",\"\xe2\",\"cut\xe2",
            &mut Paths::default(),
            |event| {
                if let Value::Text(text) = event.value {
                    found.push(text.into_owned());
                }
            },
        );
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
