//! Tables that remember the latest so many.
//!
//! In: how many. Out: an [`LruCache`] that forgets the one not asked for the longest, and that takes room as it fills: the
//! constructors of the crate take room for all at once, which is megabytes for tables that mostly stay nearly empty.

use std::{
    hash::{BuildHasher, Hash},
    num::NonZeroUsize,
};

use lru::{DefaultHasher, LruCache};

/// Remembers `limit` (at least one).
pub(crate) fn remember<K: Hash + Eq, V>(limit: usize) -> LruCache<K, V> {
    remember_with(limit, DefaultHasher::default())
}

/// The same, told apart by `hasher`.
pub(crate) fn remember_with<K: Hash + Eq, V, S: BuildHasher>(limit: usize, hasher: S) -> LruCache<K, V, S> {
    let mut table = LruCache::unbounded_with_hasher(hasher);
    table.resize(NonZeroUsize::new(limit).unwrap_or(NonZeroUsize::MIN));
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_not_asked_for_the_longest_is_forgotten() {
        let mut table = remember::<u32, u32>(1_000);
        for number in 0..1_001 {
            table.put(number, number);
            table.get(&0);
        }
        assert_eq!(
            (table.len(), table.peek(&0), table.peek(&1)),
            (1_000, Some(&0), None)
        );
        assert_eq!(remember::<u32, u32>(0).cap(), NonZeroUsize::MIN);
    }
}
