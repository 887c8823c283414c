//! Which kinds of bytes a value has: one pass, one table, no branch per byte.
//!
//! In: a value. Out: [`Bits`]. Most values of most requests are told from attacks by these alone, so nothing else looks
//! at them.

/// Kinds of bytes, as a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Bits(u32);

impl Bits {
    pub(super) const SPACE: Self = Self(1);
    /// Control characters: line breaks, tabs, NUL, …
    pub(super) const CONTROL: Self = Self(1 << 1);
    /// `+`: a space in forms and queries.
    pub(super) const PLUS: Self = Self(1 << 2);
    pub(super) const DOT: Self = Self(1 << 3);
    pub(super) const SLASH: Self = Self(1 << 4);
    pub(super) const COLON: Self = Self(1 << 5);
    pub(super) const EQUAL: Self = Self(1 << 7);
    pub(super) const AMP: Self = Self(1 << 8);
    /// `'`, `"` and the backtick.
    pub(super) const QUOTE: Self = Self(1 << 9);
    pub(super) const PAREN: Self = Self(1 << 10);
    pub(super) const ANGLE: Self = Self(1 << 11);
    /// `;` and `|`.
    pub(super) const SHELL: Self = Self(1 << 12);
    /// `$`, `{` and `}`.
    pub(super) const BRACE: Self = Self(1 << 13);
    pub(super) const PERCENT: Self = Self(1 << 14);
    pub(super) const BACKSLASH: Self = Self(1 << 15);
    /// `#` and `*`.
    pub(super) const HASH: Self = Self(1 << 16);
    pub(super) const SQUARE: Self = Self(1 << 17);
    /// Bytes that begin full-width forms, typographic quotes or overlong UTF-8.
    pub(super) const ODD: Self = Self(1 << 18);

    /// Kinds that let a value reach the tokenisers.
    pub(super) const HOT: Self = Self::CONTROL
        .or(Self::EQUAL)
        .or(Self::AMP)
        .or(Self::QUOTE)
        .or(Self::PAREN)
        .or(Self::ANGLE)
        .or(Self::SHELL)
        .or(Self::BRACE)
        .or(Self::PERCENT)
        .or(Self::BACKSLASH)
        .or(Self::HASH)
        .or(Self::SQUARE)
        .or(Self::ODD);

    /// The same for headers that are free text, where browsers write parentheses and semicolons.
    pub(super) const HOT_IN_FREE_TEXT: Self = Self::CONTROL
        .or(Self::EQUAL)
        .or(Self::QUOTE)
        .or(Self::ANGLE)
        .or(Self::BRACE)
        .or(Self::PERCENT)
        .or(Self::BACKSLASH)
        .or(Self::ODD);

    /// Kinds that a URL need not have.
    pub(super) const HOT_IN_URL: Self = Self::CONTROL
        .or(Self::SPACE)
        .or(Self::QUOTE)
        .or(Self::PAREN)
        .or(Self::ANGLE)
        .or(Self::SHELL)
        .or(Self::BRACE)
        .or(Self::PERCENT)
        .or(Self::BACKSLASH)
        .or(Self::HASH)
        .or(Self::SQUARE)
        .or(Self::ODD);

    /// Both sets.
    pub(super) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether one of `other` is in this set.
    pub(super) const fn any(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether there is none: letters, digits, `-`, `_` and the like alone.
    pub(super) const fn is_none(self) -> bool {
        self.0 == 0
    }
}

/// The kinds of bytes in a value.
pub(super) fn scan(bytes: &[u8]) -> Bits {
    let mut chunks = bytes.chunks_exact(4);
    let (mut a, mut b) = (0, 0);
    for chunk in &mut chunks {
        if let [w, x, y, z] = *chunk {
            a |= kind(w) | kind(x);
            b |= kind(y) | kind(z);
        }
    }
    for byte in chunks.remainder() {
        a |= kind(*byte);
    }
    Bits(a | b)
}

/// How long a text is that ends with a quote, has no byte of note before it, and is short.
pub(super) fn plain_to_quote(bytes: &[u8]) -> Option<usize> {
    let head = bytes.get(..MAX_QUOTED_BYTES).unwrap_or(bytes);
    let end = head.iter().position(|byte| kind(*byte) != 0)?;
    (head.get(end) == Some(&b'"')).then_some(end)
}

/// Whether a text is short, and has no byte of note: with a quote behind it, [`plain_to_quote`] would find its end.
pub(super) fn is_plain(bytes: &[u8]) -> bool {
    bytes.len() < MAX_QUOTED_BYTES && bytes.iter().all(|byte| kind(*byte) == 0)
}

/// Longest text that [`plain_to_quote`] reads, with its quote.
const MAX_QUOTED_BYTES: usize = 24;

fn kind(byte: u8) -> u32 {
    KINDS.get(usize::from(byte)).copied().unwrap_or_default()
}

static KINDS: [u32; 256] = kinds();

const fn kinds() -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        #[expect(
            clippy::indexing_slicing,
            reason = "evaluated by the compiler; the loop ends at its length"
        )]
        {
            table[byte] = kind_of(byte as u8).0;
        }
        byte += 1;
    }
    table
}

const fn kind_of(byte: u8) -> Bits {
    match byte {
        b' ' => Bits::SPACE,
        b'+' => Bits::PLUS,
        0..=0x1f | 0x7f => Bits::CONTROL,
        b'.' => Bits::DOT,
        b'/' => Bits::SLASH,
        b':' => Bits::COLON,
        b'=' | b'!' | b'^' | b'~' => Bits::EQUAL,
        b'&' => Bits::AMP,
        b'\'' | b'"' | b'`' => Bits::QUOTE,
        b'(' | b')' => Bits::PAREN,
        b'<' | b'>' => Bits::ANGLE,
        b';' | b'|' => Bits::SHELL,
        b'$' | b'{' | b'}' => Bits::BRACE,
        b'%' => Bits::PERCENT,
        b'\\' => Bits::BACKSLASH,
        b'#' | b'*' => Bits::HASH,
        b'[' | b']' => Bits::SQUARE,
        0xc0 | 0xc1 | 0xe2 | 0xef => Bits::ODD,
        _ => Bits(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_values_are_not_hot() {
        for value in [
            "42",
            "Ada Lovelace",
            "2024-05-01T10:00:00Z",
            "a@b.test",
            "/v1/users",
            "Köln",
            "+49 30 1",
        ] {
            assert!(!scan(value.as_bytes()).any(Bits::HOT), "{value}");
        }
        for value in ["'", "a=b", "x|y", "1\n", "$x", "a(b)", "‘", "\u{ff1c}"] {
            assert!(scan(value.as_bytes()).any(Bits::HOT), "{value}");
        }
    }

    #[test]
    fn plain_texts_are_read_to_their_quote() {
        for (text, expected) in [
            ("item-1", true),
            ("", true),
            ("a;b", false),
            ("a_text_of_23_bytes_12345", false),
            ("a_text_of_23_bytes_1234", true),
        ] {
            assert_eq!(is_plain(text.as_bytes()), expected, "{text}");
            let quoted = format!("{text}\"");
            assert_eq!(plain_to_quote(quoted.as_bytes()).is_some(), expected, "{text}");
        }
        assert_eq!(plain_to_quote(b"item-1\",\"a;b\""), Some(6));
        assert_eq!(plain_to_quote(b"\""), Some(0));
        for other in [
            &b"cut"[..],
            b"",
            b"a;b\"",
            b"a\\\"b\"",
            b"a_text_of_more_bytes_than_are_read\"",
        ] {
            assert_eq!(plain_to_quote(other), None);
        }
    }

    #[test]
    fn each_place_counts() {
        for place in 0..9 {
            let mut value = [b'a'; 9];
            value[place] = b'<';
            assert_eq!(scan(&value), Bits::ANGLE, "{place}");
        }
    }
}
