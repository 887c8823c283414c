//! `Cookie` and `Set-Cookie`: names stay, values go (RFC 6265 §4).

use super::{Found, lower, overwrite};
use crate::exchange::CredentialLocation;

/// Masks every cookie value and reports those whose name looks like a session.
pub(super) fn mask(value: &mut [u8], found: &mut Found<'_>) {
    for cookie in value.split_mut(|&b| b == b';') {
        let start = cookie
            .iter()
            .position(|b| !b.is_ascii_whitespace())
            .unwrap_or(cookie.len());
        let Some(cookie) = cookie.get_mut(start..) else {
            continue;
        };
        let Some(equals) = cookie.iter().position(|&b| b == b'=') else {
            overwrite(cookie);
            continue;
        };
        let (name, value) = cookie.split_at_mut(equals);
        let Some(value) = value.get_mut(1..) else {
            continue;
        };
        let name = name.trim_ascii();
        if is_session(name) {
            found.report(CredentialLocation::Cookie(lower(name)), "session_cookie", value);
        }
        overwrite(value);
    }
}

/// Masks the value of a cookie that is being set; its attributes stay.
pub(super) fn mask_set(value: &mut [u8]) {
    let end = value.iter().position(|&b| b == b';').unwrap_or(value.len());
    let Some(cookie) = value.get_mut(..end) else {
        return;
    };
    let start = cookie
        .iter()
        .position(|&b| b == b'=')
        .map_or(0, |equals| equals + 1);
    if let Some(secret) = cookie.get_mut(start..) {
        overwrite(secret);
    }
}

/// Names that frameworks give to session cookies. CSRF tokens are secrets, but no credentials.
fn is_session(name: &[u8]) -> bool {
    const PARTS: [&[u8]; 7] = [
        b"sess",
        b"auth",
        b"token",
        b"jwt",
        b"login",
        b"remember",
        b"identity",
    ];
    let mut lower = [0; 64];
    let Some(lower) = lower.get_mut(..name.len()) else {
        return false;
    };
    lower.copy_from_slice(name);
    lower.make_ascii_lowercase();
    let lower = &*lower;
    let has = |part: &[u8]| lower.windows(part.len()).any(|window| window == part);
    if has(b"csrf") || has(b"xsrf") {
        return false;
    }
    lower.ends_with(b"sid") || lower.starts_with(b"sid") || PARTS.iter().any(|part| has(part))
}
