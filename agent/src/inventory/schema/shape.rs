//! Whether a body has a field, or a kind of value, that the bodies before it did not have.
//!
//! In: samples of JSON bodies. Out: yes or no, from one quick look at names and at the first byte of each value. What is new
//! is always read; of what is not, a sample will do. May miss one new field in a thousand, which the sample finds later;
//! what is no JSON has nothing new. Linear, and bounded like [`super::walk`].

use std::hash::{BuildHasher as _, Hasher as _};

use foldhash::fast::FixedState;
use smallvec::SmallVec;

use crate::{
    inventory::template::segment::{classify, is_plain_word},
    protocol::json::string_end,
};

/// Nested objects and lists. Overflow policy: what is deeper is passed over.
const MAX_DEPTH: usize = 16;

/// Bytes of one body. Overflow policy: as if it were cut there.
const MAX_BYTES: usize = 8 * 1024;

/// Bits of the set, of which a field takes two. Overflow policy: a full set has everything.
const BITS: u64 = 64 * WORDS as u64;

/// The same in words of 64.
const WORDS: usize = 64;

/// Kinds of values: what tells two values of one field apart.
const OBJECT: u64 = 1;
const LIST: u64 = 2;
const TEXT: u64 = 3;
const NUMBER: u64 = 4;
const BOOL: u64 = 5;
const NULL: u64 = 6;

/// What the bodies of one endpoint had so far.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Shapes {
    /// Made for the first body.
    bits: Option<Box<[u64; WORDS]>>,
}

impl Shapes {
    /// Adds a body; `kind` tells bodies apart that have nothing to do with each other. Whether it had anything new.
    pub(crate) fn has_news(&mut self, kind: u64, body: &[u8]) -> bool {
        let body = body.get(..MAX_BYTES).unwrap_or(body).trim_ascii_start();
        if !matches!(body.first(), Some(b'{' | b'[')) {
            return false;
        }
        let mut outline = Outline {
            bits: self.bits.get_or_insert_with(|| Box::new([0; WORDS])),
            around: SmallVec::new(),
            deeper: 0,
            name: kind,
            root: kind,
            is_new: false,
        };
        outline.read(body);
        outline.is_new
    }

    /// Adds what another has.
    pub(crate) fn merge(&mut self, other: &Self) {
        let Some(other) = &other.bits else { return };
        let own = self.bits.get_or_insert_with(|| Box::new([0; WORDS]));
        for (bits, more) in own.iter_mut().zip(other.iter()) {
            *bits |= more;
        }
    }
}

/// The two bits of a mark.
fn places(mark: u64) -> [(usize, u64); 2] {
    [mark >> 20, mark >> 44].map(|half| {
        let bit = half % BITS;
        ((bit / 64) as usize, 1 << (bit % 64))
    })
}

/// A body that is being looked at.
struct Outline<'s> {
    bits: &'s mut [u64; WORDS],
    /// Names of the objects and lists around.
    around: SmallVec<[u64; MAX_DEPTH]>,
    deeper: usize,
    /// Names the field whose value comes next.
    name: u64,
    root: u64,
    is_new: bool,
}

impl Outline<'_> {
    fn read(&mut self, body: &[u8]) {
        let mut rest = body;
        while let Some((byte, behind)) = rest.split_first() {
            rest = behind;
            match byte {
                b',' | b':' | b' ' | b'\n' | b'\r' | b'\t' => {}
                b'"' => {
                    let Some((end, _)) = string_end(behind) else {
                        return;
                    };
                    rest = behind.get(end + 1..).unwrap_or_default();
                    match rest.trim_ascii_start().first() {
                        Some(b':') => self.key(behind.get(..end).unwrap_or_default()),
                        _ => self.value(TEXT),
                    }
                }
                b'{' => self.open(OBJECT),
                b'[' => self.open(LIST),
                b'}' | b']' => self.close(),
                first => {
                    self.value(match first {
                        b't' | b'f' => BOOL,
                        b'n' => NULL,
                        _ => NUMBER,
                    });
                    let ends = |byte: &u8| {
                        matches!(
                            byte,
                            b',' | b':' | b' ' | b'\n' | b'\r' | b'\t' | b'"' | b'{' | b'[' | b'}' | b']'
                        )
                    };
                    let length = behind.iter().position(ends).unwrap_or(behind.len());
                    rest = behind.get(length..).unwrap_or_default();
                }
            }
        }
    }

    fn has(&self, mark: u64) -> bool {
        let [first, second] = places(mark);
        let is_set = |(at, bit): (usize, u64)| self.bits.get(at).is_some_and(|bits| bits & bit != 0);
        is_set(first) && is_set(second)
    }

    fn add(&mut self, mark: u64) {
        for (at, bit) in places(mark) {
            if let Some(bits) = self.bits.get_mut(at) {
                *bits |= bit;
            }
        }
    }

    fn open(&mut self, kind: u64) {
        self.value(kind);
        if self.around.len() < MAX_DEPTH {
            // What is in a list is not what would stand in its place.
            if kind == LIST {
                self.name = mixed(self.name, LIST);
            }
            self.around.push(self.name);
        } else {
            self.deeper += 1;
        }
    }

    fn close(&mut self) {
        match self.deeper {
            0 => drop(self.around.pop()),
            _ => self.deeper -= 1,
        }
        self.name = self.around.last().copied().unwrap_or(self.root);
    }

    /// Identifiers as names are all one: they make the object a map.
    fn key(&mut self, text: &[u8]) {
        let object = self.around.last().copied().unwrap_or(self.root);
        let mut hasher = FixedState::default().build_hasher();
        hasher.write(text);
        let name = mixed(object, hasher.finish());
        if self.has(name) {
            self.name = name;
        } else if is_plain_word(text)
            || std::str::from_utf8(text).is_ok_and(|word| !classify(word).is_parameter())
        {
            self.name = name;
            self.is_new |= self.deeper == 0;
            self.add(name);
        } else {
            self.name = mixed(object, u64::from(b'*'));
        }
    }

    fn value(&mut self, kind: u64) {
        let mark = mixed(self.name, kind);
        if self.deeper == 0 && !self.has(mark) {
            self.is_new = true;
            self.add(mark);
        }
    }
}

/// Two numbers as one.
const fn mixed(left: u64, right: u64) -> u64 {
    (left.rotate_left(29) ^ right)
        .wrapping_add(0x9e37_79b9_7f4a_7c15)
        .wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_fields_and_kinds_are_noticed_and_values_are_not() {
        let mut shapes = Shapes::default();
        let first = r#"{"id":1,"name":"a\"b","tags":["x"],"at":{"lat":1.5},"by":{"1001":true}}"#;
        for (body, expected) in [
            (first, true),
            (first, false),
            (r#"{ "id" : 77, "name":"zz", "tags":["y","z"] }"#, false),
            (r#"{"by":{"2002":false,"3003":true}}"#, false),
            (r#"{"id":"1"}"#, true),
            (r#"{"at":{"lon":1}}"#, true),
            (r#"{"lon":1}"#, true),
            (r#"{"name":null}"#, true),
            (r#"{"tags":[{"x":1}]}"#, true),
            (r#"{"tags":"x"}"#, true),
            ("plain text", false),
            ("", false),
        ] {
            assert_eq!(shapes.has_news(1, body.as_bytes()), expected, "{body}");
        }
        assert!(shapes.has_news(2, first.as_bytes()), "of another kind");
    }

    #[test]
    fn hostile_texts_end() {
        let mut shapes = Shapes::default();
        for text in [
            "{", "[[", "{\"a", "{\"a\":", "}]{", "[1,", "[nul", "\"\\", "[\"\\",
        ] {
            shapes.has_news(1, text.as_bytes());
        }
        shapes.has_news(1, "[".repeat(100_000).as_bytes());
        let many: String = (0..20_000).map(|at| format!("{{\"k{at}x\":[")).collect();
        shapes.has_news(1, many.as_bytes());
        assert!(shapes.bits.is_some());
    }
}
