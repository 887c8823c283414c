//! Sets of words that are searched for in one pass, built once.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, AhoCorasickKind, MatchKind};

/// A set of needles, in lower case. Of those that begin at one place the longest is found.
pub(super) type Needles = LazyLock<Option<AhoCorasick>>;

/// Builds a set; `None` only if it were larger than the automaton can be, which no table here is.
pub(super) fn build(needles: &[&str]) -> Option<AhoCorasick> {
    AhoCorasickBuilder::new()
        .match_kind(MatchKind::LeftmostLongest)
        .kind(Some(AhoCorasickKind::DFA))
        .build(needles)
        .ok()
}

/// The first needle: which, where it begins and ends.
pub(super) fn find(needles: &Needles, lower: &[u8]) -> Option<(usize, usize, usize)> {
    let found = needles.as_ref()?.find(lower)?;
    Some((found.pattern().as_usize(), found.start(), found.end()))
}

/// All needles that do not overlap, from the left: which, where each begins and ends.
pub(super) fn find_all<'a>(
    needles: &'a Needles,
    lower: &'a [u8],
) -> impl Iterator<Item = (usize, usize, usize)> + 'a {
    let found = needles.as_ref().map(|needles| needles.find_iter(lower));
    found
        .into_iter()
        .flatten()
        .map(|found| (found.pattern().as_usize(), found.start(), found.end()))
}

/// A set of whole words, sorted.
pub(super) type Words = LazyLock<Vec<&'static str>>;

/// Builds a set from words between spaces.
pub(super) fn words(list: &'static str) -> Vec<&'static str> {
    let mut words: Vec<_> = list.split_ascii_whitespace().collect();
    words.sort_unstable();
    words
}

/// Whether a set has this word.
pub(super) fn is_one_of(words: &Words, word: &[u8]) -> bool {
    words.binary_search_by(|known| known.as_bytes().cmp(word)).is_ok()
}
