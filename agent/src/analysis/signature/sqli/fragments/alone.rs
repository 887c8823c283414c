//! Pieces that are whole in themselves and say nothing in any other language: a row of an INSERT, a cast, a call of a
//! function of SQL on constants.
//!
//! In: the tokens of a short value. Out: weak evidence.

use std::sync::LazyLock;

use super::{Found, Reading, Token, WEAK, Word};
use crate::analysis::signature::needles::{Words, is_one_of, words};

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

impl Reading<'_, '_> {
    /// Shapes that are whole in themselves and say nothing in any other language.
    pub(super) fn stands_alone(&self) -> Option<Found> {
        let last = self.tokens.len().checked_sub(1)?;
        let count = self.tokens.len();
        // `>set @x`
        let start = usize::from(matches!(
            self.at(0),
            Token::Compare | Token::Close | Token::Semicolon
        ));
        if matches!(self.at(start), Token::Word(Word::Statement, b"declare" | b"set"))
            && self.at(start + 1) == Token::Variable
            && matches!(self.at(start + 2), Token::End | Token::Compare | Token::Semicolon)
        {
            return Some((WEAK, "a variable of SQL"));
        }
        // `values (1, 'x')`
        if matches!(self.at(0), Token::Word(_, b"values")) && self.are_constants(1) {
            return Some((WEAK, "a row of an INSERT"));
        }
        // `div(23, -2)`, `version()`
        if is_function(self.at(0)) && self.at(1) == Token::Open {
            let is_empty = count == 3 && self.at(2) == Token::Close;
            if is_empty || self.tokens.contains(&Token::Comma) && self.are_constants(1) {
                return Some((WEAK, "a function of SQL is called on constants"));
            }
        }
        // `1 union all`
        let unites = count <= 4
            && matches!(self.at(0), Token::Number(_))
            && matches!(self.at(1), Token::Word(Word::Union, b"union"))
            && matches!(self.at(last), Token::Word(Word::Select | Word::Quantity, _))
            || count == 2
                && matches!(self.at(0), Token::Word(Word::Union, b"union"))
                && matches!(self.at(1), Token::Word(Word::Select, _));
        // `declare @x int`, `exec sp_x`, `between 1 and 2`, `like '%'`, `1=1`, `'a'||'b'`
        let states = match (self.at(0), self.at(1)) {
            (Token::Word(Word::Statement, b"declare"), Token::Variable) => {
                matches!(self.at(2), Token::Word(..))
            }
            (Token::Word(Word::Statement, b"exec" | b"execute"), Token::Open) => {
                matches!(self.at(2), Token::Text { .. })
            }
            // `select version()`, `select null`
            (
                Token::Word(Word::Select, _),
                Token::Number(_) | Token::Text { .. } | Token::Word(Word::Constant, _),
            ) => count == 2,
            (Token::Word(Word::Select, _), function) if is_function(function) => {
                self.at(2) == Token::Open && self.at(last) == Token::Close && count <= 8
            }
            // `drop table if exists x`, `truncate table x;`
            (
                Token::Word(Word::Statement, b"drop" | b"truncate" | b"alter" | b"create"),
                Token::Word(Word::Object, _),
            ) => {
                matches!(self.at(2), Token::Word(Word::Function, b"if"))
                    && matches!(
                        self.at(3),
                        Token::Word(Word::Not, _) | Token::Word(Word::Function, b"exists")
                    )
                    || matches!(self.at(2), Token::Word(..)) && self.at(last) == Token::Semicolon
            }
            (Token::Word(Word::Statement, b"exec" | b"execute"), Token::Word(_, name)) => {
                name.starts_with(b"sp_") || name.starts_with(b"xp_")
            }
            (Token::Word(Word::Compare, b"between"), Token::Number(_)) => {
                count == 4
                    && matches!(self.at(2), Token::Word(Word::Logic, b"and"))
                    && matches!(self.at(3), Token::Number(_))
            }
            (
                Token::Word(Word::Compare, b"like" | b"rlike" | b"ilike" | b"regexp" | b"glob"),
                Token::Text { closed: true, .. },
            ) => count == 2,
            (Token::Number(left), Token::Compare) => count == 3 && self.at(2) == Token::Number(left),
            (Token::Text { closed: true, .. }, Token::Double(b'|')) => {
                count == 3 && matches!(self.at(2), Token::Text { closed: true, .. })
            }
            (Token::Number(_), Token::Word(Word::Logic, b"or" | b"and")) => {
                count == 3 && matches!(self.at(2), Token::Word(Word::Constant, b"true" | b"false"))
            }
            (Token::Number(_), Token::Word(Word::Logic, b"xor" | b"div")) => {
                count == 3 && matches!(self.at(2), Token::Number(_))
            }
            (Token::Number(_), Token::Word(Word::Compare, b"is")) => {
                count == 3 && matches!(self.at(2), Token::Word(Word::Constant, _))
            }
            (Token::Number(_), Token::Word(Word::Limit, _)) => self.are_numbers(2) >= 2,
            (Token::Word(Word::Limit, b"limit"), Token::Number(_)) => self.are_numbers(1) >= 2,
            (Token::Word(Word::Ordering, _), Token::Word(Word::By, _)) => self.are_numbers(2) >= 1,
            (Token::Word(Word::Function, b"cast" | b"convert"), Token::Open) => {
                self.at(last) == Token::Close
                    && matches!(self.at(last - 2), Token::Word(Word::Name, b"as") | Token::Comma)
            }
            (first, _) => {
                // `x;--`
                let hides = matches!(self.at(last), Token::LineComment(rest) if rest.trim_ascii().is_empty());
                let is_value = matches!(
                    first,
                    Token::Number(_) | Token::Word(Word::Name, _) | Token::Semicolon
                );
                hides && is_value && (2..=3).contains(&count) && self.at(last - 1) == Token::Semicolon
            }
        };
        if unites || states {
            return Some((WEAK, "a piece of a statement"));
        }
        // `= (select`
        if matches!(self.at(last), Token::Word(Word::Select, _))
            && count >= 3
            && self.at(last - 1) == Token::Open
            && matches!(
                self.at(last - 2),
                Token::Compare
                    | Token::Operator(_)
                    | Token::Double(_)
                    | Token::Word(Word::Logic | Word::Compare, _)
            )
        {
            return Some((WEAK, "a SELECT inside an expression is left open"));
        }
        // `password::int`
        let casts = count == 3
            && matches!(
                self.at(0),
                Token::Word(Word::Name | Word::Object, _) | Token::Number(_) | Token::Text { .. }
            )
            && self.at(1) == Token::Operator(b':')
            && matches!(
                self.at(2),
                Token::Word(
                    _,
                    b"int"
                        | b"int4"
                        | b"int8"
                        | b"integer"
                        | b"bigint"
                        | b"numeric"
                        | b"varchar"
                        | b"bytea"
                        | b"regclass"
                )
            );
        if casts {
            return Some((WEAK, "a cast of PostgreSQL"));
        }
        // `'1' not regexp '2'`
        let operator = 1 + usize::from(matches!(self.at(1), Token::Word(Word::Not, _)));
        let compares = matches!(self.at(0), Token::Text { closed: true, .. })
            && matches!(
                self.at(operator),
                Token::Word(
                    Word::Compare,
                    b"regexp" | b"rlike" | b"like" | b"ilike" | b"glob" | b"similar" | b"sounds"
                )
            )
            && matches!(self.at(last), Token::Text { .. })
            && last <= operator + 2;
        compares.then_some((WEAK, "constants are compared"))
    }

    /// How many numbers, with commas between them, stand here; none if there is something else behind them.
    fn are_numbers(&self, place: usize) -> usize {
        let rest = self.tokens.get(place..).unwrap_or_default();
        let fits = rest.iter().enumerate().all(|(at, token)| match at % 2 {
            0 => matches!(token, Token::Number(_)),
            _ => *token == Token::Comma,
        });
        if fits { rest.len().div_ceil(2) } else { 0 }
    }

    /// Whether numbers and strings between parentheses stand here, and nothing behind them.
    fn are_constants(&self, open: usize) -> bool {
        let last = self.tokens.len().saturating_sub(1);
        let inside = self.tokens.get(open + 1..last).unwrap_or_default();
        let is_constant = |token: &Token<'_>| {
            is_function(*token)
                || matches!(
                    token,
                    Token::Open
                        | Token::Close
                        | Token::Number(_)
                        | Token::Text { closed: true, .. }
                        | Token::Comma
                        | Token::Operator(b'-' | b'+')
                )
        };
        self.at(open) == Token::Open
            && self.at(last) == Token::Close
            && !inside.is_empty()
            && inside.iter().all(is_constant)
    }
}

/// A word that is called in SQL.
fn is_function(token: Token<'_>) -> bool {
    let Token::Word(kind, name) = token else {
        return false;
    };
    matches!(kind, Word::Function | Word::Exploit) || name == b"div" || is_function_name(name)
}

/// Whether a word is the name of a function of SQL dialects.
pub(super) fn is_function_name(name: &[u8]) -> bool {
    is_one_of(&FUNCTIONS, name)
}
