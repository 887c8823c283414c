//! The chunked transfer coding (RFC 9112 §7.1), incrementally.
//!
//! In: bytes as they arrive, and gaps. Out: slices of data, bytes of trailers, and the end. Takes LF for CRLF and extensions;
//! refuses what has no size, and sizes beyond 64 bits.

/// Longest size line and longest trailer section, in bytes. Overflow policy: the framing counts as malformed.
const MAX_LINE_BYTES: u32 = 16 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// In the digits of a size.
    Size { value: u64, digits: u8 },
    /// Behind the digits, up to the end of the line.
    Extension { value: u64 },
    /// In chunk data.
    Data { remaining: u64 },
    /// At the line end behind chunk data.
    DataEnd,
    /// In a line behind the last chunk; `empty` until it has a byte.
    Trailer { empty: bool },
    /// Behind the empty line.
    Done,
}

/// A decoder for one body.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chunked {
    state: State,
    line_bytes: u32,
}

/// What came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// The input is used up.
    More,
    /// Body data.
    Data(&'a [u8]),
    /// A byte of the trailer section, its empty line excluded.
    Trailer(u8),
    /// The body is over; what is left of the input is behind it.
    End,
    /// This is no chunked body.
    Malformed,
}

impl Chunked {
    pub(super) const fn new() -> Self {
        Self {
            state: State::Size { value: 0, digits: 0 },
            line_bytes: 0,
        }
    }

    /// Takes bytes from the front of `input` up to the next piece.
    pub(super) fn next<'a>(&mut self, input: &mut &'a [u8]) -> Piece<'a> {
        loop {
            if let State::Data { remaining } = &mut self.state {
                if input.is_empty() {
                    return Piece::More;
                }
                let take = usize::try_from(*remaining).map_or(input.len(), |n| n.min(input.len()));
                let (data, rest) = input.split_at_checked(take).unwrap_or((input, &[]));
                *input = rest;
                *remaining -= data.len() as u64;
                if *remaining == 0 {
                    self.state = State::DataEnd;
                }
                return Piece::Data(data);
            }
            let Some((&byte, rest)) = input.split_first() else {
                return Piece::More;
            };
            *input = rest;
            self.line_bytes += 1;
            let Some(state) = self.step(byte) else {
                return Piece::Malformed;
            };
            let before = std::mem::replace(&mut self.state, state);
            if state == State::Done {
                return Piece::End;
            }
            let is_blank = matches!(before, State::Trailer { empty: true }) && byte == b'\r';
            if matches!(before, State::Trailer { .. }) && !is_blank && self.line_bytes <= MAX_LINE_BYTES {
                return Piece::Trailer(byte);
            }
            if self.line_bytes > MAX_LINE_BYTES {
                return Piece::Malformed;
            }
        }
    }

    fn step(&mut self, byte: u8) -> Option<State> {
        Some(match (self.state, byte) {
            (State::Size { value, digits }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let digit = (byte as char).to_digit(16)?;
                State::Size {
                    value: value.checked_mul(16)?.checked_add(u64::from(digit))?,
                    digits: digits.saturating_add(1),
                }
            }
            (State::Size { digits: 0, .. }, _) => return None,
            (State::Size { value, .. } | State::Extension { value }, b'\n') => self.sized(value),
            (State::Size { value, .. }, b'\r' | b';' | b' ' | b'\t') => State::Extension { value },
            (State::Size { .. }, _) => return None,
            (State::Extension { value }, _) => State::Extension { value },
            (State::DataEnd, b'\r') => State::DataEnd,
            (State::DataEnd, b'\n') => {
                self.line_bytes = 0;
                State::Size { value: 0, digits: 0 }
            }
            (State::DataEnd, _) => return None,
            (State::Trailer { empty: true }, b'\n') => State::Done,
            (State::Trailer { empty: false }, b'\n') => State::Trailer { empty: true },
            (State::Trailer { empty: true }, b'\r') => State::Trailer { empty: true },
            (State::Trailer { .. }, _) => State::Trailer { empty: false },
            (State::Data { .. } | State::Done, _) => return None,
        })
    }

    fn sized(&mut self, value: u64) -> State {
        self.line_bytes = 0;
        if value == 0 {
            State::Trailer { empty: true }
        } else {
            State::Data { remaining: value }
        }
    }

    /// Skips `count` unseen bytes, if they lie inside the present chunk's data: then the framing stays exact.
    pub(super) fn skip(&mut self, count: u64) -> bool {
        match &mut self.state {
            State::Data { remaining } if *remaining > count => {
                *remaining -= count;
                true
            }
            State::Data { remaining } if *remaining == count => {
                self.state = State::DataEnd;
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(parts: &[&[u8]]) -> Result<(Vec<u8>, usize), ()> {
        let mut chunked = Chunked::new();
        let mut data = Vec::new();
        for (index, part) in parts.iter().enumerate() {
            let mut input = *part;
            loop {
                match chunked.next(&mut input) {
                    Piece::More => break,
                    Piece::Data(bytes) => data.extend_from_slice(bytes),
                    Piece::Trailer(byte) => assert!(b"Trailer: x\r\n".contains(&byte)),
                    Piece::End => {
                        let rest: usize = parts[index + 1..].iter().map(|part| part.len()).sum();
                        return Ok((data, input.len() + rest));
                    }
                    Piece::Malformed => return Err(()),
                }
            }
        }
        Err(())
    }

    #[test]
    fn every_split_gives_the_same_data() {
        let whole: &[u8] = b"5;name=\"v\"\r\nhello\r\n0A\r\n, world ok\r\n0\r\nTrailer: x\r\n\r\nNEXT";
        let expected = Ok((b"hello, world ok".to_vec(), 4));
        for cut in 0..whole.len() {
            assert_eq!(decode(&[&whole[..cut], &whole[cut..]]), expected, "{cut}");
        }
        let bytes: Vec<&[u8]> = whole.chunks(1).collect();
        assert_eq!(decode(&bytes), expected);
    }

    #[test]
    fn bare_line_feeds_are_taken() {
        assert_eq!(decode(&[b"3\nabc\n0\n\n"]), Ok((b"abc".to_vec(), 0)));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            &b"\r\n"[..],
            b"x\r\n",
            b"-1\r\n",
            b"3\r\nabcd\r\n",
            b"11111111111111111\r\n",
            b"5x\r\n",
        ] {
            assert_eq!(decode(&[text]), Err(()), "{}", text.escape_ascii());
        }
    }

    #[test]
    fn gaps_inside_a_chunk_keep_the_framing() {
        let mut chunked = Chunked::new();
        assert!(!chunked.skip(1));
        let mut input: &[u8] = b"a\r\nab";
        assert_eq!(chunked.next(&mut input), Piece::Data(b"ab"));
        assert!(!chunked.skip(9));
        assert!(chunked.skip(8));
        let mut input: &[u8] = b"\r\n0\r\n\r\n";
        assert_eq!(chunked.next(&mut input), Piece::End);
    }
}
