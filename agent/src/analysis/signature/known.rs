//! Values that were looked at and found harmless: most values of most requests come again.
//!
//! In: a value, with all that its judgement depends on. Out: what the look at it cost, if it is known. No value is kept,
//! only its name under a key of this run: nobody can make an attack that has the name of something harmless. Of fixed
//! size: a flood of new values costs those that came once their place, and never lets one pass.

use std::hash::Hasher as _;

use siphasher::sip::SipHasher13;

use super::{
    MAX_VALUE_BYTES,
    decode::Encoding,
    text::Source,
    values::{Item, Place},
};

/// Pairs of entries, in all 64 KiB. Overflow policy: of a pair, the one that did not come again last is forgotten.
const PAIRS: usize = 2_048;

/// Harmless values. Without a key there are none.
#[derive(Default)]
pub(super) struct Known {
    keyed: Option<SipHasher13>,
    pairs: Vec<[Entry; 2]>,
}

/// A harmless value.
#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    /// 0: none.
    name: u64,
    cost: u32,
}

impl Known {
    /// Remembers from now on, under this key; it must not be known to who sends values.
    pub(super) fn start(&mut self, key: [u8; 16]) {
        self.keyed = Some(SipHasher13::new_with_key(&key));
        self.pairs = vec![Default::default(); PAIRS];
    }

    /// Names a value with all that its judgement depends on. `None` where nothing is remembered.
    pub(super) fn name(&self, item: &Item<'_>, nesting: usize) -> Option<u64> {
        let mut hasher = self.keyed.filter(|_| item.bytes.len() <= MAX_VALUE_BYTES)?;
        let name = item.place.name();
        hasher.write(item.bytes);
        hasher.write(name);
        // Lengths tell where the one ends and the other begins.
        let kinds = kind_of(item) << 8 | (nesting as u64).min(0xff);
        hasher.write_u64(kinds << 48 | (item.bytes.len() as u64) << 24 | name.len() as u64);
        Some(hasher.finish().max(1))
    }

    /// What the look at a harmless value cost.
    pub(super) fn cost(&mut self, name: u64) -> Option<usize> {
        let [first, second] = self.pair(name)?;
        if second.name == name {
            std::mem::swap(first, second);
        }
        (first.name == name).then_some(first.cost as usize)
    }

    /// Remembers a harmless value.
    pub(super) fn add(&mut self, name: u64, cost: usize) {
        let Ok(cost) = u32::try_from(cost) else { return };
        if let Some([_, second]) = self.pair(name) {
            *second = Entry { name, cost };
        }
    }

    fn pair(&mut self, name: u64) -> Option<&mut [Entry; 2]> {
        self.pairs.get_mut(name as usize % PAIRS)
    }
}

impl std::fmt::Debug for Known {
    /// The key stays out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Known").finish_non_exhaustive()
    }
}

/// Source, encoding and place as far as detectors tell them apart.
fn kind_of(item: &Item<'_>) -> u64 {
    let source = match item.source {
        Source::Path => 0,
        Source::Query => 1,
        Source::Body => 2,
        Source::Header => 3,
        Source::FreeHeader => 4,
        Source::Name => 5,
    };
    let encoding = match item.encoding {
        Encoding::Plain => 0,
        Encoding::Percent => 1,
        Encoding::Form => 2,
        Encoding::Json => 3,
        Encoding::Entities => 4,
        Encoding::All => 5,
    };
    let is_body = matches!(item.place, Place::Body);
    source << 5 | encoding << 2 | u64::from(item.place.is_in_document()) << 1 | u64::from(is_body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item<'a>(bytes: &'a [u8], place: Place<'a>) -> Item<'a> {
        Item {
            source: Source::Query,
            place,
            bytes,
            encoding: Encoding::Form,
        }
    }

    fn started() -> Known {
        let mut known = Known::default();
        known.start([7; 16]);
        known
    }

    #[test]
    fn what_a_judgement_depends_on_is_in_the_name() {
        let known = started();
        let name = |item: Item<'_>, nesting| known.name(&item, nesting).unwrap_or_default();
        let one = item(b"ab", Place::Parameter(b"c"));
        let own = name(one, 0);
        assert_eq!(own, name(one, 0));
        for other in [
            item(b"abc", Place::Parameter(b"")),
            item(b"a", Place::Parameter(b"bc")),
            item(b"ab", Place::Parameter(b"d")),
            Item {
                source: Source::Body,
                ..one
            },
            Item {
                encoding: Encoding::Plain,
                ..one
            },
        ] {
            assert_ne!(own, name(other, 0), "{other:?}");
        }
        assert_ne!(own, name(one, 1));
        let mut other_run = Known::default();
        assert_eq!(other_run.name(&one, 0), None);
        other_run.start([8; 16]);
        assert_ne!(other_run.name(&one, 0), Some(own));
    }

    #[test]
    fn what_comes_again_outlives_a_flood() {
        let mut known = started();
        known.add(5, 70);
        known.add(6, 80);
        assert_eq!(known.cost(5), Some(70));
        for at in 0..100_000_u64 {
            known.add(at.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1 << 60, 1);
        }
        assert_eq!((known.cost(5), known.cost(6)), (Some(70), None));
        assert_eq!(known.pairs.len(), PAIRS);
    }
}
