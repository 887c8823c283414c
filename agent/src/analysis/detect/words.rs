//! Words in names that say what something is for.

/// Whether a path or name contains one of these words, between separators or changes of case.
pub(super) fn has_word(text: &str, words: &[&str]) -> bool {
    let bytes = text.as_bytes();
    // Most bytes begin none of them.
    let firsts = words.iter().filter_map(|word| word.as_bytes().first());
    let firsts = firsts.fold(0_u64, |set, first| set | letter(*first));
    bytes.iter().enumerate().any(|(at, first)| {
        letter(*first) & firsts != 0
            && is_boundary(text, at)
            && words
                .iter()
                .any(|word| starts(bytes, at, *first, word) && is_boundary(text, at + word.len()))
    })
}

/// A byte without regard to case, as one of a set: others may share its place.
const fn letter(byte: u8) -> u64 {
    1 << (byte & 0x1f)
}

/// Whether a word stands at a position with this byte, without regard to case.
fn starts(bytes: &[u8], at: usize, first: u8, word: &str) -> bool {
    word.as_bytes()
        .first()
        .is_some_and(|byte| byte.eq_ignore_ascii_case(&first))
        && bytes
            .get(at..at + word.len())
            .is_some_and(|found| found.eq_ignore_ascii_case(word.as_bytes()))
}

/// Whether a word may begin or end at a position.
fn is_boundary(text: &str, at: usize) -> bool {
    let bytes = text.as_bytes();
    let before = at.checked_sub(1).and_then(|before| bytes.get(before));
    match (before, bytes.get(at)) {
        (None, _) | (_, None) => true,
        (Some(before), Some(after)) => {
            !before.is_ascii_alphanumeric()
                || !after.is_ascii_alphanumeric()
                || before.is_ascii_lowercase() && after.is_ascii_uppercase()
                || before.is_ascii_digit() != after.is_ascii_digit()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_alone() {
        for (text, expected) in [
            ("/v1/admin/users", true),
            ("isAdmin", true),
            ("is_admin", true),
            ("/administer", false),
            ("badmin", false),
            ("administer/Admin", true),
            ("äadmin", true),
            ("admin7", true),
            ("ADMIN", true),
            ("a", false),
            ("", false),
        ] {
            assert_eq!(has_word(text, &["admin"]), expected, "{text}");
        }
    }
}
