//! What a JSON web token says about itself (RFC 7519), as facts.
//!
//! In: a token, before it is masked. Out: [`TokenFacts`]: its algorithm, its times, and what about it is unsafe. No
//! claim is kept, and the signature is not checked: who accepts the token has done that, or has not. A token that is
//! too long or does not decode has no facts.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;
use smallvec::SmallVec;

use super::Redactor;
use crate::{
    clock::Timestamp,
    exchange::{TokenAlgorithm, TokenFacts},
};

/// Longest token that is read. Overflow policy: it has no facts.
const MAX_BYTES: usize = 8 * 1024;

/// Members of the header that name a key which the token brings or has fetched (RFC 7515 §4.1.2 to §4.1.5).
const KEY_MEMBERS: [&str; 3] = ["jku", "x5u", "jwk"];

/// Words in the names of claims that a token should not carry: everybody who sees it can read them.
const SENSITIVE: [&str; 8] = [
    "password",
    "passwd",
    "secret",
    "ssn",
    "social_security",
    "credit_card",
    "card_number",
    "iban",
];

/// Claims that say who holds a token, or to whom what it opens belongs. Overflow policy: the first so many.
const MAX_NAMES: usize = 8;

/// Ends of names of such claims, beside those of the holder.
const WHOSE: [&str; 8] = [
    "user",
    "account",
    "customer",
    "tenant",
    "org",
    "organisation",
    "organization",
    "client_id",
];

/// Claims that name the holder, the standard one first (RFC 7519 §4.1.2).
const HOLDER: [&str; 7] = [
    "sub",
    "user_id",
    "userId",
    "uid",
    "username",
    "preferred_username",
    "email",
];

/// The facts of a token, if it is one; whether its key can be guessed is for [`super::key`] to say.
pub(super) fn read(token: &[u8], redactor: &Redactor) -> Option<TokenFacts> {
    if token.len() > MAX_BYTES {
        return None;
    }
    let mut parts = token.split(|b| *b == b'.');
    let (header, claims) = (part(parts.next()?)?, part(parts.next()?)?);
    let time = |name: &str| {
        let seconds = claims.get(name)?.as_f64()?;
        Some(Timestamp::from_secs_f64(seconds))
    };
    Some(TokenFacts {
        algorithm: algorithm(header.get("alg")),
        expires: time("exp"),
        issued: time("iat"),
        holder: HOLDER
            .iter()
            .find_map(|name| holder(claims.get(*name)?))
            .map(|name| redactor.fingerprint(name.as_bytes())),
        names: names(&claims),
        has_guessable_key: false,
        brings_key: KEY_MEMBERS.iter().any(|name| header.get(name).is_some()),
        is_sensitive: claims.as_object()?.keys().any(|name| {
            let name = name.to_ascii_lowercase();
            SENSITIVE.iter().any(|word| name.contains(word))
        }),
    })
}

/// The names of the claims that say who or whose.
fn names(claims: &Value) -> SmallVec<[u64; 2]> {
    let is_name = |name: &str| {
        let base = name
            .strip_suffix("_id")
            .or(name.strip_suffix("Id"))
            .unwrap_or(name);
        HOLDER.contains(&name) || WHOSE.contains(&base)
    };
    let mut names: SmallVec<[u64; 2]> = claims
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(name, _)| is_name(name))
        .filter_map(|(_, claim)| holder(claim))
        .map(|claim| TokenFacts::name_of(claim.as_bytes()))
        .take(MAX_NAMES)
        .collect();
    names.dedup();
    names
}

fn holder(claim: &Value) -> Option<String> {
    match claim {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn part(text: &[u8]) -> Option<Value> {
    let end = text.iter().rposition(|b| *b != b'=').map_or(0, |at| at + 1);
    let bytes = URL_SAFE_NO_PAD.decode(text.get(..end)?).ok()?;
    serde_json::from_slice(&bytes).ok()
}

fn algorithm(name: Option<&Value>) -> TokenAlgorithm {
    let name = name.and_then(Value::as_str).unwrap_or_default();
    if name.eq_ignore_ascii_case("none") {
        TokenAlgorithm::None
    } else if name.starts_with("HS") {
        TokenAlgorithm::Symmetric
    } else {
        TokenAlgorithm::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(token: &[u8]) -> Option<TokenFacts> {
        read(token, &Redactor::new([1; 16]))
    }

    fn token(header: &str, claims: &str) -> Vec<u8> {
        format!(
            "{}.{}.c2ln",
            URL_SAFE_NO_PAD.encode(header),
            URL_SAFE_NO_PAD.encode(claims)
        )
        .into_bytes()
    }

    #[test]
    fn times_and_algorithm() {
        let facts = facts(&token(
            r#"{"alg":"HS256","typ":"JWT"}"#,
            r#"{"sub":"x","iat":1600000000,"exp":1600003600.5}"#,
        ))
        .expect("facts");
        assert_eq!(facts.algorithm, TokenAlgorithm::Symmetric);
        assert_eq!(facts.issued, Some(Timestamp::from_secs_f64(1_600_000_000.0)));
        assert_eq!(facts.expires, Some(Timestamp::from_secs_f64(1_600_003_600.5)));
        assert!(!facts.brings_key && !facts.is_sensitive);
        assert_eq!(facts.holder, Some(Redactor::new([1; 16]).fingerprint(b"x")));
    }

    #[test]
    fn claims_are_compared_and_not_kept() {
        let facts = facts(&token(
            r#"{"alg":"RS256"}"#,
            r#"{"sub":"ada","tenant_id":42,"scope":"read"}"#,
        ))
        .expect("facts");
        assert!(facts.claims(b"ada") && facts.claims(b"42"));
        assert!(!facts.claims(b"read") && !facts.claims(b"bob"));
        assert!(!format!("{facts:?}").contains("ada"));
    }

    #[test]
    fn what_is_unsafe() {
        let facts = facts(&token(
            r#"{"alg":"nOnE","jku":"https://elsewhere.test/"}"#,
            r#"{"user_password":"x"}"#,
        ))
        .expect("facts");
        assert_eq!(facts.algorithm, TokenAlgorithm::None);
        assert!(facts.brings_key && facts.is_sensitive && facts.expires.is_none());
    }

    #[test]
    fn what_does_not_decode_has_no_facts() {
        for text in [
            "",
            ".",
            "a.b.c",
            "eyJhbGciOiJub25lIn0.e30",
            "eyJ9.e30.",
            "===.e30.",
        ] {
            let expected = text.starts_with("eyJhbG");
            assert_eq!(facts(text.as_bytes()).is_some(), expected, "{text}");
        }
        let long = format!("eyJhbGciOiJub25lIn0.e30.{}", "a".repeat(MAX_BYTES));
        assert_eq!(facts(long.as_bytes()), None);
    }
}
