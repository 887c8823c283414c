//! Operators and script of document databases, where a value was expected.

use super::{
    Hit,
    class::Class,
    hints::Hints,
    scan::Bits,
    text::{Source, Text, at, find, from},
};

/// Operators that turn an equality into another question. Those of ordinary filters (`$in`, `$and`) are left out.
const OPERATORS: [&[u8]; 14] = [
    b"ne",
    b"gt",
    b"gte",
    b"lt",
    b"lte",
    b"regex",
    b"where",
    b"exists",
    b"nin",
    b"not",
    b"nor",
    b"function",
    b"expr",
    b"accumulator",
];

/// An operator in a name, or in a value that would be parsed again.
pub(super) fn detect(text: &Text<'_>) -> Option<Hit> {
    let hit = |confidence, why| Some(Hit::new(Class::NosqlInjection, confidence, why));
    if text.is_content() {
        return None;
    }
    let lower = text.lower;
    if text.bits.any(Bits::BRACE) {
        let mut place = 0;
        while let Some(found) = memchr::memchr(b'$', from(lower, place)) {
            let start = place + found;
            place = start + 1;
            if operator(lower, start, text.source) {
                return hit(0.8, "an operator of a document database");
            }
        }
    }
    if !text.bits.any(Bits::PAREN.or(Bits::SHELL).or(Bits::EQUAL)) {
        return None;
    }
    if text.hints.any(Hints::NOSQL) && script(lower) {
        return hit(0.8, "script for a document database");
    }
    None
}

/// Whether the `$` here begins an operator in its place: a whole name, `name[$op]`, `{$op:`.
fn operator(lower: &[u8], dollar: usize, source: Source) -> bool {
    let rest = from(lower, dollar + 1);
    let length = rest.iter().take_while(|byte| byte.is_ascii_lowercase()).count();
    if !OPERATORS.contains(&rest.get(..length).unwrap_or_default()) {
        return false;
    }
    let before = dollar.checked_sub(1).map_or(0, |place| at(lower, place));
    let after = at(rest, length);
    if source == Source::Name && before == 0 && after == 0 {
        return true;
    }
    if before == b'[' && after == b']' {
        return true;
    }
    let before = lower
        .get(..dollar)
        .unwrap_or_default()
        .trim_ascii_end()
        .last()
        .copied()
        .unwrap_or_default();
    let quoted = matches!(before, b'"' | b'\'');
    let opens = matches!(before, b'{' | b',') || quoted;
    let closing = if quoted {
        from(rest, length + usize::from(matches!(after, b'"' | b'\'')))
    } else {
        from(rest, length)
    };
    opens && closing.trim_ascii_start().starts_with(b":")
}

/// Statements that end a condition in JavaScript and go on.
fn script(lower: &[u8]) -> bool {
    let has = |needle: &[u8]| find(lower, needle).is_some();
    let statement = [
        &b";var "[..],
        b"; var ",
        b";return",
        b"; return",
        b";while(",
        b"; while(",
        b"';while",
        b";do{",
        b"};throw",
        b"';sleep(",
    ]
    .iter()
    .any(|needle| has(needle));
    if statement && (has(b"(") || has(b"true") || has(b"'")) && lower.len() <= 256 {
        return true;
    }
    let member = (has(b"this.") || has(b"obj."))
        && (has(b"==") || has(b".match("))
        && (has(b"'") || has(b"||") || has(b"&&"))
        && lower.len() <= 256;
    let shell = has(b"db.")
        && [
            &b".find("[..],
            b".insert(",
            b".drop(",
            b".remove(",
            b".update(",
            b"getcollectionnames(",
            b".aggregate(",
        ]
        .iter()
        .any(|needle| has(needle));
    member || shell && lower.len() <= 256
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_nosql(value: &str, source: Source) -> bool {
        let lower = value.to_ascii_lowercase();
        detect(&Text::new(value.as_bytes(), lower.as_bytes(), source)).is_some()
    }

    #[test]
    fn operators_in_their_places_are_found() {
        assert!(is_nosql("$ne", Source::Name));
        assert!(is_nosql("user[$gt]", Source::Name));
        for value in [
            "{$gt: ''}",
            "true, $where: '1 == 1'",
            "{\"password\": {\"$regex\": \"^a\"}}",
            "'; return true; var x='",
            "0;var d=new Date();do{c=new Date();}while(c-d<10000)",
            "' || this.password.match(/.*/)//",
        ] {
            assert!(is_nosql(value, Source::Body), "{value}");
        }
    }

    #[test]
    fn other_dollars_are_not() {
        assert!(!is_nosql("$filter", Source::Name));
        assert!(!is_nosql("$schema", Source::Name));
        for value in [
            "$5",
            "costs $gt",
            "$ref: x",
            "${not}",
            "US$ne",
            "{$name: x}",
            "a; return to sender",
        ] {
            assert!(!is_nosql(value, Source::Body), "{value}");
        }
    }
}
