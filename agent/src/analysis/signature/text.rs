//! A decoded value as detectors see it: lower case, with the kinds of its bytes and its shape.
//!
//! Shape is what keeps text that people write *about* attacks apart from attacks: a document or source code is content,
//! not something that breaks out of the place it was put into.

use super::{
    hints::{Hints, hints},
    scan::{Bits, scan},
};

/// Where a value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// The path of the target.
    Path,
    /// A parameter of the query.
    Query,
    /// A field of a form, of JSON, of XML or a part of multipart.
    Body,
    /// A header that the application may read.
    Header,
    /// `User-Agent`, `Referer`: free text by custom.
    FreeHeader,
    /// The name of a parameter or field.
    Name,
}

/// What kind of text a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// A word, a number, a phrase: what parameters and fields hold.
    Short,
    /// A sentence or more on one line.
    Prose,
    /// Text of several lines, Markdown, HTML pages.
    Document,
    /// Source code, configuration, logs.
    Code,
}

/// A decoded value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text<'a> {
    /// As decoded.
    pub(super) raw: &'a [u8],
    /// In lower case (ASCII).
    pub(super) lower: &'a [u8],
    pub(super) bits: Bits,
    /// Words of detectors that are in it.
    pub(super) hints: Hints,
    pub(super) shape: Shape,
    /// A URL of the web without anything that a URL need not have.
    pub(super) is_plain_url: bool,
    pub(super) source: Source,
    /// Name of its parameter, field or header.
    pub(super) name: &'a [u8],
    /// It is a field of JSON, where text is content; else a parameter, a field of a form, a header.
    pub(super) in_document: bool,
    /// Its characters were disguised.
    pub(super) disguised: bool,
    /// Layers of encoding beyond that of its place.
    pub(super) depth: usize,
}

impl<'a> Text<'a> {
    /// `lower` is `raw` in lower case.
    pub(super) fn new(raw: &'a [u8], lower: &'a [u8], source: Source) -> Self {
        let bits = scan(raw);
        let web = lower.starts_with(b"https://") || lower.starts_with(b"http://");
        let is_plain_url = web && !bits.any(Bits::HOT_IN_URL);
        Self {
            raw,
            lower,
            bits,
            hints: if is_plain_url {
                Hints::default()
            } else {
                hints(lower)
            },
            shape: if is_plain_url { Shape::Short } else { shape(raw) },
            is_plain_url,
            source,
            name: &[],
            in_document: false,
            disguised: false,
            depth: 0,
        }
    }

    /// Whether a value may only be judged by what is in it, not by how it begins.
    pub(super) fn is_content(&self) -> bool {
        matches!(self.shape, Shape::Document | Shape::Code)
    }

    /// Whether the text contains this (in lower case).
    pub(super) fn has(&self, needle: &str) -> bool {
        has(self.lower, needle.as_bytes())
    }
}

/// First bytes of a needle that may be passed by before a search is set up.
const TRIES: usize = 8;

/// Where a needle begins. Most needles of detectors begin with a byte that most values do not have: a search that is set
/// up for each would cost more than looking for that.
pub(super) fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    let (first, rest) = needle.split_first()?;
    let mut place = 0;
    for _ in 0..TRIES {
        place += memchr::memchr(*first, from(bytes, place))?;
        if from(bytes, place + 1).starts_with(rest) {
            return Some(place);
        }
        place += 1;
    }
    memchr::memmem::find(from(bytes, place), needle).map(|behind| place + behind)
}

/// Whether a needle is there.
pub(super) fn has(bytes: &[u8], needle: &[u8]) -> bool {
    find(bytes, needle).is_some()
}

/// The byte at a place; 0 beyond the end.
pub(super) fn at(bytes: &[u8], place: usize) -> u8 {
    bytes.get(place).copied().unwrap_or_default()
}

/// The bytes from a place on.
pub(super) fn from(bytes: &[u8], place: usize) -> &[u8] {
    bytes.get(place..).unwrap_or_default()
}

/// The bytes behind those for which `skips` holds.
pub(super) fn skip_while(bytes: &[u8], skips: impl Fn(u8) -> bool) -> &[u8] {
    let place = bytes.iter().position(|byte| !skips(*byte)).unwrap_or(bytes.len());
    from(bytes, place)
}

/// The bytes at the front for which `takes` holds.
pub(super) fn take_while(bytes: &[u8], takes: impl Fn(u8) -> bool) -> &[u8] {
    let end = bytes.iter().position(|byte| !takes(*byte)).unwrap_or(bytes.len());
    bytes.get(..end).unwrap_or_default()
}

/// Whether a byte is part of a word.
pub(super) fn is_word(byte: u8) -> bool {
    role(byte) & WORD != 0
}

/// Words of letters with a space on either side, as people write: counted up to `most`.
pub(super) fn prose_words(bytes: &[u8], most: usize) -> usize {
    let mut words = 0;
    let mut rest = bytes;
    while words < most && !rest.is_empty() {
        // Up to white space, and whether all of it is what words are made of.
        let (mut length, mut others) = (0_usize, 0_usize);
        for byte in rest {
            let role = role(*byte);
            if role & BLANK != 0 {
                break;
            }
            length += 1;
            others += usize::from(role & LETTER == 0);
        }
        let last = length.checked_sub(1).map_or(0, |last| at(rest, last));
        let mark = usize::from(matches!(last, b',' | b'.'));
        words += usize::from(others == mark && length - mark >= 2);
        rest = from(rest, length + 1);
    }
    words
}

/// What a byte is to words, as a set.
const WORD: u8 = 1;
const LETTER: u8 = 1 << 1;
const BLANK: u8 = 1 << 2;

fn role(byte: u8) -> u8 {
    ROLES.get(usize::from(byte)).copied().unwrap_or_default()
}

static ROLES: [u8; 256] = roles();

#[expect(
    clippy::indexing_slicing,
    reason = "evaluated by the compiler; the loop ends at its length"
)]
const fn roles() -> [u8; 256] {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        let byte = at as u8;
        let (is_letter, is_high) = (byte.is_ascii_alphabetic(), byte >= 0x80);
        if is_letter || is_high || byte.is_ascii_digit() || byte == b'_' {
            table[at] |= WORD;
        }
        if is_letter || is_high || byte == b'\'' {
            table[at] |= LETTER;
        }
        if byte.is_ascii_whitespace() {
            table[at] |= BLANK;
        }
        at += 1;
    }
    table
}

/// Lines from which on a text is no phrase any more.
const DOCUMENT_LINES: usize = 4;

/// Words of prose from which on a line is a sentence.
const PROSE_WORDS: usize = 5;

/// Bytes from which on one line of words is a document.
const DOCUMENT_BYTES: usize = 600;

/// Bytes of a value that its shape is read from.
const SHAPE_BYTES: usize = 2_048;

fn shape(raw: &[u8]) -> Shape {
    if raw.len() < 24 {
        return Shape::Short;
    }
    let head = raw.get(..SHAPE_BYTES).unwrap_or(raw);
    let (mut lines, mut code) = (0, 0);
    for line in head.split(|byte| *byte == b'\n') {
        let line = line.trim_ascii();
        if !line.is_empty() {
            lines += 1;
            code += usize::from(is_code_line(line));
        }
    }
    if lines >= 3 && code * 5 >= lines * 2 {
        return Shape::Code;
    }
    if lines >= DOCUMENT_LINES {
        return Shape::Document;
    }
    let words = prose_words(head, 64);
    if words >= PROSE_WORDS && (lines >= 2 || raw.len() >= DOCUMENT_BYTES) {
        return Shape::Document;
    }
    if words >= PROSE_WORDS {
        return Shape::Prose;
    }
    Shape::Short
}

/// Whether a line reads like one of a program, a stylesheet, a log or a configuration.
fn is_code_line(line: &[u8]) -> bool {
    const STARTS: [&[u8]; 28] = [
        b"import ",
        b"from ",
        b"def ",
        b"class ",
        b"func ",
        b"fn ",
        b"function ",
        b"const ",
        b"let ",
        b"var ",
        b"return",
        b"if ",
        b"if(",
        b"for ",
        b"while ",
        b"use ",
        b"package ",
        b"#include",
        b"#!",
        b"//",
        b"/*",
        b"$ ",
        b"public ",
        b"private ",
        b"@@ ",
        b"else",
        b"try",
        b"async ",
    ];
    let ends = matches!(line.last(), Some(b';' | b'{' | b'}' | b')' | b':' | b',' | b'\\'));
    ends || STARTS.iter().any(|start| line.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needles_are_found_where_they_are() {
        for (text, needle) in [
            ("", "a"),
            ("ab", "abc"),
            ("xx{{", "{{"),
            ("{{", "{{"),
            ("{x{y{z{a{b{c{d{e{f{{", "{{"),
            ("{{{{{{{{{{{{{{{{%", "{%"),
            ("a{", "{{"),
        ] {
            assert_eq!(
                find(text.as_bytes(), needle.as_bytes()),
                text.find(needle),
                "{text} {needle}"
            );
        }
    }

    #[test]
    fn words_of_people_are_counted() {
        for (text, expected) in [
            ("", 0),
            ("a bc", 1),
            ("it's so, she said.", 4),
            ("so., x. ab, a,b ,ab", 1),
            ("Köln  \t liegt\nam Rhein", 4),
            ("x=1 (maybe) {came}", 0),
        ] {
            assert_eq!(prose_words(text.as_bytes(), 8), expected, "{text}");
        }
        assert_eq!(prose_words(b"one two three", 2), 2);
    }

    #[test]
    fn shapes_are_told_apart() {
        for (text, expected) in [
            ("1' or '1'='1", Shape::Short),
            ("<script>alert(document.cookie)</script>", Shape::Short),
            ("We would like to have some friends over on Sunday", Shape::Prose),
            (
                "# Title\n\nSome words.\n\nMore words of it\n\n- a list",
                Shape::Document,
            ),
            ("fn main() {\n    let x = 1;\n    run(x);\n}\n", Shape::Code),
            ("body {\n  color: red;\n  margin: 0;\n}", Shape::Code),
        ] {
            assert_eq!(shape(text.as_bytes()), expected, "{text}");
        }
    }
}
