//! Whether a token is signed with a key that everybody guesses.
//!
//! In: a token of `HS256` (RFC 7518 §3.2). Out: whether one of a few dozen keys makes its signature: what tutorials and
//! templates sign with. Refuses to search: a key that is not on the list is not weak for all that is known here. All tokens
//! of an issuer have one key, so the first tokens are tried, and a few of the later ones.

use std::sync::atomic::{AtomicU32, Ordering};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// Keys that are tried: what examples, templates and lists of leaked configurations have most often.
const KEYS: &str = "secret Secret SECRET secretkey secret_key secret-key SECRET_KEY secretKey mysecret mysecretkey my_secret_key \
    my-secret-key MySecretKey supersecret super_secret super-secret supersecretkey super-secret-key topsecret \
    your-256-bit-secret your_jwt_secret your-secret-key your_secret_key yoursecretkey jwt_secret jwt-secret jwtsecret \
    jwtSecret JWT_SECRET jwt_secret_key jwt key privatekey private_key changeme change_me changeit password passw0rd \
    password123 pass admin administrator root test testing test123 dev development prod production staging example \
    demo default token auth random none null undefined qwerty letmein 123456 1234567890 12345678 1234 abc123 hello \
    hello_world foobar foo bar shhhh shhhhh notasecret s3cr3t s3cret hmackey hs256-secret gateway api apikey app";

/// Longest token that is tried.
const MAX_BYTES: usize = 2 * 1024;

/// Tokens that are all tried. Of later ones, every so many: a flood of new tokens costs little more than without.
const FIRST: u32 = 64;
const EVERY: u32 = 64;

/// Counts the tokens of one host.
#[derive(Debug, Default)]
pub(super) struct Tried(AtomicU32);

impl Tried {
    /// Whether the next token is to be tried.
    pub(super) fn next(&self) -> bool {
        let number = self.0.fetch_add(1, Ordering::Relaxed);
        number < FIRST || number.is_multiple_of(EVERY)
    }
}

/// Whether a token is signed with `HS256` and a key on the list.
pub(super) fn is_guessable(token: &[u8]) -> bool {
    if token.len() > MAX_BYTES {
        return false;
    }
    let Some(dot) = memchr::memrchr(b'.', token) else {
        return false;
    };
    let (signed, signature) = token.split_at_checked(dot).unwrap_or_default();
    let Ok(signature) = URL_SAFE_NO_PAD.decode(signature.get(1..).unwrap_or_default()) else {
        return false;
    };
    // The signatures of other algorithms have other lengths.
    signature.len() == 32
        && KEYS.split_ascii_whitespace().any(|key| {
            Hmac::<Sha256>::new_from_slice(key.as_bytes())
                .is_ok_and(|mac| mac.chain_update(signed).verify_slice(&signature).is_ok())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(key: &[u8]) -> Vec<u8> {
        let text = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256"}"#),
            URL_SAFE_NO_PAD.encode(r#"{"sub":"x"}"#)
        );
        let mac = Hmac::<Sha256>::new_from_slice(key).expect("any length is a key");
        let signature = mac.chain_update(&text).finalize().into_bytes();
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)).into_bytes()
    }

    #[test]
    fn keys_of_tutorials_are_guessed_and_others_are_not() {
        assert!(is_guessable(&signed(b"secret")));
        assert!(is_guessable(&signed(b"changeme")));
        assert!(!is_guessable(&signed(b"hX1vYp0kqW9zR4tB7nL2sD6fG8jM3cV5")));
        for token in [&b""[..], b"a.b", b"a.b.c", b"...", b"eyJ.e30.!!"] {
            assert!(!is_guessable(token));
        }
    }

    #[test]
    fn a_flood_of_tokens_is_not_tried() {
        let tried = Tried::default();
        let count = (0..64_000).filter(|_| tried.next()).count();
        assert!((64..=1_100).contains(&count), "{count}");
    }
}
