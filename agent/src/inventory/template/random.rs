//! Whether a string of letters and digits was made by a machine.
//!
//! In: letters, digits, `-` and `_`. Out: a yes or no by how often neighbours change between letter and digit, or
//! from small to capital, where words and camel case seldom do. Of independent characters 45 % do in base 62
//! (2·52·10/62² + 26²/62²), 40 % in base 36 and 47 % in hex.

/// Fewest changes, whatever the length.
const MIN_CHANGES: usize = 3;

/// A string looks random when more than one in this many characters is a change.
const CHARACTERS_PER_CHANGE: usize = 5;

/// Share of digits, in percent, from which changes alone decide: a term such as `P2s` inside camel case has fewer.
const MIN_DIGIT_PERCENT: usize = 10;

/// Share of upper-case letters, in percent, between which a string with fewer digits can be random: camel case
/// has fewer, constants have more.
const UPPER_PERCENT: std::ops::RangeInclusive<usize> = 35..=65;

/// Whether the text looks random.
pub(super) fn looks_random(text: &str) -> bool {
    let bytes = text.as_bytes();
    let changes = bytes
        .windows(2)
        .filter(|pair| matches!(pair, [left, right] if is_change(*left, *right)))
        .count();
    if changes < MIN_CHANGES || changes * CHARACTERS_PER_CHANGE <= bytes.len() {
        return false;
    }
    let percent = |kind: fn(&u8) -> bool| bytes.iter().filter(|b| kind(b)).count() * 100 / bytes.len().max(1);
    percent(u8::is_ascii_digit) >= MIN_DIGIT_PERCENT
        || UPPER_PERCENT.contains(&percent(u8::is_ascii_uppercase))
}

/// Letter beside digit, or a capital after a small letter. `Ab` starts a word and is none.
fn is_change(left: u8, right: u8) -> bool {
    (left.is_ascii_alphabetic() && right.is_ascii_digit())
        || (left.is_ascii_digit() && right.is_ascii_alphabetic())
        || (left.is_ascii_lowercase() && right.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_and_people() {
        for text in [
            "9sKxYz12ab",
            "V1StGXR8_Z5jdHi6B-myT",
            "kXhGsLqPwZtRbNmC",
            "a1b2c3",
        ] {
            assert!(looks_random(text), "{text}");
        }
        for text in [
            "",
            "oauth2",
            "HelloWorldAgainAndAgain",
            "CONSTANT_NAME_2",
            "report2024final",
            "a-b-c-d-e-f",
        ] {
            assert!(!looks_random(text), "{text}");
        }
    }
}
