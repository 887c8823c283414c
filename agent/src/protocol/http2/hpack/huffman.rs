//! The Huffman code of header strings (RFC 7541 §5.2 and appendix B).
//!
//! In: coded bytes. Out: the text. The code is canonical, so the lengths of its words are all of it; the tables
//! that decoding needs are made from them at compile time. Linear in the input; a byte of it gives two bytes at the
//! most.

/// Symbols: 256 bytes and the end of the string.
const SYMBOLS: usize = 257;
const END: u16 = 256;
const LONGEST: usize = 30;

/// Bits of each symbol's word.
#[rustfmt::skip]
const BITS: [u8; SYMBOLS] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
];

/// A canonical code: words of one length are consecutive numbers, in the order of their symbols.
struct Code {
    /// By length: behind the last word, with zeros appended up to 32 bits.
    ends: [u64; LONGEST + 1],
    /// By length: the first word, and the place of its symbol in `symbols`.
    first: [u32; LONGEST + 1],
    offset: [u16; LONGEST + 1],
    symbols: [u16; SYMBOLS],
}

#[expect(
    clippy::indexing_slicing,
    reason = "evaluated at compile time, where an index out of bounds is an error"
)]
const fn code() -> Code {
    let mut code = Code {
        ends: [0; LONGEST + 1],
        first: [0; LONGEST + 1],
        offset: [0; LONGEST + 1],
        symbols: [0; SYMBOLS],
    };
    let (mut word, mut place, mut bits) = (0_u32, 0_usize, 1_usize);
    while bits <= LONGEST {
        word <<= 1;
        code.first[bits] = word;
        code.offset[bits] = place as u16;
        let mut symbol = 0;
        while symbol < SYMBOLS {
            if BITS[symbol] as usize == bits {
                code.symbols[place] = symbol as u16;
                place += 1;
                word += 1;
            }
            symbol += 1;
        }
        code.ends[bits] = (word as u64) << (32 - bits);
        bits += 1;
    }
    code
}

static CODE: Code = code();

/// The string is not in the code: a word for the end, or padding that is not the beginning of that word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// Appends the text of a coded string.
pub(super) fn decode(coded: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    // The next bits stand at the top of `window`.
    let (mut window, mut held) = (0_u64, 0_u32);
    let mut input = coded.iter();
    loop {
        while held <= 56 {
            let Some(byte) = input.next() else { break };
            window |= u64::from(*byte) << (56 - held);
            held += 8;
        }
        match next(window) {
            Some((symbol, bits)) if bits <= held => {
                if symbol == END {
                    return Err(Malformed);
                }
                out.push(symbol as u8);
                window <<= bits;
                held -= bits;
            }
            _ => break,
        }
    }
    // Padding: fewer than eight bits, all ones.
    let is_padding = held < 8 && window >> (64 - held.max(1)) == (1_u64 << held.max(1)) - 1;
    if held == 0 || is_padding {
        Ok(())
    } else {
        Err(Malformed)
    }
}

/// The first symbol of a window and its length.
fn next(window: u64) -> Option<(u16, u32)> {
    let top = window >> 32;
    let bits = CODE.ends.iter().skip(5).position(|end| top < *end)? + 5;
    let word = (top >> (32 - bits)) as u32;
    let place = usize::from(*CODE.offset.get(bits)?) + (word - CODE.first.get(bits)?) as usize;
    Some((*CODE.symbols.get(place)?, bits as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Codes a string, with words made another way: by counting up.
    fn encode(text: &[u8]) -> Vec<u8> {
        let mut order: Vec<usize> = (0..SYMBOLS).collect();
        order.sort_by_key(|symbol| (BITS[*symbol], *symbol));
        let mut words = vec![(0_u32, 0_u8); SYMBOLS];
        let (mut word, mut last) = (0_u32, BITS[order[0]]);
        for symbol in order {
            word <<= BITS[symbol] - last;
            last = BITS[symbol];
            words[symbol] = (word, last);
            word += 1;
        }
        let mut bits: Vec<bool> = Vec::new();
        for byte in text {
            let (word, length) = words[usize::from(*byte)];
            bits.extend((0..length).rev().map(|bit| word >> bit & 1 == 1));
        }
        while !bits.len().is_multiple_of(8) {
            bits.push(true);
        }
        bits.chunks(8)
            .map(|byte| byte.iter().fold(0, |sum, bit| sum << 1 | u8::from(*bit)))
            .collect()
    }

    fn decoded(coded: &[u8]) -> Result<Vec<u8>, Malformed> {
        let mut out = Vec::new();
        decode(coded, &mut out).map(|()| out)
    }

    #[test]
    fn examples_of_the_standard() {
        // RFC 7541, C.4.1 and C.6.1.
        let coded = [
            0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff,
        ];
        assert_eq!(decoded(&coded).unwrap(), b"www.example.com");
        assert_eq!(decoded(&[0x64, 0x02]).unwrap(), b"302");
        assert_eq!(decoded(&[]).unwrap(), b"");
    }

    #[test]
    fn every_byte_has_a_word() {
        let all: Vec<u8> = (0..=255).chain((0..=255).rev()).collect();
        assert_eq!(decoded(&encode(&all)).unwrap(), all);
        for byte in 0..=255 {
            assert_eq!(decoded(&encode(&[byte, b'a'])).unwrap(), [byte, b'a']);
        }
    }

    #[test]
    fn padding_is_ones_and_short() {
        // "0" is 00000.
        assert_eq!(decoded(&[0b0000_0111]).unwrap(), b"0");
        assert_eq!(decoded(&[0b0000_0110]), Err(Malformed));
        assert_eq!(decoded(&[0b0000_0111, 0xff]), Err(Malformed));
        assert_eq!(decoded(&[0xff, 0xff, 0xff, 0xff]), Err(Malformed));
    }

    #[test]
    fn any_bytes_end_and_stay_small() {
        let mut state = 1_u64;
        for length in 0..300 {
            let coded: Vec<u8> = (0..length)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    (state >> 40) as u8
                })
                .collect();
            let mut out = Vec::new();
            decode(&coded, &mut out).ok();
            assert!(out.len() <= coded.len() * 2);
        }
    }
}
