//! Pieces that leave a string: `' or x!`, `'||1`, `' is not null`.
//!
//! In: a short value, read as the inside of a string. Out: weak evidence. Refuses what stands behind a sentence.

use super::{Found, Operand, Reading, Token, WEAK, Word};
use crate::analysis::signature::text::{at, from, prose_words};

impl Reading<'_, '_> {
    /// `'||1`, `'-0-'`, `'*'`: operators on what is left of a string.
    fn joins(&self, place: usize) -> bool {
        let open = |at: usize| {
            matches!(
                self.at(at),
                Token::Text {
                    inside: b"",
                    closed: false
                }
            )
        };
        let is_sign = |token: Token<'_>| matches!(token, Token::Operator(_) | Token::Double(_));
        if !is_sign(self.at(place)) {
            return false;
        }
        let number = matches!(self.at(place + 1), Token::Number(_));
        open(place + 1)
            || number && is_sign(self.at(place + 2)) && open(place + 3)
            || number && matches!(self.at(place), Token::Double(_)) && self.at(place + 2) == Token::End
    }

    /// `1'^'1`: an operator between numbers in quotes.
    fn joins_numbers(&self, inside: &[u8], place: usize) -> bool {
        let is_number = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
        is_number(inside)
            && matches!(self.at(place), Token::Operator(b'^' | b'&' | b'|' | b'*' | b'%'))
            && matches!(self.at(place + 1), Token::Text { inside, closed: false } if is_number(inside))
    }

    /// `' is not null`, `' sounds like 'x`, `' collate x_bin`, `' or not false`
    fn compares_to_nothing(&self, place: usize, name: &[u8]) -> bool {
        let negated = usize::from(matches!(self.at(place + 1), Token::Word(Word::Not, _)));
        let next = place + 1 + negated;
        match name {
            b"is" => {
                matches!(self.at(next), Token::Word(Word::Constant, _))
                    && matches!(self.at(next + 1), Token::End | Token::Word(Word::Logic, _))
            }
            b"sounds" => self.at(next) == Token::Word(Word::Compare, b"like"),
            b"collate" => {
                matches!(self.at(next), Token::Word(Word::Name, name) if name.contains(&b'_'))
            }
            b"or" | b"and" | b"xor" => {
                matches!(self.at(next), Token::Word(Word::Constant, _)) && self.at(next + 1) == Token::End
            }
            _ => false,
        }
    }

    /// A value that leaves a string: `' or x!`, `' collate nocase--`.
    pub(super) fn left(&self, lower: &[u8], quote: u8) -> Option<Found> {
        let Token::Text { inside, closed: true } = self.at(0) else {
            return None;
        };
        if self.sentence_before() {
            return None;
        }
        let mut place = 1;
        while self.at(place) == Token::Close {
            place += 1;
        }
        let last = self.tokens.last().copied().unwrap_or(Token::End);
        let hides = matches!(last, Token::LineComment(rest) if rest.trim_ascii().is_empty());
        if inside.is_empty() && self.joins(place) || self.joins_numbers(inside, place) {
            return Some((WEAK, "a string ends and is joined with a constant"));
        }
        if hides
            && matches!(
                self.at(place),
                Token::Word(Word::Statement | Word::Select | Word::Limit | Word::Into, _)
            )
        {
            return Some((0.75, "a string ends, SQL follows, and a comment ends it"));
        }
        let open_end = matches!(self.at(place), Token::Word(Word::Logic, _))
            && matches!(self.at(place + 1), Token::Text { closed: false, .. });
        if open_end && !inside.is_empty() {
            return Some((0.5, "a string ends and a condition follows"));
        }
        let Token::Word(kind @ (Word::Logic | Word::Compare), name) = self.at(place) else {
            return None;
        };
        if hides {
            return Some((0.75, "a string ends, SQL follows, and a comment ends it"));
        }
        if self.compares_to_nothing(place, name) {
            return Some((0.5, "a string ends and is compared"));
        }
        // `l'or noir!` is French: the string ends at a word there.
        let quoted_end = memchr::memchr(quote, lower).map_or(0, |end| end + 1);
        let apart = inside.is_empty() || at(lower, quoted_end).is_ascii_whitespace();
        let (operand, behind) = self.operand(place + 1)?;
        let compares_number = matches!(operand, Operand::Number(_)) && self.at(behind) == Token::Compare;
        if kind != Word::Logic || !apart && !compares_number {
            return None;
        }
        let runs_on = matches!(
            self.at(behind),
            Token::Compare | Token::Operator(_) | Token::Comma | Token::Other(_)
        );
        let stops = self.at(behind) == Token::End && matches!(operand, Operand::Number(_));
        let compared = matches!(self.at(behind), Token::Word(Word::Compare, _));
        (runs_on || stops || compared).then_some((0.5, "a string ends and a condition follows"))
    }
}

/// `\'or'1`: an escaped quote, for those who escape it once more.
pub(super) fn escaped(lower: &[u8]) -> Option<Found> {
    let place = [&b"\\'"[..], b"\\\"", b"\\`"]
        .iter()
        .find_map(|needle| memchr::memmem::find(lower, needle))?;
    let words = prose_words(lower.get(..place)?, 2);
    let rest = from(lower, place + 2);
    let rest = rest.strip_prefix(b"'").unwrap_or(rest).trim_ascii_start();
    let logic = [&b"and"[..], b"or", b"xor", b"union", b"like"]
        .iter()
        .any(|word| {
            rest.strip_prefix(*word).is_some_and(|behind| {
                behind.is_empty()
                    || matches!(at(behind, 0), b' ' | b'\'' | b'"' | b'`' | b'(' | b'\t' | b'\n')
            })
        });
    let spaced = lower.get(..place)?.last() == Some(&b' ');
    (logic && words < 2 && !spaced).then_some((0.6, "an escaped quote, and a condition behind it"))
}
