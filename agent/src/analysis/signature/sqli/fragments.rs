//! Pieces of SQL that a value is made of without leaving its place: what somebody sends who tries what gets through.
//!
//! In: a short value, read as it stands. Out: weak evidence, below what makes an incident or keeps an exchange from being
//! learned: an open call, a comparison that lacks its other side, a condition that begins a value. Refuses sentences,
//! whole statements and balanced filters: those are content.

use std::sync::LazyLock;

use super::{
    operand::Operand,
    rules::{Found, Reading},
    tokens::{Token, tokenise},
    words::Word,
};
use crate::analysis::signature::{
    needles::{Words, is_one_of, words},
    scan::Bits,
    text::{Text, at, from},
};

/// Longest value that is a piece. Overflow policy: it is none.
const MAX_BYTES: usize = 160;

/// Confidence of what is only odd.
const WEAK: f32 = 0.45;

/// Functions of SQL dialects: they count where a value ends with their open parenthesis, or is their empty call.
static FUNCTIONS: Words = LazyLock::new(|| {
    words(
        "abs acos adddate addtime aes_decrypt aes_encrypt asin asciistr atan atan2 avg bin_to_num bit_and bit_count \
         bit_length bit_or bit_xor ceil ceiling char_length character_length charset coercibility collation compress \
         connection_id convert_tz cos cot crc32 curdate current_date current_time current_timestamp curtime database \
         date date_add date_format date_sub datediff datepart datename day dayname dayofmonth dayofweek dayofyear \
         db_name default degrees dense_rank des_decrypt des_encrypt dump encode encrypt export_set extract \
         extractvalue find_in_set first_value format found_rows from_base64 from_days from_unixtime get_format get_lock \
         getdate getutcdate group_concat hour host_name in inet6_aton inet6_ntoa inet_aton inet_ntoa insert interval \
         is_free_lock is_used_lock isdate isnumeric json_array json_object lag last last_day last_insert_id last_value \
         lcase lead ln load_file local localtime localtimestamp log log10 log2 lpad ltrim make_set makedate maketime \
         master_pos_wait microsecond minute mod month monthname newid ntile nth_value numeric nvl oct octet_length \
         old_password password percent_rank period_add period_diff pg_client_encoding pi pow power quarter quote \
         radians random rank rawtohex rawtonhex rawtonhextoraw regexp_instr regexp_like regexp_replace regexp_substr \
         release_lock replace round row_count row_number rowidtochar rpad rtrim schema sec_to_time second session_user \
         sha sha2 sign sin soundex space std stddev stddev_pop stddev_samp str_to_date subdate substring_index subtime \
         sys_context system_user tan time time_format time_to_sec timediff timestamp timestampadd timestampdiff \
         to_base64 to_char to_date to_days to_nchar to_seconds to_timestamp truncate tzoffset ucase uncompress \
         uncompressed_length unix_timestamp updatexml user user_id user_name utc_date utc_time utc_timestamp uuid \
         uuid_short values var_pop var_samp variance wait_until_sql_thread_after_gtids week weekday weekofyear \
         weight_string xmltype year yearweek",
    )
});

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
        || text.bits.any(Bits::QUOTE) && any(&["or", "and", "like", "sql"])
        || text.bits.any(Bits::PAREN) && any(&["0x", ")::"])
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
        .or_else(|| spliced(lower))
        .or_else(|| escaped(lower));
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
        match self.at(0) {
            Token::Word(Word::Logic, _) | Token::Double(_) if self.compares_within(7) => {
                return Some((WEAK, "a condition without its beginning"));
            }
            Token::Word(Word::Logic, _) => {
                let only_number = matches!(self.at(1), Token::Number(_)) && self.at(2) == Token::End;
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
            Token::Word(Word::Statement, b"declare" | b"set") if self.at(1) == Token::Variable => {
                if matches!(self.at(2), Token::End | Token::Compare | Token::Semicolon) {
                    return Some((WEAK, "a variable of SQL"));
                }
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

    /// `is null`, `1 is not 2`, `in (1, -1)`, `x like '`.
    fn asks_nothing(&self) -> Option<Found> {
        let place = usize::from(matches!(
            self.at(0),
            Token::Number(_) | Token::Word(Word::Name, _)
        ));
        let Token::Word(Word::Compare, name) = self.at(place) else {
            return None;
        };
        let mut next = place + 1;
        while matches!(self.at(next), Token::Word(Word::Not, _)) {
            next += 1;
        }
        let negated = next > place + 1;
        let ends = |place: usize| self.at(place) == Token::End;
        let fits = match self.at(next) {
            Token::Word(Word::Constant, b"null") => place == 0 && ends(next + 1),
            Token::Number(_) => negated && name == b"is" && ends(next + 1),
            Token::Text {
                inside: b"",
                closed: false,
            } => name != b"in" && name != b"is",
            Token::Open if name == b"in" && place == 0 => {
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
                place > next + 2 && self.at(place) == Token::Close && ends(place + 1)
                    || matches!(self.at(next + 1), Token::Word(Word::Select, _))
            }
            _ => false,
        };
        fits.then_some((WEAK, "a comparison of SQL without its first side"))
    }

    /// What counts wherever it stands.
    fn inside(&self, place: usize, lower: &[u8]) -> Option<Found> {
        match self.at(place) {
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
                Token::Word(_, name) => *name != b"$",
                Token::Number(_) | Token::Text { .. } => true,
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
            ) || is_one_of(&FUNCTIONS, name.strip_suffix(b".").unwrap_or(name)))
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

    /// A value that leaves a string: `' or x!`, `' collate nocase--`.
    fn left(&self, lower: &[u8], quote: u8) -> Option<Found> {
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
        let Token::Word(kind @ (Word::Logic | Word::Compare), _) = self.at(place) else {
            return None;
        };
        if hides {
            return Some((0.75, "a string ends, SQL follows, and a comment ends it"));
        }
        // `l'or noir!` is French: the string ends at a word there.
        let quoted_end = memchr::memchr(quote, lower).map_or(0, |end| end + 1);
        let apart = inside.is_empty() || at(lower, quoted_end).is_ascii_whitespace();
        if kind != Word::Logic || !apart {
            return None;
        }
        let (operand, behind) = self.operand(place + 1)?;
        let runs_on = matches!(
            self.at(behind),
            Token::Compare | Token::Operator(_) | Token::Comma | Token::Other(_)
        );
        let stops = self.at(behind) == Token::End && matches!(operand, Operand::Number(_));
        let compared = matches!(self.at(behind), Token::Word(Word::Compare, _));
        (runs_on || stops || compared).then_some((0.5, "a string ends and a condition follows"))
    }
}

/// `dr/**/op`: a comment inside a keyword.
fn spliced(lower: &[u8]) -> Option<Found> {
    let open = memchr::memmem::find(lower, b"/*")?;
    let end = open + 2 + memchr::memmem::find(from(lower, open + 2), b"*/")? + 2;
    let letters = |byte: &&u8| byte.is_ascii_lowercase();
    let before = lower.get(..open)?.iter().rev().take_while(letters).count();
    let behind = from(lower, end).iter().take_while(letters).count();
    let (left, right) = (lower.get(open - before..open)?, lower.get(end..end + behind)?);
    let whole = [left, right].concat();
    let is_keyword = matches!(
        super::words::word(&whole),
        Word::Union | Word::Select | Word::Statement | Word::Where | Word::From | Word::Having
    );
    (before > 0 && behind > 0 && is_keyword).then_some((0.85, "a keyword of SQL is split by a comment"))
}

/// `\'or'1`: an escaped quote, for those who escape it once more.
fn escaped(lower: &[u8]) -> Option<Found> {
    let place = [&b"\\'"[..], b"\\\""]
        .iter()
        .find_map(|needle| memchr::memmem::find(lower, needle))?;
    let words = super::prose_words(lower.get(..place)?, 2);
    let rest = from(lower, place + 2);
    let rest = rest.strip_prefix(b"'").unwrap_or(rest).trim_ascii_start();
    let logic = [&b"and"[..], b"or", b"xor", b"union", b"like"]
        .iter()
        .any(|word| {
            rest.strip_prefix(*word).is_some_and(|behind| {
                behind.is_empty() || matches!(at(behind, 0), b' ' | b'\'' | b'"' | b'(' | b'\t' | b'\n')
            })
        });
    let spaced = lower.get(..place)?.last() == Some(&b' ');
    (logic && words < 2 && !spaced).then_some((0.6, "an escaped quote, and a condition behind it"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::signature::text::Source;

    fn is_piece(value: &str) -> bool {
        let lower = value.to_ascii_lowercase();
        find(&Text::new(value.as_bytes(), lower.as_bytes(), Source::Query)).is_some()
    }

    #[test]
    fn pieces_are_found() {
        for value in [
            "count(",
            "length||!(",
            "and uid!=(",
            "|| c == '",
            "xor 2 <",
            "is null",
            "in (1,-1)",
            "1 is not 2",
            ") like (",
            "x like '",
            ";drop",
            ";update users",
            "drop t;--",
            "dr/**/op/*x*/t",
            "\\'or'1",
            "' or abc!",
            "x' or 1=",
            "user'collate nocase--",
            "'a'='a'",
            "1!=11",
            "select 0x616263",
            "f(x)::int",
            "declare @b",
            "execute immediate \"",
        ] {
            assert!(is_piece(value), "{value}");
        }
    }

    #[test]
    fn sentences_filters_and_code_are_not() {
        for value in [
            "l'or noir!",
            "D'or 1st",
            "O'Brien --",
            "is null and void",
            "in (about) an hour",
            "count(votes)",
            "x = 1 and y = 2",
            "src/**/test/*.rs",
            "see you in (",
            "'a'='b'",
            "and then there were none",
            "or 5 people",
            "set @bob as assignee",
            "drop me a line",
            "it's mine' or yours",
            "time out (",
            "std::io::Read",
            "price != 5",
            "not in use",
            "like, totally",
            "create a function that works",
        ] {
            assert!(!is_piece(value), "{value}");
        }
    }
}
