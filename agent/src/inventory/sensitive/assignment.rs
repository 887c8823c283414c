//! Secrets in text that is written by people: `API_KEY = "…"`, `Authorization: Bearer …`.
//!
//! In: a text. Out: whether a name that announces a secret is given a value that can be one. A shape, no proof: texts
//! are full of names with values.

use super::{Finding, Grade, SensitiveType, secrets};

/// Longest name in front of a value, in bytes.
const MAX_NAME_BYTES: usize = 48;

/// Assignments of one text that are looked at. Overflow policy: the first so many.
const MAX_ASSIGNMENTS: usize = 32;

/// Ends of names that announce a secret, in lower case.
const NAMES: &[&str] = &[
    "key",
    "token",
    "token1",
    "token2",
    "secret",
    "login",
    "password",
    "passwd",
    "credential",
];

/// Shortest secret after such a name.
const MIN_BYTES: usize = 20;

/// Shortest credential of an `Authorization` field.
const MIN_CREDENTIAL_BYTES: usize = 8;

/// A secret in a text.
pub(super) fn find(text: &str) -> Option<Finding> {
    let is_found = text
        .match_indices([':', '='])
        .take(MAX_ASSIGNMENTS)
        .any(|(at, _)| is_secret(text.get(..at), text.get(at..)).unwrap_or(false));
    is_found.then_some(Finding::new(SensitiveType::Secret, Grade::Shape))
}

fn is_secret(before: Option<&str>, after: Option<&str>) -> Option<bool> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-' || c == '.';
    let before = before?.trim_end_matches([' ', '"', '\'', ':', '?', '=']);
    let start = before.rfind(|c: char| !is_name(c)).map_or(0, |at| at + 1);
    let name = before
        .get(start..)
        .filter(|name| name.len() <= MAX_NAME_BYTES)?
        .to_ascii_lowercase();
    let value = after?.trim_start_matches([':', '=', '?', ' ', '"', '\'']);
    if name == "authorization" {
        let (first, rest) = value.split_once(' ').unwrap_or((value, ""));
        let is_scheme = first.len() <= 10 && first.bytes().all(|b| b.is_ascii_alphabetic() || b == b'-');
        let credential = word(if is_scheme { rest } else { value });
        return Some(credential.len() >= MIN_CREDENTIAL_BYTES && !super::keys::is_masked(credential));
    }
    let value = word(value);
    let has = |kind: fn(&u8) -> bool| value.bytes().any(|b| kind(&b));
    Some(
        NAMES.iter().any(|end| name.ends_with(end))
            && value.len() >= MIN_BYTES
            && has(u8::is_ascii_digit)
            && has(u8::is_ascii_alphabetic)
            && !super::keys::is_masked(value)
            && secrets::variety(value) >= 10,
    )
}

/// The first word of a text that a secret can be.
fn word(text: &str) -> &str {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || "-_.=+/~@".contains(c)));
    end.and_then(|end| text.get(..end)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_values() {
        for secret in [
            r#"const API_KEY = "12345678-ABCD-ABCD-ABCD-1234567890AB""#,
            "token: a1B2c3D4e5F6g7H8i9J0k1",
            "curl -H 'Authorization: Basic YW5uOnNlY3JldA=='",
            "authorization: Token 22cb987851bc5659",
        ] {
            assert!(find(secret).is_some(), "{secret}");
        }
        for other in [
            "key: value",
            "primary key = id",
            "API_KEY = xxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            "sha: da39a3ee5e6b4b0d3255bfef95601890afd80709",
            "Authorization: Bearer $TOKEN",
            "token = 0000000000000000000000000000",
            "= : =",
        ] {
            assert_eq!(find(other), None, "{other}");
        }
    }
}
