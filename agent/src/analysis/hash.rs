//! Names for values that are compared and never kept.
//!
//! In: bytes. Out: 64 bits that are the same on every host and in every version, so that a stored baseline still
//! fits. Refuses to be a secret: what must not be guessed is named by [`crate::protocol::redact`] with the host's key.

use std::hash::Hasher as _;

use siphasher::sip::SipHasher13;

/// The name of some bytes.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    // The same as piece by piece, and cheaper.
    SipHasher13::new_with_keys(0, 0).hash(bytes)
}

/// The name of several texts in their order.
pub(crate) fn hash_all<'a>(parts: impl IntoIterator<Item = &'a str>) -> u64 {
    let mut hasher = SipHasher13::new_with_keys(0, 0);
    for part in parts {
        hasher.write(part.as_bytes());
        hasher.write_u8(0);
    }
    hasher.finish()
}

/// The name of two names in their order.
pub(crate) const fn mix(left: u64, right: u64) -> u64 {
    // The finaliser of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
    let mut mixed = left.rotate_left(31) ^ right.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_stable_and_tell_apart() {
        for length in 0..40 {
            let bytes = vec![b'x'; length];
            let mut pieces = SipHasher13::new_with_keys(0, 0);
            pieces.write(&bytes);
            assert_eq!(hash(&bytes), pieces.finish());
        }
        assert_ne!(hash_all(["ab", "c"]), hash_all(["a", "bc"]));
        assert_ne!(mix(1, 2), mix(2, 1));
    }
}
