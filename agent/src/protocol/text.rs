//! Bytes of a head as text.
//!
//! In: bytes that are nearly always ASCII, as methods, targets and hosts are. Out: text.

use std::str;

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
    fn text_is_what_the_library_says() {
        for bytes in [&b""[..], b"/v1/users", "/k\u{f6}ln".as_bytes(), b"/\xff", b"\xc3"] {
            assert_eq!(of(bytes), str::from_utf8(bytes).ok());
            assert_eq!(&*lossy(bytes), &*String::from_utf8_lossy(bytes));
        }
    }
}
