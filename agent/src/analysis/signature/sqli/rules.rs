//! The shapes of tokens by which SQL gives itself away.
//!
//! Each rule says what it needs around the words: a word alone, or a sentence of them, is nothing.

use super::{operand::Operand, tokens::Token, words::Word};
use crate::analysis::signature::text::prose_words;

/// Confidence and reason.
pub(super) type Found = (f32, &'static str);

/// One way to read a value.
#[derive(Debug)]
pub(super) struct Reading<'t, 'a> {
    pub(super) tokens: &'t [Token<'a>],
    /// Read as the inside of a string: the first token is what stands before its end.
    pub(super) breaks_out: bool,
    /// Words of people around it: only what is unlikely in a sentence counts.
    pub(super) is_prose: bool,
}

impl<'a> Reading<'_, 'a> {
    /// The strongest rule that holds.
    pub(super) fn judge(&self) -> Option<Found> {
        let first = usize::from(self.breaks_out);
        if self.breaks_out && !matches!(self.at(0), Token::Text { closed: true, .. }) {
            return None;
        }
        (first..self.tokens.len())
            .filter_map(|place| self.anywhere(place))
            .chain(self.breaks_out.then(|| self.tail()).flatten())
            .max_by(|a, b| a.0.total_cmp(&b.0))
    }

    pub(super) fn at(&self, place: usize) -> Token<'a> {
        self.tokens.get(place).copied().unwrap_or(Token::End)
    }

    fn before(&self, place: usize) -> Token<'a> {
        place.checked_sub(1).map_or(Token::End, |place| self.at(place))
    }

    /// What stands before the end of the string reads like a sentence.
    pub(super) fn sentence_before(&self) -> bool {
        matches!(self.at(0), Token::Text { inside, .. } if prose_words(inside, 3) >= 3)
    }

    /// Rules for what follows the end of the string that a value leaves.
    fn tail(&self) -> Option<Found> {
        let Token::Text { inside, .. } = self.at(0) else {
            return None;
        };
        let mut place = 1;
        while self.at(place) == Token::Close {
            place += 1;
        }
        if self.sentence_before() {
            return None;
        }
        match self.at(place) {
            Token::LineComment(rest) if rest.trim_ascii().len() <= 2 => Some((
                0.85,
                "a string ends and a comment hides the rest of the statement",
            )),
            Token::Semicolon if matches!(self.at(place + 1), Token::LineComment(rest) if rest.trim_ascii().len() <= 2) => {
                Some((0.85, "a string and a statement end, and a comment hides the rest"))
            }
            Token::BlockComment { closed: false } => {
                Some((0.8, "a string ends and a comment hides the rest of the statement"))
            }
            Token::Word(Word::Logic, _) | Token::Double(_) => self.logic_behind_a_string(place),
            Token::Compare if inside.len() <= 16 => {
                let (operand, behind) = self.operand(place + 1)?;
                let ends = matches!(
                    self.at(behind),
                    Token::End
                        | Token::LineComment(_)
                        | Token::BlockComment { .. }
                        | Token::Word(Word::Logic, _)
                );
                (operand.is_constant() && ends && !inside.contains(&b' '))
                    .then_some((0.75, "a string ends and is compared"))
            }
            Token::Word(Word::Compare, _) if inside.len() <= 16 => {
                let (operand, behind) = self.operand(place + 1)?;
                let open = matches!(operand, Operand::Text(_, false));
                (open || operand.is_constant() && self.hides(behind))
                    .then_some((0.75, "a string ends and is compared"))
            }
            Token::Operator(_) => {
                let next = self.at(place + 1);
                let call = matches!(next, Token::Word(Word::Function | Word::Exploit, _))
                    && self.at(place + 2) == Token::Open;
                call.then_some((0.85, "a string ends and goes on with a function"))
            }
            Token::Word(Word::Ordering, _) if self.at(place + 1) == Token::Word(Word::By, b"by") => {
                matches!(self.at(place + 2), Token::Number(_))
                    .then_some((0.85, "a string ends and an ordering by number follows"))
            }
            Token::Word(Word::Limit, _) => (matches!(self.at(place + 1), Token::Number(_))
                && self.hides(place + 2))
            .then_some((0.8, "a string ends and a limit follows")),
            _ => None,
        }
    }

    /// `' or …`
    fn logic_behind_a_string(&self, place: usize) -> Option<Found> {
        let (operand, behind) = self.operand(place + 1)?;
        let reason = "a string ends and a condition follows";
        match self.at(behind) {
            Token::Compare => {
                self.operand(behind + 1)?;
                Some((0.9, reason))
            }
            Token::Word(Word::Compare, _) | Token::Word(Word::Not, _) => {
                let (right, end) = self.operand(behind + 1)?;
                if self.at(end) == Token::Word(Word::Name, b"escape")
                    && matches!(self.at(end + 1), Token::Text { .. })
                {
                    return Some((0.85, reason));
                }
                (right != Operand::Name && right != Operand::Call).then_some((0.85, reason))
            }
            Token::LineComment(rest) if rest.trim_ascii().len() <= 4 => Some((0.85, reason)),
            Token::Operator(b':') => Some((0.8, reason)),
            Token::BlockComment { closed: false } if operand.is_constant() => Some((0.8, reason)),
            _ if operand == Operand::Call || operand == Operand::Nested => {
                let double = matches!(self.at(place), Token::Double(_));
                (double || self.hides(behind)).then_some((0.8, reason))
            }
            _ => None,
        }
    }

    /// Rules that hold wherever their tokens stand.
    fn anywhere(&self, place: usize) -> Option<Found> {
        match self.at(place) {
            Token::Word(Word::Union, _) => self.union(place),
            Token::Open if matches!(self.at(place + 1), Token::Word(Word::Select, _)) => self.nested(place),
            Token::Word(Word::Exploit, name) => self.exploit(place, name),
            Token::Word(Word::Catalogue, _) => {
                (!self.is_prose).then_some((0.75, "the catalogue of the database is named"))
            }
            Token::Word(Word::Logic | Word::Having | Word::Where | Word::When, _) | Token::Double(_) => {
                self.condition(place)
            }
            Token::Word(Word::Ordering, _) => self.ordering(place),
            Token::Semicolon => self.second_statement(place),
            Token::Word(Word::Statement, b"waitfor") => {
                (matches!(self.at(place + 1), Token::Word(Word::Object, _))
                    && matches!(self.at(place + 2), Token::Text { .. } | Token::Variable))
                .then_some((0.95, "the database is made to wait"))
            }
            Token::Word(Word::Statement, b"load" | b"copy") => self.reads_file(place),
            Token::Word(Word::Into, _) => {
                let file = matches!(
                    self.at(place + 1),
                    Token::Word(Word::Name, b"outfile" | b"dumpfile")
                );
                (file && matches!(self.at(place + 2), Token::Text { .. } | Token::Number(_)))
                    .then_some((0.95, "a result is written to a file"))
            }
            Token::Word(Word::Function, b"if" | b"iif") if self.at(place + 1) == Token::Open => {
                let (left, behind) = self.operand(place + 2)?;
                let (right, end) = (self.at(behind) == Token::Compare)
                    .then(|| self.operand(behind + 1))
                    .flatten()?;
                let constant = |side: Operand<'_>| side.is_constant() || side == Operand::Call;
                (constant(left) && constant(right) && self.at(end) == Token::Comma)
                    .then_some((0.8, "a condition on constants"))
            }
            Token::Word(Word::Case, _) => {
                let asks = matches!(self.at(place + 1), Token::Word(Word::When, _));
                let joined = matches!(
                    self.before(place),
                    Token::Open
                        | Token::Operator(_)
                        | Token::Double(_)
                        | Token::Comma
                        | Token::Compare
                        | Token::Word(Word::Logic | Word::By | Word::Select, _)
                );
                (asks && joined && !self.is_prose).then_some((0.8, "a CASE inside an expression"))
            }
            Token::Text { inside, closed: true }
                if matches!(inside.first(), Some(b'{' | b'[')) && !self.breaks_out =>
            {
                let casts = self.at(place + 1) == Token::Operator(b':')
                    && matches!(self.at(place + 2), Token::Word(Word::Name, b"json" | b"jsonb"));
                let joined = matches!(self.before(place), Token::Word(Word::Logic, _));
                let operates = matches!(
                    self.at(place + 1),
                    Token::Compare | Token::Operator(b'-') | Token::Other(b'?' | b'@') | Token::Double(_)
                );
                (casts || joined && operates).then_some((0.8, "an operator of SQL on JSON"))
            }
            Token::Conditional => (0..self.tokens.len())
                .any(|place| {
                    matches!(
                        self.at(place),
                        Token::Word(Word::Union | Word::Select | Word::Logic, _)
                    )
                })
                .then_some((0.95, "SQL hides in a comment that only MySQL reads")),
            _ => None,
        }
    }

    /// `union [all] select …`
    fn union(&self, place: usize) -> Option<Found> {
        let mut next = place + 1;
        while matches!(self.at(next), Token::Word(Word::Quantity, _) | Token::Open) {
            next += 1;
        }
        if !matches!(self.at(next), Token::Word(Word::Select, _)) {
            return None;
        }
        let joined = matches!(
            self.before(place),
            Token::Number(_)
                | Token::Text { .. }
                | Token::Close
                | Token::Conditional
                | Token::BlockComment { .. }
                | Token::Variable
                | Token::Word(Word::Constant, _)
        );
        let quantity = matches!(self.at(place + 1), Token::Word(Word::Quantity, _));
        (joined || quantity || self.selects(next + 1)).then_some((0.97, "a UNION appends another SELECT"))
    }

    /// What follows `select` is what a statement has there, and a sentence has not.
    fn selects(&self, place: usize) -> bool {
        match self.at(place) {
            Token::Number(_) | Token::Text { .. } | Token::Variable | Token::Open => true,
            Token::Operator(b'*') => true,
            Token::Word(Word::Constant | Word::Catalogue | Word::Case | Word::Exploit, _) => true,
            Token::Word(Word::Quantity, _) => self.selects(place + 1),
            // `some_column from`: no word of a sentence.
            Token::Word(Word::Name, name)
                if name.contains(&b'_') && matches!(self.at(place + 1), Token::Word(Word::From, _)) =>
            {
                true
            }
            Token::Word(_, _) => matches!(self.at(place + 1), Token::Open | Token::Comma),
            _ => false,
        }
    }

    /// `(select …`
    fn nested(&self, place: usize) -> Option<Found> {
        let joined = matches!(
            self.before(place),
            Token::Operator(_)
                | Token::Double(_)
                | Token::Compare
                | Token::Open
                | Token::Comma
                | Token::Text { .. }
                | Token::Word(
                    Word::Logic | Word::Compare | Word::Not | Word::Exploit | Word::Function | Word::By,
                    _
                )
        );
        let from = (place..self.tokens.len().min(place + 12))
            .any(|place| matches!(self.at(place), Token::Word(Word::From, _)));
        let selects = self.selects(place + 2);
        let leaves = self.breaks_out && !self.is_prose;
        ((joined && (selects || from || leaves) || selects && (from || self.breaks_out))
            && (!self.is_prose || selects))
            .then_some((0.9, "a SELECT inside an expression"))
    }

    /// A function, or a procedure, that no caller should name.
    fn exploit(&self, place: usize, name: &[u8]) -> Option<Found> {
        let procedure = [&b"xp_"[..], b"utl_", b"dbms_", b"ctxsys", b"sp_oa", b"fn_varbin"]
            .iter()
            .any(|known| memchr::memmem::find(name, known).is_some());
        if procedure && !self.is_prose {
            return Some((0.9, "a procedure that reaches out of the database"));
        }
        if self.at(place + 1) != Token::Open {
            return None;
        }
        let argument = self.at(place + 2);
        let fits = match name {
            b"exp" => argument == Token::Operator(b'~'),
            b"elt" | b"make_set" => {
                matches!(argument, Token::Number(_))
                    && matches!(self.at(place + 3), Token::Compare | Token::Operator(_))
            }
            b"sleep" | b"pg_sleep" => {
                // `sleep(8 hours)` is for people.
                let words = matches!(self.at(place + 3), Token::Word(Word::Name, _));
                !matches!(argument, Token::Close | Token::End) && !words
            }
            b"analyse" | b"sysdate" => self.breaks_out || self.before(place) == Token::Compare,
            _ => true,
        };
        let called = !matches!(
            self.before(place),
            Token::Word(Word::Name | Word::Statement | Word::Function | Word::Object, _)
        );
        (fits && called && !self.is_prose).then_some((0.85, "a function that only attacks call"))
    }

    /// `or 1=1`: a condition whose result does not depend on data.
    fn condition(&self, place: usize) -> Option<Found> {
        let (left, behind) = self.operand(place + 1)?;
        let compares = matches!(self.at(behind), Token::Compare | Token::Word(Word::Compare, _));
        if !compares {
            return None;
        }
        let (right, end) = self.operand(behind + 1)?;
        let reason = "a condition on constants";
        let begins = place == 0;
        let ends = matches!(
            self.at(end),
            Token::End
                | Token::LineComment(_)
                | Token::BlockComment { .. }
                | Token::Close
                | Token::Semicolon
                | Token::Word(
                    Word::Logic | Word::Union | Word::Ordering | Word::Limit | Word::Having,
                    _
                )
        ) || matches!(self.at(end), Token::Operator(_));
        match (left, right) {
            (Operand::Number(left), Operand::Number(right)) if left == right => Some((0.95, reason)),
            (Operand::Number(_), Operand::Number(_)) => {
                // `3 > 2 and 1 < 2` is balanced in itself.
                let balanced = !self.breaks_out && place >= 2 && matches!(self.at(place - 2), Token::Compare);
                (ends && !self.is_prose && !balanced).then_some((0.8, reason))
            }
            (Operand::Text(left, _), Operand::Text(right, closed)) => {
                let equal = left == right || right.starts_with(left) && !closed;
                (equal || !closed && self.breaks_out).then_some((0.9, reason))
            }
            (Operand::Call | Operand::Nested, right) if right.is_constant() || right == Operand::Call => {
                (!self.is_prose && (begins || self.breaks_out || ends))
                    .then_some((0.7, "a condition on a function"))
            }
            _ if self.hides(end)
                && (begins || matches!(self.before(place), Token::Number(_) | Token::Close)) =>
            {
                Some((0.75, "a condition, and a comment hides what follows"))
            }
            _ => None,
        }
    }

    /// `order by 7 -- `
    fn ordering(&self, place: usize) -> Option<Found> {
        if !matches!(self.at(place + 1), Token::Word(Word::By, _))
            || !matches!(self.at(place + 2), Token::Number(_))
        {
            return None;
        }
        let mut next = place + 3;
        while matches!(self.at(next), Token::Comma | Token::Number(_)) {
            next += 1;
        }
        let joined = matches!(self.before(place), Token::Number(_) | Token::Close);
        (self.hides(next) || joined && !self.is_prose)
            .then_some((0.8, "an ordering by number probes columns"))
    }

    /// `; drop table …`
    fn second_statement(&self, place: usize) -> Option<Found> {
        let script = matches!(self.at(0), Token::Word(Word::Statement | Word::Select, _));
        if script && !self.breaks_out {
            return None;
        }
        if self.decides(place + 1) {
            return Some((0.9, "a second statement follows the first"));
        }
        let (first, second) = (self.at(place + 1), self.at(place + 2));
        let Token::Word(kind, name) = first else {
            return None;
        };
        let fits = match (kind, name) {
            (Word::Select, _) => self.selects(place + 2),
            (Word::Statement, b"drop" | b"create" | b"alter" | b"truncate") => {
                matches!(second, Token::Word(Word::Object, _))
                    && matches!(self.at(place + 3), Token::Word(..))
                    && !self.is_prose
            }
            (Word::Statement, b"insert" | b"replace" | b"merge") => {
                matches!(second, Token::Word(Word::Into, _))
            }
            (Word::Statement, b"delete") => matches!(second, Token::Word(Word::From, _)),
            (Word::Statement, b"update") => {
                matches!(self.at(place + 3), Token::Word(Word::Statement, b"set"))
            }
            (Word::Statement, b"attach" | b"load") => matches!(second, Token::Word(Word::Object, _)),
            (Word::Statement, b"declare" | b"set") => second == Token::Variable,
            (Word::Statement, b"exec" | b"execute" | b"call" | b"begin" | b"copy" | b"waitfor") => {
                matches!(
                    second,
                    Token::Word(Word::Exploit | Word::Object, _) | Token::Open | Token::Variable
                ) || self.breaks_out && matches!(second, Token::Word(..))
            }
            (Word::Statement, b"shutdown") => self.hides(place + 2) || second == Token::End,
            _ => false,
        };
        fits.then_some((0.92, "a second statement follows the first"))
    }

    /// `load data infile 'x'`, `copy x from program 'y'`
    fn reads_file(&self, place: usize) -> Option<Found> {
        let reaches = (place + 1..place + 8).any(|place| {
            matches!(self.at(place), Token::Word(Word::Name, b"infile" | b"program"))
                && matches!(self.at(place + 1), Token::Text { .. })
        });
        reaches.then_some((0.85, "a statement reaches out of the database"))
    }

    /// `if(1=1) select …`
    fn decides(&self, place: usize) -> bool {
        let opens =
            matches!(self.at(place), Token::Word(Word::Function, b"if")) && self.at(place + 1) == Token::Open;
        let Some((left, behind)) = opens.then(|| self.operand(place + 2)).flatten() else {
            return false;
        };
        let right = (self.at(behind) == Token::Compare)
            .then(|| self.operand(behind + 1))
            .flatten();
        right.is_some_and(|(right, end)| {
            left.is_constant()
                && right.is_constant()
                && matches!(
                    self.at(end),
                    Token::Word(Word::Select | Word::Statement | Word::Exploit, _)
                )
        })
    }

    /// A comment, or the end of what may follow, stands here.
    fn hides(&self, place: usize) -> bool {
        match self.at(place) {
            Token::LineComment(rest) => rest.trim_ascii().len() <= 4,
            Token::BlockComment { closed } => !closed,
            Token::Close | Token::Semicolon => self.hides(place + 1),
            _ => false,
        }
    }
}
