//! One spelling for every path.
//!
//! In: a request target as sent (RFC 9112 §3.2: origin, absolute or asterisk form). Out: a [`CanonicalPath`],
//! pure ASCII, or why there is none. Query, fragment and `;parameters` are dropped, slashes collapsed, dot
//! segments resolved (RFC 3986 §5.2.4), escapes of unreserved characters decoded and everything that is no path
//! character escaped (§6.2.2), so that a brace in a template is never the client's. Keeps case. Refuses to repair:
//! what does not decode has no canonical path.

use thiserror::Error;

/// Longest canonical path, in bytes. Overflow policy: [`PathError::TooLong`].
pub const MAX_PATH_BYTES: usize = 2048;

/// Most segments of a path. Overflow policy: [`PathError::TooDeep`].
pub const MAX_SEGMENTS: usize = 32;

/// A path in its one spelling: `/`, or `/` before each of its segments, none of them empty; or `*`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CanonicalPath(String);

/// Why a target has no canonical path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PathError {
    /// Longer than [`MAX_PATH_BYTES`].
    #[error("path is longer than {MAX_PATH_BYTES} bytes")]
    TooLong,
    /// More than [`MAX_SEGMENTS`] segments.
    #[error("path has more than {MAX_SEGMENTS} segments")]
    TooDeep,
    /// A broken escape, a control character, or bytes that are no UTF-8.
    #[error("path does not decode")]
    Undecodable,
    /// Authority form (`CONNECT`) or no target at all.
    #[error("target has no path")]
    NoPath,
}

impl CanonicalPath {
    /// The path.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its segments; none for `/` and `*`.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0
            .strip_prefix('/')
            .unwrap_or_default()
            .split('/')
            .filter(|segment| !segment.is_empty())
    }
}

/// The target without its query and fragment: what decides the path.
pub fn without_query(target: &str) -> &str {
    target
        .find(['?', '#'])
        .and_then(|end| target.get(..end))
        .unwrap_or(target)
}

/// The authority of a target in absolute form: `host[:port]`, user information removed.
pub fn authority(target: &str) -> Option<&str> {
    if target.starts_with('/') {
        return None;
    }
    let (authority, _) = split_absolute(without_query(target))?;
    Some(authority.rsplit('@').next().unwrap_or(authority))
}

/// The canonical path of a request target.
pub fn canonical(target: &str) -> Result<CanonicalPath, PathError> {
    let target = without_query(target);
    if target == "*" {
        return Ok(CanonicalPath("*".into()));
    }
    let path = if target.starts_with('/') {
        target
    } else {
        split_absolute(target).ok_or(PathError::NoPath)?.1
    };
    if path.len() > MAX_PATH_BYTES {
        return Err(PathError::TooLong);
    }
    if !escapes_are_utf8(path) {
        return Err(PathError::Undecodable);
    }
    let mut text = String::with_capacity(path.len() + 1);
    let mut depth = 0_usize;
    for segment in path.split('/') {
        let segment = segment.split(';').next().unwrap_or_default();
        let start = text.len();
        text.push('/');
        push_segment(&mut text, segment)?;
        match text.get(start + 1..).unwrap_or_default() {
            "" | "." => text.truncate(start),
            ".." => {
                text.truncate(start);
                text.truncate(text.rfind('/').unwrap_or(0));
                depth = depth.saturating_sub(1);
            }
            _ => depth += 1,
        }
        if depth > MAX_SEGMENTS {
            return Err(PathError::TooDeep);
        }
    }
    if text.len() > MAX_PATH_BYTES {
        return Err(PathError::TooLong);
    }
    if text.is_empty() {
        text.push('/');
    }
    Ok(CanonicalPath(text))
}

/// Authority and path of an absolute target.
fn split_absolute(target: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = target.split_once("://")?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    is_scheme.then(|| rest.find('/').map_or((rest, "/"), |slash| rest.split_at(slash)))
}

/// Appends one segment: unreserved escapes decoded, other escapes in upper case, other bytes than path
/// characters escaped.
fn push_segment(text: &mut String, segment: &str) -> Result<(), PathError> {
    let mut rest = segment.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        let byte = match byte {
            b'%' => {
                let (value, after) = escape(tail).ok_or(PathError::Undecodable)?;
                rest = after;
                if !is_unreserved(value) {
                    push_escaped(text, value)?;
                    continue;
                }
                value
            }
            other => other,
        };
        if is_path_character(byte) {
            text.push(char::from(byte));
        } else {
            push_escaped(text, byte)?;
        }
    }
    Ok(())
}

fn push_escaped(text: &mut String, byte: u8) -> Result<(), PathError> {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    if byte < 0x20 || byte == 0x7f {
        return Err(PathError::Undecodable);
    }
    let digit = |nibble: u8| char::from(DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0'));
    text.push('%');
    text.push(digit(byte >> 4));
    text.push(digit(byte & 15));
    Ok(())
}

/// The byte that two hex digits stand for, and what follows them.
fn escape(text: &[u8]) -> Option<(u8, &[u8])> {
    let [high, low, rest @ ..] = text else { return None };
    let value = char::from(*high).to_digit(16)? << 4 | char::from(*low).to_digit(16)?;
    Some((u8::try_from(value).ok()?, rest))
}

/// Whether the path, with all escapes decoded, is UTF-8 without a replacement character.
fn escapes_are_utf8(path: &str) -> bool {
    if path.is_ascii() && !path.contains('%') {
        return true;
    }
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let (value, next) = match escape(tail).filter(|_| byte == b'%') {
            Some(escaped) => escaped,
            None => (byte, tail),
        };
        decoded.push(value);
        rest = next;
    }
    std::str::from_utf8(&decoded).is_ok_and(|text| !text.contains('\u{fffd}'))
}

/// RFC 3986 §2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// `pchar` of RFC 3986 §3.3 without escapes.
fn is_path_character(byte: u8) -> bool {
    is_unreserved(byte)
        || matches!(
            byte,
            b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' | b':' | b'@'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_path(target: &str, expected: &str) {
        assert_eq!(
            canonical(target).map(|path| path.0).as_deref(),
            Ok(expected),
            "{target}"
        );
    }

    #[test]
    fn forms_of_a_target() {
        assert_path("/users/42?full=1", "/users/42");
        assert_path("/users/42#top", "/users/42");
        assert_path("http://api.test:80/users/42?x", "/users/42");
        assert_path("https://api.test", "/");
        assert_path("https://api.test?x", "/");
        assert_path("*", "*");
        assert_path("/", "/");
        assert_eq!(canonical("api.test:443"), Err(PathError::NoPath));
        assert_eq!(canonical(""), Err(PathError::NoPath));
        assert_eq!(canonical("?x=/"), Err(PathError::NoPath));
        assert_eq!(authority("http://user@api.test:80/x"), Some("api.test:80"));
        assert_eq!(authority("/x"), None);
    }

    #[test]
    fn one_spelling() {
        assert_path("//users///42/", "/users/42");
        assert_path("/users;jsessionid=1/42;v=2", "/users/42");
        assert_path("/%75sers/%7e%2D", "/users/~-");
        assert_path("/a%2fb/%c3%a9", "/a%2Fb/%C3%A9");
        assert_path("/é", "/%C3%A9");
        assert_path("/{id}/a b|", "/%7Bid%7D/a%20b%7C");
        assert_path("/Users/ABC", "/Users/ABC");
        assert_path("/a:b@c/(1)", "/a:b@c/(1)");
    }

    #[test]
    fn dot_segments() {
        assert_path("/a/./b/../c", "/a/c");
        assert_path("/../../etc", "/etc");
        assert_path("/a/%2e%2E/b", "/b");
        assert_path("/a/..", "/");
        assert_path("/a/...", "/a/...");
    }

    #[test]
    fn what_does_not_decode() {
        for target in [
            "/%",
            "/%4",
            "/%zz",
            "/%00",
            "/a%0d%0a",
            "/%ff",
            "/%c3/%a9x",
            "/\u{fffd}",
            "/a\tb",
        ] {
            assert_eq!(canonical(target), Err(PathError::Undecodable), "{target}");
        }
    }

    #[test]
    fn bounds() {
        let segments = |count| "/a".repeat(count);
        assert!(canonical(&segments(MAX_SEGMENTS)).is_ok());
        assert_eq!(canonical(&segments(MAX_SEGMENTS + 1)), Err(PathError::TooDeep));
        assert_path(&"/a/..".repeat(MAX_SEGMENTS + 1), "/");
        let long = |count: usize| format!("/{}", "a".repeat(count - 1));
        assert!(canonical(&long(MAX_PATH_BYTES)).is_ok());
        assert_eq!(canonical(&long(MAX_PATH_BYTES + 1)), Err(PathError::TooLong));
        assert_eq!(
            canonical(&format!("/{}", "|".repeat(1000))),
            Err(PathError::TooLong)
        );
    }

    #[test]
    fn a_canonical_path_is_its_own_canonical_path() {
        for target in ["/a/%2F/b", "/%7B/é", "/x;y/../z//", "/%25zz"] {
            let once = canonical(target).expect(target);
            assert_eq!(canonical(once.as_str()).as_ref(), Ok(&once));
        }
    }
}
