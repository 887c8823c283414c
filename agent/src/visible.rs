//! Text from the network, made harmless to look at.

use std::borrow::Cow;

/// The text with characters escaped that would move the cursor, colour the terminal or turn the direction of
/// writing.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    // Nearly all text: said without looking at characters.
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Cow::Borrowed(text);
    }
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    if !text.contains(hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match hidden(c) {
            true => shown.extend(c.escape_unicode()),
            false => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_drive_a_terminal_or_turn_the_writing_is_escaped() {
        assert_eq!(visible("/v1/é"), "/v1/é");
        assert_eq!(visible("a\x1b[31m\u{202e}b\n"), r"a\u{1b}[31m\u{202e}b\u{a}");
    }
}
