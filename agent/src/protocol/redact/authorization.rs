//! `Authorization` and its likes: a scheme word, then token68 or parameters (RFC 9110 §11.4).

use super::{Found, header, is_jwt, overwrite};

/// Scheme words (lower case) and the names they are reported under.
const SCHEMES: [(&[u8], &str); 20] = [
    (b"basic", "basic"),
    (b"bearer", "bearer"),
    (b"digest", "digest"),
    (b"negotiate", "negotiate"),
    (b"ntlm", "ntlm"),
    (b"aws4-hmac-sha256", "aws_sigv4"),
    (b"aws4-ecdsa-p256-sha256", "aws_sigv4"),
    (b"aws", "aws_sigv2"),
    (b"hawk", "hawk"),
    (b"oauth", "oauth1"),
    (b"dpop", "dpop"),
    (b"gnap", "gnap"),
    (b"hoba", "hoba"),
    (b"mutual", "mutual"),
    (b"vapid", "vapid"),
    (b"scram-sha-256", "scram"),
    (b"ssws", "ssws"),
    (b"token", "token"),
    (b"apikey", "api_key"),
    (b"api-key", "api_key"),
];

/// Parameters that identify the holder, for schemes whose other parameters change with every request.
fn identity_parameter(scheme: &str) -> Option<&'static [u8]> {
    match scheme {
        "aws_sigv4" => Some(b"Credential="),
        "digest" => Some(b"username="),
        "hawk" => Some(b"id="),
        "oauth1" => Some(b"oauth_consumer_key="),
        _ => None,
    }
}

/// Masks the value behind the scheme word and reports it.
pub(super) fn mask(name: &[u8], value: &mut [u8], found: &mut Found<'_>) {
    let word = value.iter().position(|&b| b == b' ' || b == b'\t');
    let Some(word) = word else {
        // No scheme: the whole value is a token.
        let scheme = if is_jwt(value) { "bearer_jwt" } else { "other" };
        found.whole(header(name), scheme, value);
        return;
    };
    let (word, rest) = value.split_at_mut(word);
    let known = SCHEMES
        .iter()
        .find(|(known, _)| word.eq_ignore_ascii_case(known))
        .map(|&(_, name)| name);
    let start = rest
        .iter()
        .position(|&b| b != b' ' && b != b'\t')
        .unwrap_or(rest.len());
    let Some(secret) = rest.get_mut(start..) else {
        return;
    };
    let scheme = match known {
        Some("bearer") if is_jwt(secret) => "bearer_jwt",
        Some(scheme) => scheme,
        None => "other",
    };
    let identity = identity_parameter(scheme)
        .and_then(|parameter| parameter_value(secret, parameter))
        .unwrap_or(secret);
    found.report(header(name), scheme, identity);
    overwrite(secret);
    if known.is_none() && !is_scheme_word(word) {
        overwrite(word);
    }
}

/// A scheme is a short word; what is not may be part of a secret with a space in it.
fn is_scheme_word(word: &[u8]) -> bool {
    word.len() <= 20
        && word
            .iter()
            .all(|&b| b.is_ascii_alphabetic() || matches!(b, b'-' | b'_'))
}

/// The value of `parameter` up to its end; for AWS the access key in front of the slash.
fn parameter_value<'a>(text: &'a [u8], parameter: &[u8]) -> Option<&'a [u8]> {
    let at = text.windows(parameter.len()).position(|w| w == parameter)?;
    let value = text.get(at + parameter.len()..)?;
    let value = value.strip_prefix(b"\"").unwrap_or(value);
    let end = value
        .iter()
        .position(|&b| matches!(b, b'"' | b',' | b'/' | b' '))
        .unwrap_or(value.len());
    value.get(..end)
}
