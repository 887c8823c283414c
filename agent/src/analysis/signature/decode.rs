//! Takes one layer of encoding off a value, as servers, interpreters and browsers do.
//!
//! In: bytes, and how they travelled. Out: the bytes meant, with look-alikes of ASCII folded into it (full-width forms,
//! typographic quotes, overlong UTF-8: ways around filters, RFC 3629 §10). Linear, never longer than its input by more
//! than a constant factor; what does not decode stays as it is.

/// How a value travelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// As it is.
    Plain,
    /// Percent-encoded (RFC 3986 §2.1).
    Percent,
    /// `application/x-www-form-urlencoded`: with `+` for a space.
    Form,
    /// Between the quotes of JSON (RFC 8259 §7).
    Json,
    /// With entities of XML or HTML.
    Entities,
    /// Whatever an interpreter further on may decode: percent, `\u0041`, `\x41`, entities.
    All,
}

/// What was met on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Met {
    /// Something was decoded.
    pub(super) changed: bool,
    /// Overlong or otherwise disguised forms of ASCII punctuation.
    pub(super) disguised: bool,
}

/// Decodes `input` behind `out`.
pub(super) fn decode(input: &[u8], encoding: Encoding, out: &mut Vec<u8>) -> Met {
    let mut met = Met::default();
    let (percent, slash, entities) = match encoding {
        Encoding::Plain => (false, false, false),
        Encoding::Percent | Encoding::Form => (true, false, false),
        Encoding::Json => (false, true, false),
        Encoding::Entities => (false, false, true),
        Encoding::All => (true, true, true),
    };
    let wanted = LOOKS_ALIKE
        | if percent { PERCENT } else { 0 }
        | if encoding == Encoding::Form { PLUS } else { 0 }
        | if slash { SLASH } else { 0 }
        | if entities { AMPERSAND } else { 0 };
    let mut rest = input;
    loop {
        // Most bytes mean themselves.
        let plain = rest
            .iter()
            .position(|byte| may_mean_another(*byte) & wanted != 0)
            .unwrap_or(rest.len());
        let (as_it_is, other) = rest.split_at_checked(plain).unwrap_or((rest, &[]));
        out.extend_from_slice(as_it_is);
        let Some((&byte, behind)) = other.split_first() else {
            return met;
        };
        rest = other;
        let (length, code, disguised) = match byte {
            b'%' if percent => percent_escape(behind),
            b'+' if encoding == Encoding::Form => (1, u32::from(b' '), false),
            b'\\' if slash => slash_escape(behind, encoding == Encoding::Json),
            b'&' if entities => entity(behind),
            0xc0 | 0xc1 | 0xe0 | 0xe2 | 0xef | 0xf0 | 0xf8 | 0xfc => look_alike(rest),
            _ => (0, 0, false),
        };
        if length == 0 {
            out.push(byte);
            rest = behind;
            continue;
        }
        met.changed = true;
        met.disguised |= disguised;
        push(code, out);
        rest = rest.get(length..).unwrap_or_default();
    }
}

/// What a byte may begin, as a set.
const PERCENT: u8 = 1;
const PLUS: u8 = 1 << 1;
const SLASH: u8 = 1 << 2;
const AMPERSAND: u8 = 1 << 3;
const LOOKS_ALIKE: u8 = 1 << 4;

/// What a byte may begin that is decoded, in some encoding.
fn may_mean_another(byte: u8) -> u8 {
    MEANINGS.get(usize::from(byte)).copied().unwrap_or_default()
}

static MEANINGS: [u8; 256] = meanings();

#[expect(
    clippy::indexing_slicing,
    reason = "evaluated by the compiler; the loop ends at its length"
)]
const fn meanings() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = match byte as u8 {
            b'%' => PERCENT,
            b'+' => PLUS,
            b'\\' => SLASH,
            b'&' => AMPERSAND,
            0xc0 | 0xc1 | 0xe0 | 0xe2 | 0xef | 0xf0 | 0xf8 | 0xfc => LOOKS_ALIKE,
            _ => 0,
        };
        byte += 1;
    }
    table
}

/// A character; numbers below 256 are bytes.
fn push(code: u32, out: &mut Vec<u8>) {
    match u8::try_from(code) {
        Ok(byte) => out.push(byte),
        Err(_) => {
            if let Some(character) = char::from_u32(code) {
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
    }
}

/// What stands behind `%`: length with it (0 for none), character, whether it is a disguise.
fn percent_escape(behind: &[u8]) -> (usize, u32, bool) {
    match behind {
        [b'u' | b'U', digits @ ..] => match hex(digits, 4) {
            Some(code) => {
                let folded = fold(code);
                (6, folded, folded < 128)
            }
            None => (0, 0, false),
        },
        _ => match hex(behind, 2) {
            Some(byte) => (3, byte, false),
            None => (0, 0, false),
        },
    }
}

/// What stands behind `\`.
fn slash_escape(behind: &[u8], json: bool) -> (usize, u32, bool) {
    match behind {
        [b'u', b'{', digits @ ..] => {
            let count = digits
                .iter()
                .take(6)
                .take_while(|d| d.is_ascii_hexdigit())
                .count();
            match hex(digits, count) {
                Some(code) if count > 0 && digits.get(count) == Some(&b'}') => (count + 4, fold(code), false),
                _ => (0, 0, false),
            }
        }
        [b'u', digits @ ..] => hex(digits, 4).map_or((0, 0, false), |code| (6, fold(code), false)),
        [b'x', digits @ ..] if !json => hex(digits, 2).map_or((0, 0, false), |code| (4, code, false)),
        [b'n', ..] if json => (2, u32::from(b'\n'), false),
        [b't', ..] if json => (2, u32::from(b'\t'), false),
        [b'r', ..] if json => (2, u32::from(b'\r'), false),
        [b'b' | b'f', ..] if json => (2, u32::from(b' '), false),
        [byte @ (b'"' | b'\\' | b'/'), ..] if json => (2, u32::from(*byte), false),
        _ => (0, 0, false),
    }
}

/// Longest name of an entity that is known.
const MAX_ENTITY_BYTES: usize = 10;

/// What stands behind `&`.
fn entity(behind: &[u8]) -> (usize, u32, bool) {
    if let [b'#', digits @ ..] = behind {
        let (digits, radix, prefix) = match digits {
            [b'x' | b'X', digits @ ..] => (digits, 16, 3),
            _ => (digits, 10, 2),
        };
        // Browsers take any number of leading zeros.
        let count = digits
            .iter()
            .take(16)
            .take_while(|digit| char::from(**digit).is_digit(radix))
            .count();
        let text = digits.get(..count).and_then(|text| str::from_utf8(text).ok());
        return match text.and_then(|text| u32::from_str_radix(text, radix).ok()) {
            Some(code) => {
                let semicolon = usize::from(digits.get(count) == Some(&b';'));
                (prefix + count + semicolon, fold(code), false)
            }
            None => (0, 0, false),
        };
    }
    let Some(end) = behind
        .iter()
        .take(MAX_ENTITY_BYTES)
        .position(|byte| *byte == b';')
    else {
        return (0, 0, false);
    };
    let code = match behind.get(..end).unwrap_or_default() {
        b"lt" | b"LT" => b'<',
        b"gt" | b"GT" => b'>',
        b"amp" | b"AMP" => b'&',
        b"quot" | b"QUOT" => b'"',
        b"apos" => b'\'',
        b"colon" => b':',
        b"lpar" => b'(',
        b"rpar" => b')',
        b"sol" => b'/',
        b"bsol" => b'\\',
        b"Tab" | b"tab" => b'\t',
        b"NewLine" | b"newline" => b'\n',
        b"lcub" | b"lbrace" => b'{',
        b"rcub" | b"rbrace" => b'}',
        b"lsqb" | b"lbrack" => b'[',
        b"rsqb" | b"rbrack" => b']',
        b"grave" => b'`',
        b"dollar" => b'$',
        b"equals" => b'=',
        b"period" => b'.',
        b"semi" => b';',
        b"num" => b'#',
        b"excl" => b'!',
        b"nbsp" => b' ',
        _ => return (0, 0, false),
    };
    (end + 2, u32::from(code), false)
}

/// Overlong UTF-8, full-width forms and typographic quotes at the front of `bytes`.
fn look_alike(bytes: &[u8]) -> (usize, u32, bool) {
    let continues = |byte: u8| byte & 0xc0 == 0x80;
    let low = |byte: u8| u32::from(byte & 0x3f);
    let ascii = |length, code: u32| (length, code, code < 128 && !(code as u8).is_ascii_alphanumeric());
    match *bytes {
        // Lenient decoders take the low bits of whatever follows.
        [first @ (0xc0 | 0xc1), second, ..] if continues(second) => {
            ascii(2, (u32::from(first & 1) << 6) | low(second))
        }
        [0xc0 | 0xc1, second @ (b'.' | b'/' | b'\\'), ..] => ascii(2, u32::from(second)),
        [0xe0, 0x80 | 0x81, third, ..] if continues(third) => ascii(3, low(third)),
        [0xf0, 0x80, 0x80 | 0x81, fourth, ..] if continues(fourth) => ascii(4, low(fourth)),
        [0xf8, 0x80, 0x80, 0x80, fifth, ..] if continues(fifth) => ascii(5, low(fifth)),
        [0xfc, 0x80, 0x80, 0x80, 0x80, sixth, ..] if continues(sixth) => ascii(6, low(sixth)),
        [0xe2, second, third, ..] | [0xef, second, third, ..] if continues(second) && continues(third) => {
            let high = u32::from(bytes.first().copied().unwrap_or_default() & 0x0f) << 12;
            let code = high | (low(second) << 6) | low(third);
            let folded = fold(code);
            if folded == code {
                (0, 0, false)
            } else {
                (3, folded, false)
            }
        }
        _ => (0, 0, false),
    }
}

/// The ASCII that a character stands in for, or itself.
fn fold(code: u32) -> u32 {
    match code {
        0xff01..=0xff5e => code - 0xfee0,
        0x2018 | 0x2019 | 0x201b | 0x2032 | 0x02b9 | 0x02bc => u32::from(b'\''),
        0x201c | 0x201d | 0x2033 | 0x00ab | 0x00bb => u32::from(b'"'),
        0x2215 | 0x2044 | 0xf025 => u32::from(b'/'),
        0x2216 | 0xefc8 => u32::from(b'\\'),
        0x2024 => u32::from(b'.'),
        // Bytes of a line break that a truncating encoder lets through.
        0x560a => u32::from(b'\n'),
        0x560d => u32::from(b'\r'),
        _ => code,
    }
}

fn hex(digits: &[u8], count: usize) -> Option<u32> {
    let text = str::from_utf8(digits.get(..count)?).ok()?;
    if text.starts_with('+') {
        return None;
    }
    u32::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(input: &str, encoding: Encoding) -> (String, Met) {
        let mut out = Vec::new();
        let met = decode(input.as_bytes(), encoding, &mut out);
        (String::from_utf8_lossy(&out).into_owned(), met)
    }

    #[test]
    fn each_encoding_is_taken_off() {
        for (input, encoding, expected) in [
            ("a+b%20c%2", Encoding::Form, "a b c%2"),
            ("a+b%20c", Encoding::Percent, "a+b c"),
            (r#"a\"b\u0041\n\/"#, Encoding::Json, "a\"bA\n/"),
            (
                "&lt;b&gt; &#x41;&#0000066; &unknown; & x",
                Encoding::Entities,
                "<b> AB &unknown; & x",
            ),
            (r"\x41\u{42}%43&colon;", Encoding::All, "ABC:"),
            ("\u{ff1c}b\u{ff1e} ‘1’=’1", Encoding::Plain, "<b> '1'='1"),
            ("%%32%66", Encoding::Percent, "%2f"),
            ("%u2215..%uff0e", Encoding::Percent, "/..."),
        ] {
            assert_eq!(decoded(input, encoding).0, expected, "{input}");
        }
    }

    #[test]
    fn disguised_ascii_is_told() {
        for bytes in [
            &b"\xc0\xaf"[..],
            b"\xe0\x80\xaf",
            b"\xf0\x80\x80\xaf",
            b"\xfc\x80\x80\x80\x80\xaf",
        ] {
            let mut out = Vec::new();
            assert!(decode(bytes, Encoding::Plain, &mut out).disguised);
            assert_eq!(out, b"/");
        }
        assert!(!decoded("Ünïcode 日本語 ’", Encoding::Plain).1.disguised);
    }

    #[test]
    fn any_bytes_are_taken() {
        for first in 0..=255_u8 {
            for second in [0, b'u', b'#', b'x', 0x80, 0xff] {
                let mut out = Vec::new();
                decode(&[first, second, first], Encoding::All, &mut out);
                decode(&[b'%', first, second], Encoding::All, &mut out);
                decode(&[b'&', b'#', first, second], Encoding::All, &mut out);
                assert!(out.len() <= 24);
            }
        }
    }
}
