//! Comments that split a keyword of SQL, or stand for the space behind it.
//!
//! In: a value in lower case. Out: what a comment hides. The tokeniser takes comments for white space: this is for values
//! that are no whole rule without them.

use super::{
    super::words::{Word, word},
    Found,
};
use crate::analysis::signature::text::{at, find, from};

/// Comments of one value that are looked at. Overflow policy: the first so many.
const MAX_COMMENTS: usize = 8;

/// `dr/**/op`, `drop/**/t`, `sleep/**/(`: a comment inside a keyword, or in place of the space behind it.
pub(in super::super) fn commented(lower: &[u8]) -> Option<Found> {
    let mut place = 0;
    for _ in 0..MAX_COMMENTS {
        let open = place + find(from(lower, place), b"/*")?;
        let end = open + 2 + memchr::memmem::find(from(lower, open + 2), b"*/")? + 2;
        if let Some(found) = comment(lower, open, end) {
            return Some(found);
        }
        place = end;
    }
    None
}

/// What a comment from `open` to `end` does there.
fn comment(lower: &[u8], open: usize, end: usize) -> Option<Found> {
    let letters = |byte: &&u8| byte.is_ascii_lowercase() || **byte == b'_';
    let before = lower.get(..open)?.iter().rev().take_while(letters).count();
    let behind = from(lower, end).iter().take_while(letters).count();
    let (left, right) = (lower.get(open - before..open)?, lower.get(end..end + behind)?);
    if before == 0 {
        return None;
    }
    let is_keyword = |text: &[u8]| {
        matches!(
            word(text),
            Word::Union | Word::Select | Word::Statement | Word::Where | Word::From | Word::Having
        )
    };
    if behind > 0 && is_keyword(&[left, right].concat()) {
        return Some((0.85, "a keyword of SQL is split by a comment"));
    }
    // In the pattern of a path there are slashes before it.
    let begins = open == before
        || matches!(
            at(lower, open - before - 1),
            b' ' | b'\'' | b'"' | b'(' | b')' | b';' | b'=' | b','
        );
    let is_called = at(lower, end) == b'(' && matches!(word(left), Word::Function | Word::Exploit);
    (begins && (is_called || behind > 0 && is_keyword(left)))
        .then_some((0.6, "a comment stands for a space of SQL"))
}
