//! What the first bytes of a direction or of a message say, for slices of any length.

use apiarist_common::{
    limits::PREFIX_BYTES,
    sniff::{Verdict, sniff},
};

/// The verdict on these bytes; empty lines in front, which HTTP/1 allows (RFC 9112 §2.2), are looked past.
pub(crate) fn look(bytes: &[u8]) -> Verdict {
    match prefix(bytes) {
        Verdict::Other => {
            let blank = bytes.iter().take_while(|&&b| b == b'\r' || b == b'\n').count();
            match bytes.get(blank..) {
                Some([]) => Verdict::More,
                Some(rest) if blank > 0 => prefix(rest),
                _ => Verdict::Other,
            }
        }
        verdict => verdict,
    }
}

fn prefix(bytes: &[u8]) -> Verdict {
    let mut prefix = [0; PREFIX_BYTES];
    let len = bytes.len().min(PREFIX_BYTES);
    if let (Some(prefix), Some(bytes)) = (prefix.get_mut(..len), bytes.get(..len)) {
        prefix.copy_from_slice(bytes);
    }
    sniff(&prefix, len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_lines_are_looked_past() {
        assert_eq!(look(b"\r\n\r\n\nGET / HTTP/1.1"), Verdict::Http1Request);
        assert_eq!(look(b"\n\n\n"), Verdict::More);
        assert_eq!(look(b"\r\n\r\n\0\r\nQUIT\n\x21\x11"), Verdict::Preamble);
        assert_eq!(look(b"nonsense"), Verdict::Other);
        assert_eq!(look(b""), Verdict::More);
    }
}
