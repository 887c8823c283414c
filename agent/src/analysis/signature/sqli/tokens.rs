//! Tokens of SQL, of any dialect, in text that may begin inside a string.

use smallvec::SmallVec;

use super::words::{Word, word};
use crate::analysis::signature::text::{at, from, is_word};

/// Tokens of one reading. Overflow policy: what is behind is not read.
pub(super) const MAX_TOKENS: usize = 96;

/// A token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// Digits, with a hash of them: equal numbers are equal tokens.
    Number(&'a [u8]),
    /// What stands between quotes; `closed` unless the text ends before.
    Text {
        inside: &'a [u8],
        closed: bool,
    },
    /// A word and what it is for.
    Word(Word, &'a [u8]),
    /// `=`, `<`, `>=`, `<=>`, …
    Compare,
    /// `||`, `&&`: concatenation or logic.
    Double(u8),
    /// `+`, `-`, `*`, `/`, `%`, `^`, `|`, `&`, `~`, `!`.
    Operator(u8),
    /// `--`, `#`, with what is left of the text behind it.
    LineComment(&'a [u8]),
    /// `/* … */`, or `/*` up to the end.
    BlockComment {
        closed: bool,
    },
    /// `/*!`: code of MySQL only.
    Conditional,
    Open,
    Close,
    Comma,
    Semicolon,
    /// `@x`, `$1`, `:x`.
    Variable,
    /// Anything else.
    Other(u8),
    End,
}

/// All tokens of a text that begins inside a string in `quote`, where there is one.
pub(super) fn tokenise(bytes: &[u8], quote: Option<u8>, most: usize) -> SmallVec<[Token<'_>; 32]> {
    let mut tokens = SmallVec::new();
    let mut rest = bytes;
    if let Some(quote) = quote {
        let (token, length) = text(rest, quote);
        tokens.push(token);
        rest = from(rest, length);
    }
    while let Some(&first) = rest.first() {
        if tokens.len() >= most {
            break;
        }
        if first.is_ascii_whitespace() || first.is_ascii_control() || first == 0xa0 {
            rest = from(rest, 1);
            continue;
        }
        let (token, length) = next(rest, first);
        // Comments that end are white space.
        if token != (Token::BlockComment { closed: true }) {
            tokens.push(token);
        }
        rest = from(rest, length.max(1));
    }
    tokens
}

fn next(rest: &[u8], first: u8) -> (Token<'_>, usize) {
    let second = at(rest, 1);
    match first {
        b'\'' | b'"' | b'`' => {
            let (token, length) = text(from(rest, 1), first);
            (token, length + 1)
        }
        b'-' if second == b'-' => (Token::LineComment(from(rest, 2)), rest.len()),
        b'#' => (Token::LineComment(from(rest, 1)), rest.len()),
        b'/' if second == b'*' && at(rest, 2) == b'!' => {
            let digits = from(rest, 3)
                .iter()
                .take(6)
                .take_while(|b| b.is_ascii_digit())
                .count();
            (Token::Conditional, 3 + digits)
        }
        b'*' if second == b'/' => (Token::BlockComment { closed: true }, 2),
        b'/' if second == b'*' => match memchr::memmem::find(from(rest, 2), b"*/") {
            Some(end) => (Token::BlockComment { closed: true }, end + 4),
            None => (Token::BlockComment { closed: false }, rest.len()),
        },
        b'0'..=b'9' | b'.' => number(rest),
        b'@' => {
            let length = 1 + from(rest, 1)
                .iter()
                .take_while(|b| is_word(**b) || **b == b'@')
                .count();
            let name = rest.get(..length).unwrap_or_default();
            match word(name) {
                Word::Name if length > 1 => (Token::Variable, length),
                Word::Name => (Token::Other(b'@'), 1),
                known => (Token::Word(known, name), length),
            }
        }
        _ if is_word(first) || first == b'$' => {
            let length = rest
                .iter()
                .take_while(|byte| is_word(**byte) || matches!(**byte, b'$' | b'.'))
                .count();
            let name = rest.get(..length).unwrap_or_default();
            // `x'41'`, `n'a'`, `_utf8'a'`: the string has a type.
            if at(rest, length) == b'\'' && (matches!(name, b"x" | b"n" | b"b" | b"e") || first == b'_') {
                let (token, inside) = text(from(rest, length + 1), b'\'');
                return (token, length + 1 + inside);
            }
            (dotted(name), length)
        }
        b'|' | b'&' if second == first => (Token::Double(first), 2),
        b'=' | b'<' | b'>' => {
            let length = rest
                .iter()
                .take(3)
                .take_while(|b| matches!(b, b'=' | b'<' | b'>' | b'@'))
                .count();
            (Token::Compare, length)
        }
        b'!' if second == b'=' => (Token::Compare, 2),
        b'!' if matches!(second, b'<' | b'>') => (Token::Compare, 2),
        b'^' | b'~' if second == b'=' => (Token::Compare, 2),
        b'+' | b'-' | b'*' | b'/' | b'%' | b'^' | b'|' | b'&' | b'~' | b'!' => (Token::Operator(first), 1),
        b'(' => (Token::Open, 1),
        b')' => (Token::Close, 1),
        b',' => (Token::Comma, 1),
        b';' => (Token::Semicolon, 1),
        b':' if second == b':' => (Token::Operator(b':'), 2),
        other => (Token::Other(other), 1),
    }
}

/// A word, perhaps with qualifiers before it or behind it: what any part of it is for.
fn dotted(name: &[u8]) -> Token<'_> {
    let whole = word(name);
    if whole == Word::Name && name.contains(&b'.') {
        for part in name.split(|byte| *byte == b'.') {
            let known = word(part);
            if matches!(known, Word::Exploit | Word::Catalogue) {
                return Token::Word(known, name);
            }
        }
        // `1'.or.1` is no SQL; `x.y` is a column.
        return Token::Word(Word::Name, name);
    }
    Token::Word(whole, name)
}

/// A number, with an exponent or in hexadecimal. A name that begins with digits is a name.
fn number(rest: &[u8]) -> (Token<'_>, usize) {
    let length = match rest {
        [b'0', b'x' | b'X', digits @ ..] => {
            2 + digits.iter().take_while(|byte| byte.is_ascii_hexdigit()).count()
        }
        _ => {
            let whole = rest
                .iter()
                .take_while(|b| b.is_ascii_digit() || **b == b'.')
                .count();
            match from(rest, whole) {
                [b'e', digits @ ..] if digits.first().is_some_and(u8::is_ascii_digit) => {
                    whole + 1 + digits.iter().take_while(|byte| byte.is_ascii_digit()).count()
                }
                _ => whole,
            }
        }
    };
    let digits = rest.get(..length).unwrap_or_default();
    if digits == b"." {
        return (Token::Other(b'.'), 1);
    }
    let tail = from(rest, length)
        .iter()
        .take_while(|byte| is_word(**byte))
        .count();
    if tail == 0 {
        return (Token::Number(digits), length);
    }
    // `1or 1=1`, `1and`, `1union`: a number runs into a keyword in every dialect.
    let behind = from(rest, length).get(..tail).unwrap_or_default();
    if matches!(
        word(behind),
        Word::Logic | Word::Union | Word::Compare | Word::Ordering | Word::Having
    ) {
        return (Token::Number(digits), length);
    }
    (
        Token::Word(Word::Name, rest.get(..length + tail).unwrap_or_default()),
        length + tail,
    )
}

/// A string from behind its opening quote. A doubled quote, or one behind a backslash, does not end it.
fn text(rest: &[u8], quote: u8) -> (Token<'_>, usize) {
    let mut place = 0;
    while let Some(found) = memchr::memchr(quote, from(rest, place)) {
        let end = place + found;
        let escaped = end > place && at(rest, end - 1) == b'\\' && (end < 2 || at(rest, end - 2) != b'\\');
        let doubled = at(rest, end + 1) == quote;
        let continues = escaped || doubled && end > 0;
        if !continues {
            let inside = rest.get(..end).unwrap_or_default();
            return (Token::Text { inside, closed: true }, end + 1);
        }
        place = end + if doubled { 2 } else { 1 };
    }
    (
        Token::Text {
            inside: rest,
            closed: false,
        },
        rest.len(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_read_as_a_number_or_inside_a_string() {
        let inside = |token: &Token<'_>| {
            matches!(
                token,
                Token::Text {
                    closed: true,
                    inside: b"1"
                }
            )
        };
        let tokens = tokenise(b"1' or 2=2", Some(b'\''), MAX_TOKENS);
        assert!(inside(&tokens[0]));
        assert_eq!(tokens[1], Token::Word(Word::Logic, b"or"));
        assert_eq!(tokens[2], Token::Number(b"2"));
        assert_eq!(tokens[3], Token::Compare);
        let tokens = tokenise(b"1or 2", None, MAX_TOKENS);
        assert_eq!(tokens[0], Token::Number(b"1"));
        assert_eq!(tokens[1], Token::Word(Word::Logic, b"or"));
    }

    #[test]
    fn any_bytes_end() {
        for first in 0..=255_u8 {
            for quote in [None, Some(b'\''), Some(b'"')] {
                let bytes = [first, b'\'', first, b'/', b'*', first];
                assert!(tokenise(&bytes, quote, MAX_TOKENS).len() <= 7);
            }
        }
        let long = vec![b'('; 10_000];
        assert_eq!(tokenise(&long, None, MAX_TOKENS).len(), MAX_TOKENS);
    }
}
