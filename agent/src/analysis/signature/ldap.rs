//! Filters of directory services and XPath expressions that a value leaves early.
//!
//! A whole filter, balanced in itself (RFC 4515), is a filter and no injection.

use super::{
    Hit,
    class::Class,
    hints::Hints,
    scan::Bits,
    text::{Text, at, find, from, prose_words, skip_while},
};

/// A filter or expression that the value closes and goes on with.
pub(super) fn detect(text: &Text<'_>) -> Option<Hit> {
    if text.is_content() || !text.bits.any(Bits::PAREN.or(Bits::SQUARE)) {
        return None;
    }
    let lower = text.lower;
    if text.bits.any(Bits::PAREN) && leaves_filter(lower) {
        return Some(Hit::new(
            Class::LdapInjection,
            0.85,
            "a filter of a directory ends and another begins",
        ));
    }
    (text.hints.any(Hints::XPATH) && leaves_xpath(lower)).then(|| {
        Hit::new(
            Class::XpathInjection,
            0.8,
            "an XPath expression ends and another begins",
        )
    })
}

/// `*)(uid=*`, `x)(|(cn=*`, `*))%00`.
fn leaves_filter(lower: &[u8]) -> bool {
    if lower.trim_ascii_start().starts_with(b"(") && is_balanced(lower) {
        return false;
    }
    let mut place = 0;
    while let Some(found) = memchr::memchr(b')', from(lower, place)) {
        let start = place + found;
        place = start + 1;
        let rest = skip_while(from(lower, start), |byte| matches!(byte, b')' | b' '));
        let Some(rest) = rest.strip_prefix(b"(") else {
            let ends = matches!(at(rest, 0), 0)
                && start > 0
                && at(lower, start - 1) == b'*'
                && !lower.contains(&b'(');
            if ends && !rest.is_empty() {
                return true;
            }
            continue;
        };
        let rest = skip_while(rest, |byte| matches!(byte, b'&' | b'|' | b'!' | b'(' | b' '));
        let name = rest
            .iter()
            .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(**byte, b'-' | b'.' | b';' | b':'))
            .count();
        let compares = matches!(from(rest, name), [b'=', ..] | [b'~' | b'>' | b'<', b'=', ..]);
        if name > 0 && compares && at(rest, name + 1) != b'=' {
            return true;
        }
    }
    false
}

fn is_balanced(lower: &[u8]) -> bool {
    let mut depth = 0_i32;
    for byte in lower {
        match byte {
            b'(' => depth += 1,
            b')' => depth -= 1,
            _ => {}
        }
        if depth < 0 {
            return false;
        }
    }
    depth == 0
}

fn leaves_xpath(lower: &[u8]) -> bool {
    let has = |needle: &[u8]| find(lower, needle).is_some();
    if prose_words(lower, 4) >= 4 {
        return false;
    }
    let union = [&b"]|//"[..], b"] | //", b"]|/", b"')]|", b"\"]|", b"'] | "]
        .iter()
        .any(|needle| has(needle));
    let function = [
        &b"name()="[..],
        b"text()=",
        b"position()=",
        b"count(/",
        b"string-length(//",
        b"substring(//",
        b"/text()",
        b"child::",
        b"ancestor::",
        b"following-sibling::",
    ]
    .iter()
    .any(|needle| has(needle));
    union || function && (has(b"'") || has(b"\"") || has(b" or ") || has(b" and "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::signature::text::Source;

    #[test]
    fn what_leaves_a_filter_is_found_and_filters_are_not() {
        let class = |value: &str| {
            let lower = value.to_ascii_lowercase();
            detect(&Text::new(value.as_bytes(), lower.as_bytes(), Source::Query)).map(|hit| hit.class)
        };
        for value in [
            "*)(uid=*))(|(uid=*",
            "x)(|(password=*))",
            "admin)(&)(cn=a",
            "*)(objectClass=*",
        ] {
            assert_eq!(class(value), Some(Class::LdapInjection), "{value}");
        }
        for value in [
            "' or count(/*)=1 or 'a'='b",
            "x']|//user/*|//*['",
            "' or name()='username' or 'x'='y",
        ] {
            assert_eq!(class(value), Some(Class::XpathInjection), "{value}");
        }
        for value in [
            "(&(objectClass=user)(cn=ada))",
            "f(x)(y)",
            "call (me) (maybe)",
            "(a) (b)=c",
            "[link](https://example.test/a=b)",
            "[x](y)(z == 1)",
            "if (a) (b == c)",
        ] {
            assert_eq!(class(value), None, "{value}");
        }
    }
}
