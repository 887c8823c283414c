//! Names of fields, compared without case (RFC 9110 §5.1).
//!
//! In: a name as it was sent, and one in lower case. Out: whether they are the same. Each exchange asks this dozens of times,
//! so eight bytes are compared at once.

/// Whether a name is this one, which is in lower case.
#[inline]
pub(crate) fn is(name: &[u8], lower: &[u8]) -> bool {
    if name.len() != lower.len() {
        return false;
    }
    // The last eight, or four, may overlap those before.
    if let (Some(last), Some(lower_last)) = (name.last_chunk(), lower.last_chunk()) {
        let (eights, _) = name.as_chunks::<8>();
        let (lower_eights, _) = lower.as_chunks::<8>();
        return same(last, lower_last)
            && eights
                .iter()
                .zip(lower_eights)
                .all(|(one, other)| same(one, other));
    }
    let four = |bytes: &[u8]| Some((*bytes.first_chunk::<4>()?, *bytes.last_chunk::<4>()?));
    match (four(name), four(lower)) {
        (Some((first, last)), Some((lower_first, lower_last))) => {
            same(&join(first, last), &join(lower_first, lower_last))
        }
        _ => name.eq_ignore_ascii_case(lower),
    }
}

fn join(first: [u8; 4], last: [u8; 4]) -> [u8; 8] {
    let ([a, b, c, d], [e, f, g, h]) = (first, last);
    [a, b, c, d, e, f, g, h]
}

fn same(bytes: &[u8; 8], lower: &[u8; 8]) -> bool {
    in_lower_case(u64::from_ne_bytes(*bytes)) == u64::from_ne_bytes(*lower)
}

/// Eight bytes, those of them that are ASCII letters in lower case. Each sum stays within its byte.
const fn in_lower_case(bytes: u64) -> u64 {
    const ONES: u64 = u64::MAX / 0xff;
    const HIGH: u64 = ONES * 0x80;
    let low = bytes & !HIGH;
    let from_a = low + ONES * (0x80 - b'A' as u64);
    let behind_z = low + ONES * (0x7f - b'Z' as u64);
    let is_capital = from_a & !behind_z & !bytes & HIGH;
    bytes | is_capital >> 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_at_every_place_is_compared() {
        let lower: Vec<u8> = (0..40)
            .map(|at| b"abcdefghijklmnopqrstuvwxyz-"[at % 27])
            .collect();
        for length in 0..lower.len() {
            let lower = &lower[..length];
            assert!(is(&lower.to_ascii_uppercase(), lower));
            assert!(!is(lower, &[lower, b"x"].concat()));
            for at in 0..length {
                let mut name = lower.to_vec();
                for byte in 0..=255 {
                    name[at] = byte;
                    assert_eq!(
                        is(&name, lower),
                        name.eq_ignore_ascii_case(lower),
                        "{byte} at {at}"
                    );
                }
            }
        }
    }
}
