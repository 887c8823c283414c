//! Whether a path segment reads like the name of a route or like a value.
//!
//! In: a segment. Out: its *wordness*, from 0 (a value) to 1 (made of words that routes are made of), and whether it
//! names a collection. A prior only: [`super::trie`] weighs it against what was observed. The vocabulary is what
//! public APIs name resources and actions with, together with what is derived from it and compounds of it; words of
//! other languages and product names are not in it, so unknown words in the spelling of routes count as half of one.

use std::{collections::HashSet, sync::LazyLock};

use super::segment::{SegmentType, classify};

static VOCABULARY: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| include_str!("vocabulary.txt").split_whitespace().collect());

/// Wordness above which a segment is taken for the name of a route.
pub(super) const ROUTE: f32 = 0.7;

/// What a word made of several counts for: people write names together, too.
const COMPOUND: f32 = 0.85;

/// From 0 (a value) to 1 (the name of a route).
pub(super) fn wordness(segment: &str) -> f32 {
    match classify(segment) {
        // A version may also be a tag or a release.
        SegmentType::StrongLiteral if segment.starts_with(['v', 'V']) => {
            return if segment.contains('.') { 0.6 } else { 0.75 };
        }
        SegmentType::StrongLiteral => return 1.0,
        SegmentType::Literal | SegmentType::Locale | SegmentType::FileName => {}
        _ => return 0.0,
    }
    let (mut letters, mut known) = (0_usize, 0.0);
    let words = words(segment);
    for word in &words {
        letters += word.len();
        known += word.len() as f32 * known_share(word);
    }
    if letters == 0 {
        return 0.0;
    }
    let mut share = (known / letters as f32).max(spelling(segment));
    if segment.contains('%') || segment.get(1..).is_some_and(|rest| rest.contains('@')) {
        share *= 0.3;
    }
    if segment.bytes().any(|b| b.is_ascii_digit()) {
        share *= 0.4;
    }
    if segment.contains('.') {
        share *= 0.6;
    }
    if segment.starts_with(|c: char| c.is_ascii_uppercase()) {
        // `GetUsers` is how some name their routes; `Python`, `Hello-World` and `API_TOKEN` are names.
        let is_camel = words.len() > 1 && segment.bytes().all(|b| b.is_ascii_alphanumeric());
        share *= if is_camel { 0.85 } else { 0.6 };
    }
    share
}

/// Names that stand for one thing or for all of them wherever values are expected. Sorted.
const RESERVED: &[&str] = &[
    "@me",
    "all",
    "batch",
    "bulk",
    "count",
    "current",
    "latest",
    "lookup",
    "me",
    "mine",
    "my",
    "myself",
    "new",
    "owned",
    "query",
    "search",
    "self",
    "~defaults",
    "~me",
];

/// Whether a name is a route wherever it stands.
pub(super) fn is_reserved(segment: &str) -> bool {
    RESERVED.binary_search(&segment).is_ok()
}

/// Whether the last word of a segment is a plural: values follow it.
pub(super) fn is_collection(segment: &str) -> bool {
    words(segment).last().is_some_and(|word| {
        word.len() > 2 && word.ends_with('s') && !["ss", "us", "is"].iter().any(|end| word.ends_with(end))
    })
}

/// How much an unknown segment is spelled as routes are: small letters and dashes, or camel case.
fn spelling(segment: &str) -> f32 {
    let letters = |text: &str| text.bytes().all(|b| b.is_ascii_alphabetic());
    let lower = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase());
    if segment.split(['-', '_']).all(lower) {
        0.35
    } else if letters(segment)
        && segment.starts_with(|c: char| c.is_ascii_lowercase())
        && !segment
            .as_bytes()
            .windows(2)
            .any(|pair| pair.iter().all(u8::is_ascii_uppercase))
        && !segment.ends_with(|c: char| c.is_ascii_uppercase())
    {
        0.5
    } else {
        0.0
    }
}

/// Part of a word's letters that are known: all of it, most of it for a compound, or none.
fn known_share(word: &str) -> f32 {
    if is_known(word) {
        1.0
    } else if is_compound(word) {
        COMPOUND
    } else {
        0.0
    }
}

fn is_known(word: &str) -> bool {
    word.len() == 1 || is_listed(word) || is_derived(word)
}

/// In the vocabulary, as it stands or in its other number.
fn is_listed(word: &str) -> bool {
    let singular = |end: &str, instead: &str| {
        word.strip_suffix(end)
            .is_some_and(|stem| VOCABULARY.contains(format!("{stem}{instead}").as_str()))
    };
    VOCABULARY.contains(word)
        || singular("s", "")
        || singular("es", "")
        || singular("ies", "y")
        || VOCABULARY.contains(format!("{word}s").as_str())
}

/// Made from a listed word: `published`, `scheduling`, `executions`, `searchable`.
fn is_derived(word: &str) -> bool {
    let word = word.strip_suffix('s').unwrap_or(word);
    let endings = [
        "ing", "ed", "er", "or", "ion", "ation", "ment", "able", "ly", "ness", "al", "ity",
    ];
    endings.iter().any(|ending| {
        let Some(stem) = word.strip_suffix(ending).filter(|stem| stem.len() >= 4) else {
            return false;
        };
        let undoubled = stem.get(..stem.len() - 1).unwrap_or_default();
        VOCABULARY.contains(stem)
            || VOCABULARY.contains(format!("{stem}e").as_str())
            || (stem.ends_with(['g', 'l', 'm', 'n', 'p', 'r', 't', 'd']) && VOCABULARY.contains(undoubled))
    })
}

/// Longest word that is taken apart, in bytes. Overflow policy: it is unknown.
const MAX_COMPOUND_BYTES: usize = 40;

/// Longest part of a compound, in bytes.
const MAX_PART_BYTES: usize = 16;

/// Words of two letters that join others.
const JOINTS: &[&str] = &[
    "of", "to", "by", "as", "in", "on", "is", "at", "or", "id", "ip", "up",
];

/// Listed words written together: `attributetemplates`, `createlabelfororder`.
fn is_compound(word: &str) -> bool {
    if !(6..=MAX_COMPOUND_BYTES).contains(&word.len()) {
        return false;
    }
    // Ends of prefixes that are made of parts; bit n is the prefix of n bytes.
    let mut reached = 1_u64;
    for start in 0..word.len() {
        if reached >> start & 1 == 0 {
            continue;
        }
        let longest = MAX_PART_BYTES.min(word.len() - start);
        for length in 2..=longest {
            // A part that ends inside a character is no part.
            let part = word.get(start..start + length).unwrap_or_default();
            let is_part = match length {
                2 => JOINTS.contains(&part),
                3 => VOCABULARY.contains(part),
                _ => is_listed(part),
            };
            if is_part {
                reached |= 1 << (start + length);
            }
        }
    }
    reached >> word.len() & 1 == 1
}

/// The words of a segment in lower case: runs of letters, split at humps of camel case.
pub(in crate::inventory) fn words(segment: &str) -> Vec<String> {
    let bytes = segment.as_bytes();
    let mut words: Vec<String> = Vec::new();
    let mut open = false;
    for (at, byte) in bytes.iter().enumerate() {
        if !byte.is_ascii_alphabetic() {
            open = false;
            continue;
        }
        let before = at.checked_sub(1).and_then(|at| bytes.get(at));
        let after = bytes.get(at + 1);
        let is_hump = byte.is_ascii_uppercase()
            && (before.is_some_and(u8::is_ascii_lowercase)
                || (before.is_some_and(u8::is_ascii_uppercase) && after.is_some_and(u8::is_ascii_lowercase)));
        let letter = char::from(byte.to_ascii_lowercase());
        match words.last_mut().filter(|_| open && !is_hump) {
            Some(word) => word.push(letter),
            None => words.push(letter.into()),
        }
        open = true;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_and_values() {
        for route in [
            "users",
            "search",
            "public-key",
            "trustedOrigins",
            "check_runs",
            "oauth2",
            "me",
        ] {
            assert!(wordness(route) > 0.5, "{route} {}", wordness(route));
        }
        for value in ["ann42", "Rubinius", "rubinius.rb", "kjell%20b", "42", "_"] {
            assert!(wordness(value) < 0.35, "{value} {}", wordness(value));
        }
        for either in ["vilkaar", "rjor-alle"] {
            assert!((0.3..=ROUTE).contains(&wordness(either)), "{either}");
        }
    }

    #[test]
    fn reserved_names_are_sorted_for_the_search() {
        assert!(RESERVED.is_sorted());
        assert!(is_reserved("me") && !is_reserved("mel"));
    }

    #[test]
    fn plurals_are_collections() {
        for plural in ["users", "line-items", "LineItems", "categories"] {
            assert!(is_collection(plural), "{plural}");
        }
        for other in ["user", "status", "analysis", "access", "s", "42"] {
            assert!(!is_collection(other), "{other}");
        }
    }

    #[test]
    fn compounds_and_derivations_are_known() {
        for route in [
            "attributetemplates",
            "createlabelfororder",
            "eventcategories",
            "scheduling",
            "published",
        ] {
            assert!(wordness(route) > ROUTE, "{route} {}", wordness(route));
        }
        for either in ["falcon", "carla", "behandlinger", "spez", "ing"] {
            assert!(wordness(either) <= ROUTE, "{either}");
        }
    }

    #[test]
    fn segments_are_split_into_words() {
        assert_eq!(
            words("trustedOrigins-v2_XMLImport"),
            ["trusted", "origins", "v", "xml", "import"]
        );
        assert!(words("42").is_empty());
    }
}
