//! Bytes of a head as text.
//!
//! In: bytes that are nearly always ASCII, as methods, targets and hosts are. Out: text.

use std::{borrow::Cow, str};

/// The methods of RFC 9110 §9.3 and RFC 5789.
const METHODS: [&str; 9] = [
    "GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "CONNECT", "TRACE",
];

/// A method; a usual one without memory of its own.
pub(crate) fn method(bytes: &[u8]) -> Cow<'static, str> {
    let usual = METHODS.iter().find(|usual| usual.as_bytes() == bytes);
    usual.map_or_else(|| Cow::Owned(lossy(bytes).into()), |usual| Cow::Borrowed(*usual))
}

/// The text that these bytes are; `None` if they are none.
pub(crate) fn of(bytes: &[u8]) -> Option<&str> {
    match bytes.is_ascii() {
        // SAFETY: ASCII is UTF-8.
        true => Some(unsafe { str::from_utf8_unchecked(bytes) }),
        false => str::from_utf8(bytes).ok(),
    }
}

/// The text that these bytes are, with what is none replaced.
pub(crate) fn lossy(bytes: &[u8]) -> Box<str> {
    of(bytes).map_or_else(|| String::from_utf8_lossy(bytes).into(), Box::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_what_was_sent() {
        for sent in [&b"GET"[..], b"TRACE", b"get", b"PROPFIND", b"", b"\xff"] {
            assert_eq!(&*method(sent), &*String::from_utf8_lossy(sent));
        }
    }

    #[test]
    fn text_is_what_the_library_says() {
        for bytes in [&b""[..], b"/v1/users", "/k\u{f6}ln".as_bytes(), b"/\xff", b"\xc3"] {
            assert_eq!(of(bytes), str::from_utf8(bytes).ok());
            assert_eq!(&*lossy(bytes), &*String::from_utf8_lossy(bytes));
        }
    }
}
