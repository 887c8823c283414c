//! The name of a program as a shell would find it, behind what only hides it from filters.
//!
//! In: a value in lower case and the place where a command may begin. Out: the name, or whether it is a spelling that nothing
//! but an attack has.

use super::{PROGRAMS, WORDS};
use crate::analysis::signature::{
    needles,
    text::{at, from, is_word},
};

/// The place behind variables that stand before a program, as nothing: `;$x cat`.
pub(super) fn behind_variables(lower: &[u8], start: usize) -> usize {
    let mut place = start;
    for _ in 0..3 {
        let name = from(lower, place + 1)
            .iter()
            .take_while(|byte| is_word(**byte))
            .count();
        let end = place + 1 + name;
        if at(lower, place) != b'$' || name == 0 || !at(lower, end).is_ascii_whitespace() {
            break;
        }
        place = end + 1;
    }
    place
}

/// The name of the program that begins here, without its directory and what hides it, and where it ends.
pub(super) fn program(lower: &[u8], start: usize) -> (Vec<u8>, usize) {
    let mut word = Vec::new();
    let mut place = start;
    while place < lower.len() && word.len() < 32 {
        match at(lower, place) {
            b'/' => word.clear(),
            byte @ (b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-') => word.push(byte),
            // Shells drop these inside a word.
            b'\'' | b'"' | b'\\' | b'^' if place > start || at(lower, place) != b'^' => {
                if word.is_empty() && place > start + 1 {
                    break;
                }
                // A quote that ends the value ends the word, too.
                if !at(lower, place + 1).is_ascii_alphanumeric()
                    && !matches!(at(lower, place + 1), b'\'' | b'"' | b'\\' | b'/')
                {
                    break;
                }
            }
            b'$' if matches!(at(lower, place + 1), b'@' | b'*' | b'!') => place += 1,
            _ => break,
        }
        place += 1;
    }
    (word, place)
}

/// Whether the word here spells a program in a way that only gets past filters: `c''at`, `c\at`, `/b?n/c*t`.
pub(super) fn hidden(lower: &[u8], start: usize) -> bool {
    let length = from(lower, start)
        .iter()
        .take(64)
        .take_while(|byte| {
            !byte.is_ascii_whitespace()
                && !matches!(byte, b';' | b'|' | b'&' | b')' | b'`' | b'<' | b'>' | b'=')
        })
        .count();
    let word = from(lower, start).get(..length).unwrap_or_default();
    let inner = word.get(1..).unwrap_or_default();
    let empties = memchr::memmem::find(inner, b"''").is_some()
        || memchr::memmem::find(inner, b"\"\"").is_some()
        || memchr::memmem::find(inner, b"$@").is_some()
        || memchr::memmem::find(inner, b"$*").is_some();
    let slashes = inner
        .windows(3)
        .any(|three| matches!(three, [a, b'\\', b] if a.is_ascii_lowercase() && b.is_ascii_lowercase()));
    let quotes = word
        .windows(3)
        .filter(|three| matches!(three, [b'\'' | b'"', b, b'\'' | b'"'] if b.is_ascii_lowercase()))
        .count()
        >= 1;
    if empties || slashes || quotes {
        let plain: Vec<u8> = word
            .iter()
            .copied()
            .filter(|byte| !matches!(byte, b'\'' | b'"' | b'\\' | b'$' | b'@' | b'*'))
            .collect();
        let name = plain.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        if name.len() >= 2 && (needles::is_one_of(&PROGRAMS, name) || needles::is_one_of(&WORDS, name)) {
            return true;
        }
    }
    // Globs in place of letters of a path.
    let globs = word
        .iter()
        .filter(|byte| matches!(byte, b'?' | b'*' | b'['))
        .count();
    word.starts_with(b"/")
        && globs >= 2
        && word.iter().filter(|byte| **byte == b'/').count() >= 2
        && !word.contains(&b'.')
        && !word.contains(&b'=')
        && word.len() <= 40
        && memchr::memmem::find(word, b"**").is_none()
}
