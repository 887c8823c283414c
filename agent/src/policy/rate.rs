//! How often something came, for each caller, in windows that follow each other.

use std::hash::Hasher as _;

use lru::LruCache;
use siphasher::sip::SipHasher13;

use super::{
    matching::Facts,
    rule::{By, Rate},
};
use crate::bounded::remember;

/// Callers that are counted at a time, over all rules. Overflow policy: the one not seen the longest starts anew.
const MAX_COUNTED: usize = 16_384;

/// Counts of callers.
#[derive(Debug)]
pub(super) struct Rates(LruCache<u64, (u64, u64)>);

impl Default for Rates {
    fn default() -> Self {
        Self(remember(MAX_COUNTED))
    }
}

impl Rates {
    /// Counts one; the count in this window if it is above the rate.
    pub(super) fn exceeds(&mut self, rule: u64, rate: &Rate, facts: &Facts<'_>) -> Option<u64> {
        let window = facts.at().0 / (u64::from(rate.seconds.max(1)) * 1_000_000_000);
        let mut hash = SipHasher13::new();
        hash.write_u64(rule);
        match (rate.by, facts.credential()) {
            (By::All, _) => {}
            (By::Credential, Some(credential)) => hash.write_u64(credential),
            (By::Credential | By::Caller, _) => hash.write(facts.caller().as_bytes()),
        }
        let counted = self.0.get_or_insert_mut(hash.finish(), || (window, 0));
        if counted.0 != window {
            *counted = (window, 0);
        }
        counted.1 += 1;
        (counted.1 > rate.count).then_some(counted.1)
    }
}
