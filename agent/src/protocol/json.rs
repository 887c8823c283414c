//! The outline of JSON that may be cut: members and elements of one level.
//!
//! In: bytes, from a body's sample. Out: keys with the bytes of their values. Reads what is there of a document that
//! ends early, looks at each byte once per level asked for, and does not recurse. Refuses to judge validity.

/// A value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    /// What stands between the quotes, escapes included; whole.
    String(&'a [u8]),
    /// With its brackets; may be cut.
    Object(&'a [u8]),
    /// With its brackets; may be cut.
    Array(&'a [u8]),
    /// A number, a word, or what is left of a value that is cut.
    Other(&'a [u8]),
}

impl<'a> Value<'a> {
    /// The text of a string without escapes in it.
    pub(crate) fn text(self) -> Option<&'a str> {
        match self {
            Value::String(text) if !text.contains(&b'\\') => std::str::from_utf8(text).ok(),
            _ => None,
        }
    }
}

/// Members of an object, with keys as they stand between their quotes.
pub(crate) fn members(bytes: &[u8]) -> impl Iterator<Item = (&[u8], Value<'_>)> {
    let mut rest = bytes.trim_ascii_start().strip_prefix(b"{").unwrap_or_default();
    std::iter::from_fn(move || member(&mut rest))
}

/// The member whose key stands next in an object, and what is behind it.
pub(crate) fn member<'a>(rest: &mut &'a [u8]) -> Option<(&'a [u8], Value<'a>)> {
    skip(rest, b',');
    let Some(Value::String(key)) = take(rest) else {
        return None;
    };
    skip(rest, b':');
    Some((key, take(rest)?))
}

/// Elements of an array.
pub(crate) fn elements(bytes: &[u8]) -> impl Iterator<Item = Value<'_>> {
    let mut rest = bytes.trim_ascii_start().strip_prefix(b"[").unwrap_or_default();
    std::iter::from_fn(move || {
        skip(&mut rest, b',');
        take(&mut rest)
    })
}

/// The text of a string, as far as escapes matter to who looks for words: characters by number become `?`.
pub(in crate::protocol) fn unescape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(place) = memchr::memchr(b'\\', rest) {
        let (plain, escape) = rest.split_at_checked(place).unwrap_or((rest, &[]));
        out.extend_from_slice(plain);
        let (byte, length) = match escape.get(1) {
            Some(b'n') => (b'\n', 2),
            Some(b't' | b'r' | b'b' | b'f') => (b' ', 2),
            Some(b'u') => (b'?', 6),
            Some(byte) => (*byte, 2),
            None => break,
        };
        out.push(byte);
        rest = escape.get(length..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    out
}

/// Leaves out white space and one separator.
fn skip(rest: &mut &[u8], separator: u8) {
    let trimmed = rest.trim_ascii_start();
    *rest = trimmed
        .strip_prefix(&[separator])
        .unwrap_or(trimmed)
        .trim_ascii_start();
}

/// Takes a value from the front. `None` at the end and where no value stands.
fn take<'a>(rest: &mut &'a [u8]) -> Option<Value<'a>> {
    let bytes = *rest;
    match bytes.first()? {
        b'"' => {
            let behind = bytes.get(1..)?;
            let length = string_length(behind);
            match behind.split_at_checked(length) {
                Some((text, [_, after @ ..])) => {
                    *rest = after;
                    Some(Value::String(text))
                }
                _ => {
                    *rest = &[];
                    Some(Value::Other(bytes))
                }
            }
        }
        first @ (b'{' | b'[') => {
            let (whole, after) = bytes.split_at_checked(nested_length(bytes))?;
            *rest = after;
            Some(if *first == b'{' {
                Value::Object(whole)
            } else {
                Value::Array(whole)
            })
        }
        b'}' | b']' | b',' | b':' => None,
        _ => {
            let length = bytes
                .iter()
                .position(|byte| matches!(byte, b',' | b'}' | b']' | b':' | b'"' | b'{' | b'['))
                .unwrap_or(bytes.len());
            let (word, after) = bytes.split_at_checked(length)?;
            *rest = after;
            Some(Value::Other(word.trim_ascii_end()))
        }
    }
}

/// Bytes up to the quote that ends a string, or to the end.
fn string_length(bytes: &[u8]) -> usize {
    string_end(bytes).map_or(bytes.len(), |(end, _)| end)
}

/// Words of eight bytes of a string that are looked at one by one: most names and values are shorter, and setting up a
/// search costs more.
const SHORT: usize = 3;

/// Behind an opening quote: where the string ends, and whether there are escapes in it. `None` if it is cut.
pub(crate) fn string_end(bytes: &[u8]) -> Option<(usize, bool)> {
    let (mut place, mut is_escaped, mut words) = (0, false, 0);
    loop {
        let rest = bytes.get(place..)?;
        let found = match rest.first_chunk() {
            Some(word) if words < SHORT => {
                words += 1;
                mark(*word)
            }
            _ => Some(memchr::memchr2(b'"', b'\\', rest)?),
        };
        let Some(found) = found else {
            place += size_of::<u64>();
            continue;
        };
        place += found;
        if bytes.get(place) == Some(&b'"') {
            return Some((place, is_escaped));
        }
        is_escaped = true;
        place += 2;
    }
}

/// Where the first quote or backslash of eight bytes is: the zero byte of a difference is the lowest that borrows.
fn mark(word: [u8; 8]) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const TOPS: u64 = u64::from_ne_bytes([0x80; 8]);
    let word = u64::from_le_bytes(word);
    let zeros = |difference: u64| difference.wrapping_sub(ONES) & !difference & TOPS;
    let found = zeros(word ^ u64::from_ne_bytes([b'"'; 8])) | zeros(word ^ u64::from_ne_bytes([b'\\'; 8]));
    (found != 0).then(|| found.trailing_zeros() as usize / 8)
}

/// Bytes of an object or an array.
fn nested_length(bytes: &[u8]) -> usize {
    let (mut depth, mut place) = (0_usize, 0);
    while let Some(byte) = bytes.get(place) {
        place += 1;
        match byte {
            b'"' => place += string_length(bytes.get(place..).unwrap_or_default()) + 1,
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth <= 1 => break,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
    }
    place.min(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_of_one_level() {
        let text = br#" { "a" : "x\"y", "b":{"c":"}"}, "d":[1,[2]], "e" : 1.5 ,"f":null}"#;
        let found: Vec<_> = members(text).collect();
        assert_eq!(
            found,
            [
                (&b"a"[..], Value::String(br#"x\"y"#)),
                (b"b", Value::Object(br#"{"c":"}"}"#)),
                (b"d", Value::Array(b"[1,[2]]")),
                (b"e", Value::Other(b"1.5")),
                (b"f", Value::Other(b"null")),
            ]
        );
        assert_eq!(elements(b"[1, \"a\", {}]").count(), 3);
        assert_eq!(members(b"[1]").count() + elements(b"{}").count(), 0);
        assert_eq!(Value::String(b"plain").text(), Some("plain"));
    }

    #[test]
    fn strings_end_at_their_quote() {
        for (text, expected) in [
            (r#"","b"#, Some((0, false))),
            (r#"abc":1"#, Some((3, false))),
            (r#"a\"b"c"#, Some((4, true))),
            (r#"a\\"b"c"#, Some((3, true))),
            (r#"exactly_sixteen_" "#, Some((16, false))),
            (r#"ein Straßenname, größer"#, None),
            (r#"ein Straßenname, größer" "#, Some((26, false))),
            (r#"longer than what is short"."#, Some((25, false))),
            (r#"longer than what is short\"."x"#, Some((28, true))),
            ("cut off before its end", None),
            ("cut", None),
            ("\\", None),
            ("", None),
        ] {
            assert_eq!(string_end(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn a_document_that_is_cut_tells_what_is_there() {
        let text = br#"{"a":"x","b":{"c":[1,{"d":"e"}]},"f":2}"#;
        for cut in 0..=text.len() {
            let found: Vec<_> = members(&text[..cut]).collect();
            if cut > 8 {
                assert_eq!(found.first(), Some(&(&b"a"[..], Value::String(b"x"))), "{cut}");
            }
            assert!(found.len() <= 3);
        }
    }

    #[test]
    fn any_bytes_end() {
        for text in [
            &b"{{{{"[..],
            b"[[[[",
            b"{\"",
            b"{\"a\"",
            b"{,,,",
            b"{\"a\":}",
            b"\"\\",
            b"{\"a\":\"\\",
        ] {
            assert!(members(text).count() + elements(text).count() < 8);
        }
        let deep = vec![b'['; 100_000];
        assert_eq!(elements(&deep).count(), 1);
    }
}
