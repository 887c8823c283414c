//! URLs and styles that run script when a browser follows or applies them.

use crate::analysis::signature::text::{Source, at, from, is_word};

/// A URL whose scheme runs script, at the front of a value or behind `=`, a quote or `url(`.
pub(super) fn active_url(lower: &[u8], source: Source) -> Option<&'static str> {
    const SCHEMES: [&[u8]; 4] = [b"javascript", b"vbscript", b"livescript", b"jscript"];
    let mut place = 0;
    // The colon is the rarest of its characters.
    while let Some(found) = memchr::memchr(b':', from(lower, place)) {
        let colon = place + found;
        place = colon + 1;
        let before = lower
            .get(colon.saturating_sub(MAX_SCHEME_BYTES)..colon)
            .unwrap_or_default();
        let mut hidden = false;
        let mut letters = [0_u8; 16];
        let mut count = 0;
        // Browsers skip white space and controls inside a scheme; filters are fooled by them.
        for byte in before.iter().rev() {
            if byte.is_ascii_alphabetic() {
                let Some(slot) = letters.iter_mut().rev().nth(count) else {
                    break;
                };
                *slot = *byte;
                count += 1;
            } else if matches!(byte, 0..=b' ' | 0x7f..=0xa0) {
                hidden |= matches!(byte, b'\t' | b'\n' | b'\r' | 0) && count > 0;
            } else {
                break;
            }
        }
        let word = from(&letters, letters.len() - count);
        let rest = from(lower, colon + 1);
        if SCHEMES.iter().any(|scheme| word.ends_with(scheme)) && (hidden || is_code(rest)) {
            return Some("a URL that is script");
        }
        let is_data = word.ends_with(b"data")
            && [
                &b"text/html"[..],
                b"image/svg",
                b"text/xml",
                b"application/xhtml",
                b"application/javascript",
                b"text/javascript",
                b"text/j",
                b"application/x-javascript",
            ]
            .iter()
            .any(|kind| rest.trim_ascii_start().starts_with(kind));
        if is_data && source != Source::Path && (!rest.starts_with(b"image/svg") || rest.contains(&b'<')) {
            return Some("a document inside a URL");
        }
    }
    None
}

/// Longest scheme, with what may be hidden in it.
const MAX_SCHEME_BYTES: usize = 48;

/// Whether what follows `javascript:` is code, not the rest of a heading.
fn is_code(rest: &[u8]) -> bool {
    let head = rest.get(..160).unwrap_or(rest);
    !head.starts_with(b" ")
        && head
            .iter()
            .any(|byte| matches!(byte, b'(' | b'`' | b'=' | b'/' | b'[' | b'%' | b'\\'))
        || head.iter().take(24).any(|byte| *byte == b'(')
        || head.trim_ascii_start().starts_with(b"\\")
}

/// Whether a style runs script: in old browsers, but attacks carry it still.
pub(super) fn style_runs(lower: &[u8]) -> bool {
    if memchr::memchr2(b':', b'(', lower).is_none() {
        return false;
    }
    let call = |name: &[u8]| {
        memchr::memmem::find_iter(lower, name).any(|place| {
            at(lower, place + name.len()) == b'('
                && !(place > 0 && is_word(at(lower, place - 1)))
                && lower
                    .get(..place)
                    .is_some_and(|before| before.iter().rev().take(8).any(|byte| *byte == b':'))
        })
    };
    memchr::memmem::find(lower, b"-moz-binding").is_some()
        || call(b"expression")
        || memchr::memmem::find(lower, b":url(javascript").is_some()
        || memchr::memmem::find(lower, b"behavior:url").is_some()
        || memchr::memmem::find(lower, b"behavior: url").is_some()
}
