//! Integers and strings of a header block (RFC 7541 §5).
//!
//! In: the bytes of a block. Out: its parts, one after the other. Refuses numbers beyond 32 bits: no length and no
//! index of a block that fits in memory is that large.

use super::{Error, huffman};

/// What is left of a block.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(block: &'a [u8]) -> Self {
        Self { rest: block }
    }

    /// The next byte, which stays.
    pub(super) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    fn byte(&mut self) -> Result<u8, Error> {
        let (first, rest) = self.rest.split_first().ok_or(Error::Truncated)?;
        self.rest = rest;
        Ok(*first)
    }

    /// A number in the lower `bits` (1 to 8) of a byte and those behind it (§5.1).
    pub(super) fn integer(&mut self, bits: u32) -> Result<u32, Error> {
        let most = (1_u32 << bits) - 1;
        let first = u32::from(self.byte()?) & most;
        if first < most {
            return Ok(first);
        }
        let mut value = u64::from(most);
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.byte()?;
            value += u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return u32::try_from(value).map_err(|_| Error::Malformed);
            }
        }
        Err(Error::Malformed)
    }

    /// A string (§5.2): in place, or decoded into `scratch`.
    pub(super) fn string<'s>(&mut self, scratch: &'s mut Vec<u8>) -> Result<&'s [u8], Error>
    where
        'a: 's,
    {
        let is_coded = self.peek().is_some_and(|byte| byte & 0x80 != 0);
        let length = self.integer(7)? as usize;
        let (text, rest) = self.rest.split_at_checked(length).ok_or(Error::Truncated)?;
        self.rest = rest;
        if !is_coded {
            return Ok(text);
        }
        scratch.clear();
        huffman::decode(text, scratch).map_err(|huffman::Malformed| Error::Malformed)?;
        Ok(scratch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_of_the_standard() {
        // RFC 7541, C.1.
        for (bytes, bits, value) in [
            (&[0b1110_1010_u8][..], 5, 10),
            (&[0b0001_1111, 0b1001_1010, 0b0000_1010], 5, 1337),
            (&[0b0010_1010], 8, 42),
        ] {
            assert_eq!(Reader::new(bytes).integer(bits), Ok(value));
        }
    }

    #[test]
    fn integers_end() {
        let long = [0xff; 12];
        assert_eq!(Reader::new(&long).integer(5), Err(Error::Malformed));
        assert_eq!(Reader::new(&long[..4]).integer(5), Err(Error::Truncated));
        assert_eq!(
            Reader::new(&[0x7f, 0xff, 0xff, 0xff, 0xff, 0x7f]).integer(7),
            Err(Error::Malformed)
        );
    }

    #[test]
    fn strings_need_their_bytes() {
        let mut scratch = Vec::new();
        assert_eq!(Reader::new(b"\x03abcd").string(&mut scratch), Ok(&b"abc"[..]));
        assert_eq!(
            Reader::new(b"\x05abcd").string(&mut scratch),
            Err(Error::Truncated)
        );
        assert_eq!(Reader::new(b"").string(&mut scratch), Err(Error::Truncated));
    }
}
