//! The lexical type of one path segment.
//!
//! In: a segment of a canonical path. Out: a [`SegmentType`], by shape alone. An identifier that no person would
//! choose as the name of a route is a parameter at once; everything that may be a word stays a literal. Refuses
//! to look at neighbours: [`super::lexical`] does.

use serde::{Deserialize, Serialize};
use std::net::IpAddr;

use super::random::looks_random;

/// What a segment looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SegmentType {
    /// A word, or nothing known.
    Literal,
    /// A technical word with digits that is no identifier, whatever statistics say: `v1`, `oauth2`.
    StrongLiteral,
    /// A language tag: `en`, `pt-BR`.
    Locale,
    /// A file name with an ending.
    FileName,
    /// Decimal digits, with a sign or as a list.
    Int,
    /// RFC 9562, with dashes.
    Uuid,
    /// 26 characters of Crockford's base 32.
    Ulid,
    /// 24 hex digits.
    ObjectId,
    /// 32, 40, 64, 96 or 128 hex digits, or at least 8 with a digit and a letter.
    Hex,
    /// At least 16 characters of base64url, base 62 or base 36 that look random.
    Base64Url,
    /// A short word, a separator and an identifier: `cus_9sK…`, `sha256:…`.
    PrefixedId,
    /// An e-mail address.
    Email,
    /// An IPv4 or IPv6 address.
    Ip,
    /// A date or time stamp of ISO 8601.
    Date,
    /// A decimal fraction.
    Float,
    /// A word that observation has shown to be a value; never told by its shape.
    Name,
}

impl SegmentType {
    /// Whether such a segment is a parameter on first sight.
    pub const fn is_parameter(self) -> bool {
        match self {
            SegmentType::Literal
            | SegmentType::StrongLiteral
            | SegmentType::Locale
            | SegmentType::FileName => false,
            SegmentType::Int
            | SegmentType::Uuid
            | SegmentType::Ulid
            | SegmentType::ObjectId
            | SegmentType::Hex
            | SegmentType::Base64Url
            | SegmentType::PrefixedId
            | SegmentType::Email
            | SegmentType::Ip
            | SegmentType::Date
            | SegmentType::Float
            | SegmentType::Name => true,
        }
    }
}

/// The type of a segment.
pub fn classify(segment: &str) -> SegmentType {
    let bytes = segment.as_bytes();
    if is_plain_word(bytes) {
        SegmentType::Literal
    } else if is_int(bytes) {
        SegmentType::Int
    } else if is_strong_literal(segment) {
        SegmentType::StrongLiteral
    } else if is_uuid(bytes) {
        SegmentType::Uuid
    } else if is_hex(bytes, 24) {
        SegmentType::ObjectId
    } else if is_hash(bytes) {
        SegmentType::Hex
    } else if is_ulid(bytes) {
        SegmentType::Ulid
    } else if is_date(bytes) {
        SegmentType::Date
    } else if is_float(segment) {
        SegmentType::Float
    } else if is_ip(segment) {
        SegmentType::Ip
    } else if is_email(segment) {
        SegmentType::Email
    } else if is_prefixed_id(segment) {
        SegmentType::PrefixedId
    } else if is_token(segment) {
        SegmentType::Base64Url
    } else if is_locale(segment) {
        SegmentType::Locale
    } else if file_ending(segment).is_some() {
        SegmentType::FileName
    } else {
        SegmentType::Literal
    }
}

/// Letters alone, or small letters and `_`, too few for an identifier and too many for a language: most names are told
/// from everything else by this.
pub(crate) fn is_plain_word(bytes: &[u8]) -> bool {
    let is_small = |byte: &u8| byte.is_ascii_lowercase() || *byte == b'_';
    match bytes.len() {
        3..MIN_TOKEN_BYTES => {
            (bytes.iter().all(u8::is_ascii_alphabetic) || bytes.iter().all(is_small))
                && !bytes.eq_ignore_ascii_case(b"api")
        }
        MIN_TOKEN_BYTES..24 => bytes.iter().all(is_small),
        _ => false,
    }
}

/// The ending of a file name, without its dot: 1 to 5 letters and digits, a letter first.
pub(super) fn file_ending(segment: &str) -> Option<&str> {
    let (stem, ending) = segment.rsplit_once('.')?;
    let is_ending = (1..=5).contains(&ending.len())
        && ending.starts_with(|c: char| c.is_ascii_alphabetic())
        && ending.bytes().all(|b| b.is_ascii_alphanumeric());
    (!stem.is_empty() && is_ending).then_some(ending)
}

/// Technical words in which digits are part of the term, and `api`. Sorted.
const WORDS: &[&str] = &[
    "2fa", "3d", "3ds", "4xx", "5xx", "a11y", "api", "b2b", "b2c", "base32", "base58", "base64", "e164",
    "e2e", "ec2", "ga4", "h264", "h265", "html5", "http1", "http2", "http3", "i18n", "ipv4", "ipv6",
    "iso3166", "iso4217", "iso8601", "k8s", "l10n", "md5", "mp3", "mp4", "oauth1", "oauth10a", "oauth2",
    "p12", "p2p", "rfc2617", "rs256", "s3", "saml2", "sha1", "sha256", "sha384", "sha512", "u2f", "utf8",
    "web3", "x509",
];

/// `v1`, `v2beta1`, `v1.1`, and words in which digits are part of the term.
fn is_strong_literal(segment: &str) -> bool {
    // All of them have digits, but one.
    if !segment.bytes().any(|byte| byte.is_ascii_digit()) {
        return segment.eq_ignore_ascii_case("api");
    }
    let lower = segment.to_ascii_lowercase();
    WORDS.binary_search(&lower.as_str()).is_ok() || is_version(&lower)
}

/// `v`, digits and dots, and a stage such as `beta1`; lower case.
fn is_version(segment: &str) -> bool {
    let Some(rest) = segment.strip_prefix('v') else {
        return false;
    };
    let digits = rest
        .bytes()
        .take_while(|b| b.is_ascii_digit() || *b == b'.')
        .count();
    let stage = rest.get(digits..).unwrap_or_default();
    let stage = stage.trim_start_matches(['-', '_', '.']);
    let word = stage.trim_end_matches(|c: char| c.is_ascii_digit());
    rest.starts_with(|c: char| c.is_ascii_digit())
        && digits <= 8
        && matches!(
            word,
            "" | "alpha" | "beta" | "rc" | "preview" | "p" | "eap" | "internal"
        )
}

fn is_digits(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(u8::is_ascii_digit)
}

fn is_int(bytes: &[u8]) -> bool {
    let unsigned = bytes.strip_prefix(b"-").unwrap_or(bytes);
    unsigned.split(|b| *b == b',').all(is_digits)
}

fn is_float(segment: &str) -> bool {
    let unsigned = segment.strip_prefix('-').unwrap_or(segment);
    unsigned
        .split_once('.')
        .is_some_and(|(whole, part)| is_digits(whole.as_bytes()) && is_digits(part.as_bytes()))
}

/// Hex digits of one case.
fn is_hex(bytes: &[u8], length: usize) -> bool {
    bytes.len() == length && is_hex_of_one_case(bytes)
}

fn is_hex_of_one_case(bytes: &[u8]) -> bool {
    bytes.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        || bytes.iter().all(|b| matches!(b, b'0'..=b'9' | b'A'..=b'F'))
}

fn is_hash(bytes: &[u8]) -> bool {
    let has_digit = bytes.iter().any(u8::is_ascii_digit);
    is_hex_of_one_case(bytes)
        && (matches!(bytes.len(), 32 | 40 | 64 | 96 | 128) || (bytes.len() >= 8 && has_digit))
}

fn is_uuid(bytes: &[u8]) -> bool {
    bytes.len() == 36
        && bytes.iter().enumerate().all(|(at, b)| match at {
            8 | 13 | 18 | 23 => *b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}

fn is_ulid(bytes: &[u8]) -> bool {
    let crockford = |b: &u8| b.is_ascii_digit() || (b.is_ascii_alphabetic() && !b"ILOUilou".contains(b));
    let one_case = !bytes.iter().any(u8::is_ascii_lowercase) || !bytes.iter().any(u8::is_ascii_uppercase);
    bytes.len() == 26 && matches!(bytes.first(), Some(b'0'..=b'7')) && one_case && bytes.iter().all(crockford)
}

/// `YYYY-MM-DD`, with or without a time after `T`.
fn is_date(bytes: &[u8]) -> bool {
    let Some((date, rest)) = bytes.split_at_checked(10) else {
        return false;
    };
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = date else {
        return false;
    };
    let time = |b: &u8| b.is_ascii_digit() || b":.+-Z%A".contains(b);
    is_digits(&[*y1, *y2, *y3, *y4])
        && matches!((m1, m2), (b'0', b'1'..=b'9') | (b'1', b'0'..=b'2'))
        && matches!(
            (d1, d2),
            (b'0', b'1'..=b'9') | (b'1' | b'2', b'0'..=b'9') | (b'3', b'0' | b'1')
        )
        && (rest.is_empty() || (matches!(rest.first(), Some(b'T' | b't')) && rest.iter().skip(1).all(time)))
}

fn is_ip(segment: &str) -> bool {
    segment.len() <= 45 && segment.contains(['.', ':']) && segment.parse::<IpAddr>().is_ok()
}

/// `local@domain.tld`, the `@` escaped or not.
fn is_email(segment: &str) -> bool {
    let Some((local, domain)) = segment.split_once('@').or_else(|| segment.split_once("%40")) else {
        return false;
    };
    let is_domain = |text: &str| {
        text.bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
    };
    !local.is_empty()
        && is_domain(domain)
        && domain.rsplit_once('.').is_some_and(|(name, top)| {
            !name.is_empty() && top.len() >= 2 && top.bytes().all(|b| b.is_ascii_alphabetic())
        })
}

/// Shortest token without a prefix that is taken for an identifier.
const MIN_TOKEN_BYTES: usize = 16;

fn is_token(segment: &str) -> bool {
    let unpadded = segment.trim_end_matches('=').trim_end_matches("%3D");
    let is_jwt = unpadded.starts_with("eyJ") && unpadded.matches('.').count() == 2;
    let alphabet = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_' || (is_jwt && b == b'.');
    unpadded.len() >= MIN_TOKEN_BYTES && unpadded.bytes().all(alphabet) && (is_jwt || looks_random(unpadded))
}

/// Fewest characters after a prefix.
const MIN_PREFIXED_BYTES: usize = 6;

/// Fewest digits after a prefix when there is nothing else, by separator: `iphone-12` and `load_15` are names.
const fn min_digits(separator: Option<u8>) -> usize {
    if matches!(separator, Some(b'-')) { 6 } else { 4 }
}

fn is_prefixed_id(segment: &str) -> bool {
    let Some((prefix, rest)) = segment
        .rsplit_once(['_', ':'])
        .or_else(|| segment.split_once('-'))
    else {
        return false;
    };
    let separator = segment.as_bytes().get(prefix.len()).copied();
    let is_word = prefix.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
        || prefix.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')
        || is_strong_literal(prefix);
    if !is_word || !(1..=16).contains(&prefix.len()) || is_strong_literal(rest) {
        return false;
    }
    let bytes = rest.as_bytes();
    if is_digits(bytes) {
        return bytes.len() >= min_digits(separator);
    }
    is_uuid(bytes)
        || is_hash(bytes)
        || is_ulid(bytes)
        || (separator != Some(b'-') && bytes.len() >= MIN_PREFIXED_BYTES && looks_random(rest))
}

/// `ll`, or `ll-CC`, `ll_CC`, `ll-Ssss` (RFC 5646).
fn is_locale(segment: &str) -> bool {
    let (language, region) = match segment.split_once(['-', '_']) {
        Some((language, region)) => (language, Some(region)),
        None => (segment, None),
    };
    language.len() == 2
        && language.bytes().all(|b| b.is_ascii_lowercase())
        && region.is_none_or(|region| {
            let title = region.starts_with(|c: char| c.is_ascii_uppercase());
            title && matches!(region.len(), 2 | 4) && region.bytes().all(|b| b.is_ascii_alphabetic())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_types(expected: SegmentType, segments: &[&str]) {
        for segment in segments {
            assert_eq!(classify(segment), expected, "{segment}");
        }
    }

    #[test]
    fn identifiers() {
        assert_types(SegmentType::Int, &["0", "42", "-7", "1,2,3", "20240131"]);
        assert_types(
            SegmentType::Uuid,
            &[
                "f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
                "F81D4FAE-7DEC-11D0-A765-00A0C91E6BF6",
            ],
        );
        assert_types(
            SegmentType::Ulid,
            &["01ARZ3NDEKTSV4RRFFQ69G5FAV", "01arz3ndektsv4rrffq69g5fav"],
        );
        assert_types(SegmentType::ObjectId, &["507f1f77bcf86cd799439011"]);
        assert_types(
            SegmentType::Hex,
            &[
                "deadbee1",
                "d41d8cd98f00b204e9800998ecf8427e",
                "DA39A3EE5E6B4B0D3255BFEF95601890AFD80709",
            ],
        );
        assert_types(
            SegmentType::Base64Url,
            &[
                "00u4k2x9QpLmWzRt5b6d",
                "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
                "ckopqwooh000001la8mbi2im9",
                "V1StGXR8_Z5jdHi6B-myT",
                "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
                "AC2f4b6d8e0a1c3e5f7a9b1d3c5e7f9a0b",
            ],
        );
        assert_types(
            SegmentType::PrefixedId,
            &[
                "cus_9sKxYz12ab",
                "order_12345",
                "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                "i-0abcd1234ef567890",
                "INV-2024001",
                "urn_f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
            ],
        );
    }

    #[test]
    fn other_values() {
        assert_types(
            SegmentType::Email,
            &["ann@example.test", "ann.b+c%40mail.example.test"],
        );
        assert_types(SegmentType::Ip, &["192.0.2.1", "2001:db8::1", "::1"]);
        assert_types(
            SegmentType::Date,
            &[
                "2024-01-31",
                "2024-01-31T10:00:00Z",
                "2024-01-31T10:00:00.5+01:00",
            ],
        );
        assert_types(SegmentType::Float, &["48.8566", "-2.35"]);
        assert_types(SegmentType::Locale, &["en", "en-US", "pt_BR", "zh-Hans"]);
        assert_types(SegmentType::FileName, &["logo.png", "app.min.js", "robots.txt"]);
    }

    #[test]
    fn words_stay_literal() {
        assert_types(
            SegmentType::StrongLiteral,
            &[
                "v1", "V2", "v2beta1", "v1.1", "v1-beta2", "api", "oauth2", "S3", "sha256", "x509", "2fa",
                "ipv6", "base64",
            ],
        );
        assert_types(
            SegmentType::Literal,
            &[
                "users",
                "getUserByIdAndNameAndRole",
                "OAuth2ClientCredentials",
                "p2sVpnServerConfigurations",
                "securityClassification-6VMVochwUWo",
                "boulder_2017_election_contributions",
                "droplets_http_session_duration_95p",
                "continuous-integration-2024",
                "iphone-12",
                "load_15",
                "reserved_ipv6",
                "rest-v1",
                "facade",
                "2024-13-01",
                "@me",
                "user@localhost",
                "$batch",
                "",
            ],
        );
    }

    #[test]
    fn strong_words_are_sorted_for_the_search() {
        assert!(WORDS.is_sorted());
        assert!(is_strong_literal("API"));
        assert!(!is_strong_literal("vault"));
        assert!(!is_strong_literal("v"));
    }
}
