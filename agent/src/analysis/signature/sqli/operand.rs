//! One side of a comparison: what it is, and where it ends.

use super::{rules::Reading, tokens::Token, words::Word};

/// What stands on one side of a comparison.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Operand<'a> {
    Number(&'a [u8]),
    Text(&'a [u8], bool),
    Constant,
    Call,
    Name,
    Nested,
}

impl Operand<'_> {
    pub(super) fn is_constant(self) -> bool {
        matches!(self, Self::Number(_) | Self::Text(..) | Self::Constant)
    }
}

impl<'a> Reading<'_, 'a> {
    /// What stands here, as one side of a comparison, and the place behind it.
    pub(super) fn operand(&self, place: usize) -> Option<(Operand<'a>, usize)> {
        let mut place = place;
        let limit = place + MAX_PREFIX;
        while place < limit
            && matches!(
                self.at(place),
                Token::Open | Token::Operator(_) | Token::Word(Word::Not | Word::Quantity, _)
            )
        {
            place += 1;
        }
        let operand = match self.at(place) {
            Token::Number(number) => Operand::Number(number),
            Token::Text { inside, closed } => Operand::Text(inside, closed),
            Token::Word(Word::Constant, _) => Operand::Constant,
            Token::Word(Word::Select | Word::Case, _) => return Some((Operand::Nested, place + 1)),
            Token::Word(Word::Statement | Word::From, _) => return None,
            Token::Word(_, _) if self.at(place + 1) == Token::Open => {
                return Some((Operand::Call, self.behind_parentheses(place + 1)));
            }
            Token::Word(_, _) | Token::Variable => Operand::Name,
            _ => return None,
        };
        let mut behind = place + 1;
        // Casts, arithmetic and closing parentheses belong to this side.
        while behind < limit + MAX_PREFIX && self.at(behind) == Token::Close {
            behind += 1;
        }
        if matches!(self.at(behind), Token::Operator(b':')) && matches!(self.at(behind + 1), Token::Word(..))
        {
            behind += 2;
        }
        while behind < limit + MAX_PREFIX
            && matches!(self.at(behind), Token::Operator(b'+' | b'-' | b'*' | b'/' | b'%'))
            && matches!(self.at(behind + 1), Token::Number(_))
            && matches!(operand, Operand::Number(_))
        {
            behind += 2;
        }
        Some((operand, behind))
    }

    /// The place behind the parenthesis that closes the one here.
    fn behind_parentheses(&self, open: usize) -> usize {
        let mut depth = 0_usize;
        let mut place = open;
        while place < self.tokens.len() {
            match self.at(place) {
                Token::Open => depth += 1,
                Token::Close => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        return place + 1;
                    }
                }
                _ => {}
            }
            place += 1;
        }
        place
    }
}

/// Parentheses, signs and negations before an operand. Overflow policy: it is no operand.
const MAX_PREFIX: usize = 12;
