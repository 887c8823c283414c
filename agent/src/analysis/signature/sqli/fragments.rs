//! Pieces of SQL that a value is made of without leaving its place: what somebody sends who tries what gets through.
//!
//! In: a short value, read as it stands. Out: weak evidence, below what makes an incident or keeps an exchange from being
//! learned: an open call, a comparison that lacks its other side, a condition that begins a value. Refuses sentences,
//! whole statements and balanced filters: those are content.

mod alone;
mod comments;
mod left;

use super::{
    operand::Operand,
    rules::{Found, Reading},
    tokens::{Token, tokenise},
    words::Word,
};
use crate::analysis::signature::{scan::Bits, text::Text};

pub(super) use comments::commented;

/// Longest value that is a piece. Overflow policy: it is none.
const MAX_BYTES: usize = 200;

/// Confidence of what is only odd.
const WEAK: f32 = 0.45;

/// Whether a value without any word that whole rules look for may still be a piece.
pub(super) fn may_be(text: &Text<'_>) -> bool {
    let lower = text.lower.trim_ascii();
    if lower.len() > MAX_BYTES {
        return false;
    }
    let any = |needles: &[&str]| needles.iter().any(|needle| text.has(needle));
    lower.ends_with(b"(")
        || matches!(lower.first(), Some(b')' | b'&' | b'|'))
        || lower.starts_with(b"in (")
        || lower.starts_with(b"values")
        || lower.ends_with(b"()")
        || lower.ends_with(b")") && text.bits.any(Bits::PAREN) && memchr::memchr(b',', lower).is_some()
        || text.bits.any(Bits::COLON) && text.has("::")
        || text.bits.any(Bits::QUOTE) && any(&["'-", "'+", "'*", "'^", "'&", "'|", "||"])
        || text.bits.any(Bits::SPACE) && lower.first().is_some_and(u8::is_ascii_digit)
        || ["order ", "group ", "limit ", "union "]
            .iter()
            .any(|word| lower.starts_with(word.as_bytes()))
        || begins_condition(lower)
        || text.bits.any(Bits::QUOTE) && any(&["or", "and", "like", "sql"])
        || text.bits.any(Bits::PAREN) && any(&["0x", ")::"])
}

/// `or 88`, `xor 5-`: logic with a number behind it.
fn begins_condition(lower: &[u8]) -> bool {
    [&b"or "[..], b"and ", b"xor ", b"div "].iter().any(|word| {
        lower
            .strip_prefix(*word)
            .is_some_and(|rest| rest.trim_ascii_start().first().is_some_and(u8::is_ascii_digit))
    })
}

/// A piece of SQL.
pub(super) fn find(text: &Text<'_>) -> Option<Found> {
    let lower = text.lower.trim_ascii();
    if lower.is_empty() || lower.len() > MAX_BYTES {
        return None;
    }
    let tokens = tokenise(lower, None, 48);
    // A form that is encoded whole arrives as one value: `pay%3Dor+1%3D1`.
    let start = match tokens.as_slice() {
        [
            Token::Word(Word::Name, _),
            Token::Compare,
            Token::Word(Word::Logic | Word::Compare, _) | Token::Double(_) | Token::Semicolon | Token::Close,
            ..,
        ] => 2,
        _ => 0,
    };
    let reading = Reading {
        tokens: tokens.get(start..).unwrap_or_default(),
        breaks_out: false,
        is_prose: false,
    };
    let found = reading
        .piece(lower)
        .or_else(|| commented(lower))
        .or_else(|| left::escaped(lower));
    found.or_else(|| {
        [b'\'', b'"']
            .into_iter()
            .filter(|quote| lower.contains(quote))
            .find_map(|quote| {
                let tokens = tokenise(lower, Some(quote), 48);
                let reading = Reading {
                    tokens: &tokens,
                    breaks_out: true,
                    is_prose: false,
                };
                reading.left(lower, quote)
            })
    })
}

impl Reading<'_, '_> {
    /// A value as it stands.
    fn piece(&self, lower: &[u8]) -> Option<Found> {
        let last = self.tokens.last().copied().unwrap_or(Token::End);
        if last == Token::Open && self.opens_a_call() {
            return Some((WEAK, "a call of SQL that is left open"));
        }
        if let Some(found) = self.stands_alone() {
            return Some(found);
        }
        match self.at(0) {
            Token::Word(Word::Logic, _) | Token::Double(_) if self.compares_within(7) => {
                return Some((WEAK, "a condition without its beginning"));
            }
            Token::Word(Word::Logic, _) => {
                let end = 2 + usize::from(matches!(self.at(2), Token::Operator(_)));
                let only_number = matches!(self.at(1), Token::Number(_)) && self.at(end) == Token::End;
                let runs_on = matches!(self.at(1), Token::Text { closed: true, .. })
                    && matches!(self.at(2), Token::Word(Word::Name, _));
                if only_number || runs_on {
                    return Some((WEAK, "a condition without its beginning"));
                }
            }
            Token::Close => {
                if let Token::Word(Word::Compare | Word::When | Word::Union | Word::Logic, _) = self.at(1)
                    && !matches!(self.at(2), Token::Word(Word::Name, _))
                {
                    return Some((WEAK, "a parenthesis is closed and SQL follows"));
                }
            }
            Token::Semicolon if self.begins_statement(1) => {
                return Some((WEAK, "a second statement begins"));
            }
            Token::Word(Word::Statement, b"execute")
                if matches!(self.at(1), Token::Word(_, b"immediate")) =>
            {
                return Some((WEAK, "a statement is run from a string"));
            }
            Token::Word(Word::Statement, b"create") => {
                let routine = matches!(
                    self.at(1),
                    Token::Word(_, b"function" | b"procedure" | b"trigger")
                );
                if routine && matches!(self.at(2), Token::Word(..)) && self.tokens.contains(&Token::Open) {
                    return Some((WEAK, "a routine is created"));
                }
            }
            Token::Word(Word::Catalogue, _) if self.at(1) == Token::End => {
                return Some((WEAK, "the catalogue of the database is named"));
            }
            _ => {}
        }
        let hides = matches!(last, Token::LineComment(rest) if rest.trim_ascii().is_empty());
        if hides && self.begins_statement(0) {
            return Some((0.8, "a statement, and a comment hides what follows"));
        }
        let compares_nothing = last == Token::Compare
            && matches!(self.at(0), Token::Word(Word::Function, b"if" | b"iif"))
            && self.at(1) == Token::Open;
        if compares_nothing {
            return Some((WEAK, "a condition on constants"));
        }
        if let Some(found) = self.asks_nothing() {
            return Some(found);
        }
        (0..self.tokens.len()).find_map(|place| self.inside(place, lower))
    }

    /// `is null`, `1 is not 2`, `1 not in (2)`, `in (1, -1)`, `x like '`.
    fn asks_nothing(&self) -> Option<Found> {
        let of_number = matches!(self.at(0), Token::Number(_));
        let mut place = usize::from(of_number || matches!(self.at(0), Token::Word(Word::Name, _)));
        let before = place;
        while matches!(self.at(place), Token::Word(Word::Not, _)) {
            place += 1;
        }
        let Token::Word(Word::Compare, name) = self.at(place) else {
            return None;
        };
        let mut next = place + 1;
        while matches!(self.at(next), Token::Word(Word::Not, _)) {
            next += 1;
        }
        let negated = next > place + 1 || place > before;
        let alone = before == 0 || of_number;
        let ends = |place: usize| self.at(place) == Token::End;
        let fits = match self.at(next) {
            Token::Word(Word::Constant, b"null") => alone && ends(next + 1),
            Token::Number(_) if name == b"between" => {
                of_number
                    && matches!(self.at(next + 1), Token::Word(Word::Logic, b"and"))
                    && matches!(self.at(next + 2), Token::Number(_))
                    && ends(next + 3)
            }
            Token::Number(_) => (negated && name == b"is" || of_number && name != b"in") && ends(next + 1),
            Token::Text {
                inside: b"",
                closed: false,
            } => name != b"in" && name != b"is",
            Token::Open if name == b"in" && alone => {
                let mut place = next + 1;
                while matches!(
                    self.at(place),
                    Token::Number(_)
                        | Token::Comma
                        | Token::Operator(b'-')
                        | Token::Text { closed: true, .. }
                ) {
                    place += 1;
                }
                place > next + 1 + usize::from(!of_number)
                    && self.at(place) == Token::Close
                    && ends(place + 1)
                    || matches!(self.at(next + 1), Token::Word(Word::Select, _))
            }
            _ => false,
        };
        fits.then_some((WEAK, "a comparison of SQL without its first side"))
    }

    /// What counts wherever it stands.
    fn inside(&self, place: usize, lower: &[u8]) -> Option<Found> {
        match self.at(place) {
            Token::Word(Word::Logic, _) if place > 0 => {
                let hides =
                    matches!(self.at(place + 1), Token::LineComment(rest) if rest.trim_ascii().len() <= 2);
                let behind_value = matches!(
                    self.at(place - 1),
                    Token::Number(_) | Token::Text { closed: true, .. } | Token::Close
                );
                (hides && behind_value).then_some((0.6, "a condition, and a comment hides what follows"))
            }
            Token::Text {
                inside: b"msdasql" | b"sqloledb" | b"sqlncli",
                ..
            } => Some((0.6, "a driver by which SQL Server reaches other hosts")),
            Token::Text {
                inside: left,
                closed: true,
            } if self.at(place + 1) == Token::Compare => {
                let Token::Text {
                    inside: right,
                    closed: true,
                } = self.at(place + 2)
                else {
                    return None;
                };
                let json = matches!(left.trim_ascii().first(), Some(b'{' | b'['))
                    && right.trim_ascii().starts_with(b"$");
                let same = left == right && left.len() <= 8;
                (json || same).then_some((0.6, "constants are compared"))
            }
            Token::Number(left) if self.at(place + 1) == Token::Compare && self.tokens.len() == 3 => {
                let unequal = [&b"!="[..], b"<>"]
                    .iter()
                    .any(|sign| memchr::memmem::find(lower, sign).is_some());
                let Token::Number(right) = self.at(place + 2) else {
                    return None;
                };
                (unequal && left != right).then_some((WEAK, "constants are compared"))
            }
            Token::Number(number) if number.starts_with(b"0x") && number.len() >= 6 => {
                let call = (0..place).any(|before| {
                    matches!(self.at(before), Token::Word(Word::Function | Word::Exploit, _))
                        && self.at(before + 1) == Token::Open
                });
                let selected = matches!(
                    place.checked_sub(1).map(|before| self.at(before)),
                    Some(Token::Word(Word::Select, _))
                );
                (call || selected).then_some((0.6, "a string of SQL in hexadecimal"))
            }
            Token::Close if self.at(place + 1) == Token::Operator(b':') => {
                let casts = matches!(
                    self.at(place + 2),
                    Token::Word(
                        _,
                        b"int" | b"integer" | b"text" | b"numeric" | b"varchar" | b"bytea" | b"float"
                    )
                );
                (casts && self.at(place + 3) == Token::End).then_some((0.6, "a cast of PostgreSQL"))
            }
            _ => None,
        }
    }

    /// A word of SQL, nothing that is a word behind it, and the end.
    fn opens_a_call(&self) -> bool {
        let Some(name) = self.tokens.iter().rev().find_map(|token| match token {
            Token::Word(kind, name) if *name != b"$" => Some((*kind, *name)),
            _ => None,
        }) else {
            return false;
        };
        let (kind, name) = name;
        let words = self
            .tokens
            .iter()
            .filter(|token| match token {
                Token::Word(Word::Procedure, _) => false,
                Token::Word(_, name) => *name != b"$",
                // `/3 and(` goes on behind a number.
                Token::Number(_) => kind != Word::Logic,
                Token::Text { .. } => true,
                _ => false,
            })
            .count();
        let tail = self
            .tokens
            .iter()
            .rev()
            .take_while(|token| !matches!(token, Token::Word(_, name) if *name != b"$"))
            .count();
        words == 1
            && tail <= 7
            && (matches!(
                kind,
                Word::Function | Word::Exploit | Word::Logic | Word::Catalogue
            ) || alone::is_function_name(name.strip_suffix(b".").unwrap_or(name)))
    }

    /// A comparison among the first tokens.
    fn compares_within(&self, tokens: usize) -> bool {
        (1..=tokens).any(|place| self.at(place) == Token::Compare)
    }

    fn begins_statement(&self, place: usize) -> bool {
        matches!(
            self.at(place),
            Token::Word(
                Word::Statement,
                b"drop" | b"truncate" | b"update" | b"delete" | b"insert" | b"replace" | b"alter" | b"create"
            )
        ) && !matches!(
            self.at(place + 1),
            Token::Compare | Token::Comma | Token::Semicolon
        )
    }
}

#[cfg(test)]
mod tests;
