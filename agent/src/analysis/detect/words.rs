//! Words in names that say what something is for.

/// Whether a path or name contains one of these words, between separators or changes of case.
pub(super) fn has_word(text: &str, words: &[&str]) -> bool {
    words.iter().any(|word| {
        let mut start = 0;
        while let Some(found) = text.get(start..).and_then(|rest| find(rest, word)) {
            let begin = start + found;
            if is_boundary(text, begin) && is_boundary(text, begin + word.len()) {
                return true;
            }
            start = begin + 1;
        }
        false
    })
}

/// Position of a word, without regard to case.
fn find(text: &str, word: &str) -> Option<usize> {
    let first = word.as_bytes().first()?;
    text.as_bytes().windows(word.len()).position(|window| {
        window
            .first()
            .is_some_and(|byte| byte.eq_ignore_ascii_case(first))
            && window.eq_ignore_ascii_case(word.as_bytes())
    })
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
        ] {
            assert_eq!(has_word(text, &["admin"]), expected, "{text}");
        }
    }
}
