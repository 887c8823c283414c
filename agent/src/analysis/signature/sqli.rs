//! SQL in a value: tokens first, then the few shapes by which a value leaves the place it was put into.
//!
//! A value is read three ways, as an injection would be: as it stands (in the place of a number), as the inside of a
//! string in `'`, and of one in `"`. What is looked for is grammar, not words: a string that ends early and goes on as
//! SQL, a condition that is always true, a second statement, a union, a function that only attackers need. A whole
//! statement or a filter expression that is balanced in itself is none of these. Source of the idea: libinjection
//! (Galbreath, 2012), which compares sequences of tokens to a list; here they are rules.

mod fragments;
mod operand;
mod rules;
mod tokens;
mod words;

use super::{
    Hit,
    class::Class,
    hints::Hints,
    scan::Bits,
    text::{Shape, Source, Text, prose_words},
};
use rules::Reading;
use tokens::{MAX_TOKENS, tokenise};

/// SQL in this value.
pub(super) fn detect(text: &Text<'_>) -> Option<Hit> {
    let kinds = Bits::QUOTE
        .or(Bits::PAREN)
        .or(Bits::EQUAL)
        .or(Bits::SPACE)
        .or(Bits::CONTROL)
        .or(Bits::HASH)
        .or(Bits::SHELL)
        .or(Bits::ANGLE);
    let casts = text.bits.any(Bits::COLON) && text.has("::");
    if text.is_content() || !text.bits.any(kinds) && !casts {
        return None;
    }
    if !text.hints.any(Hints::SQL) {
        return fragments::may_be(text).then(|| fragment(text)).flatten();
    }
    let bytes = text.lower.get(..MAX_BYTES).unwrap_or(text.lower);
    let is_prose = text.shape == Shape::Prose && prose_words(bytes, 8) >= 6;
    let mut readings = vec![None];
    for quote in [b'\'', b'"'] {
        if memchr::memchr(quote, bytes).is_some() {
            readings.push(Some(quote));
        }
    }
    let mut best: Option<(f32, &'static str)> = None;
    for quote in readings {
        let tokens = tokenise(bytes, quote, MAX_TOKENS);
        let reading = Reading {
            tokens: &tokens,
            breaks_out: quote.is_some(),
            is_prose,
        };
        if let Some(found) = reading.judge()
            && best.is_none_or(|(confidence, _)| found.0 > confidence)
        {
            best = Some(found);
        }
    }
    match best {
        Some((confidence, why)) => Some(Hit::new(Class::Sqli, confidence, why)),
        None => fragment(text),
    }
}

/// A piece of SQL that leaves nothing.
fn fragment(text: &Text<'_>) -> Option<Hit> {
    let can_be = text.shape == Shape::Short && !text.in_document || text.source == Source::Name;
    let (confidence, why) = if can_be {
        fragments::find(text)?
    } else {
        // Between the words of a sentence nobody writes a comment.
        fragments::commented(text.lower.get(..MAX_BYTES).unwrap_or(text.lower))
            .filter(|_| !text.in_document)?
    };
    Some(Hit::new(Class::Sqli, confidence, why))
}

/// Bytes of a value that are read. Overflow policy: what is behind is not.
const MAX_BYTES: usize = 2_048;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::signature::text::Source;

    fn is_sqli(value: &str) -> bool {
        let lower = value.to_ascii_lowercase();
        detect(&Text::new(value.as_bytes(), lower.as_bytes(), Source::Query)).is_some()
    }

    #[test]
    fn what_breaks_out_of_a_string_is_found() {
        for value in [
            "1' or '1'='1",
            "x\") or (\"a\"=\"a",
            "admin'--",
            "admin' #",
            "-7' union select 1,2,3-- -",
            "') union all select null,null#",
            "'; drop table users--",
            "1'; waitfor delay '0:0:5'--",
            "' and 1=(select count(*) from tabname); --",
            "'||(select password from users limit 1)||'",
            "a' and ascii(substring(user(),1,1))>64 and 'x'='x",
            "' or 1=1 limit 1 offset 3 -- ",
            "1%' and 3202=like('abcdefg',upper(hex(randomblob(500000000/2)))) and '%'='",
            "'=0--+",
            "' or ''='",
            "x' and email is null; --",
            "1' procedure analyse(extractvalue(1,concat(0x3a,version())),1)-- ",
            "a'; --",
            "'));--",
            "'+(select user)+'",
            "1');if(8=6) select 8 else drop function x--",
            "x' or name like secret escape 'x';",
        ] {
            assert!(is_sqli(value), "{value}");
        }
    }

    #[test]
    fn what_takes_the_place_of_a_number_is_found() {
        for value in [
            "1 or 1=1",
            "1 union select user from password",
            "1) and (select 1 from (select sleep(5))a",
            "7; delete from orders",
            "1 and 5=5",
            "-1 union all select 1,@@version,3",
            "1 order by 10--",
            "if(now()=sysdate(),sleep(12),0)",
            "1/**/union/**/select/**/1,2",
            "1/*!50000union*/ select 1",
            "(select 1 from dual)",
            "1 and benchmark(5000000,md5(1))",
            "or pg_sleep(5)#",
            "1e0union select 1",
            "1.union select 2",
            "-1) or (8=4)*4",
            "in ( select some_id from things where id is not null )",
        ] {
            assert!(is_sqli(value), "{value}");
        }
    }

    #[test]
    fn prose_filters_and_whole_statements_are_not() {
        for value in [
            "having friends over",
            "select specialty hospital",
            "O'Brien",
            "Conan O'Brien and Bill O'Reilly",
            "rock 'n' roll or jazz",
            "D'or 1st parfume",
            "union select committee of the house",
            "the student union select their officers from the members",
            "order by phone or online",
            "please select one from the list",
            "drop table reservations by friday",
            "it's either this or that = fine",
            "'quoted' and 'also quoted'",
            "x = 1 and y = 2",
            "status = 'open' and type = 'bug'",
            "project = FOO AND assignee in (bob, eve) ORDER BY created DESC",
            "profile.lastName eq \"Smith\" and status eq \"ACTIVE\"",
            "price gt 5 and (startswith(name,'a') or endswith(name,'b'))",
            "name eq 'O''Brien' and age gt 5",
            "SELECT id, name FROM users WHERE id = 7",
            "where is the union?",
            "like, totally",
            "c# developer -- remote",
            "1 + 1 = 2",
            "a=b&c=d",
            "5 or 6 people",
            "group by theme; order by date",
            "(select one)",
            "Fish & Chips (large) -- no salt",
            "is null and void",
            "and then there were none",
            "3:00 PM - 5:00 PM -- room 12",
            "he said 'no' -- and left",
            "insert coin; select game",
            "{id} = 'x'",
        ] {
            assert!(!is_sqli(value), "{value}");
        }
    }
}
