//! A bounded memory: the one not asked for the longest is forgotten.

use lru::LruCache;

use crate::bounded::remember_with;

/// What is remembered of so many names at the most.
#[derive(Debug)]
pub(in crate::analysis) struct Memory<T>(LruCache<u64, T, foldhash::fast::FixedState>);

impl<T: Default> Memory<T> {
    /// Remembers `limit` names.
    pub(in crate::analysis) fn new(limit: usize) -> Self {
        Self(remember_with(limit, foldhash::fast::FixedState::default()))
    }

    /// What is remembered of a name; nothing yet if it is new.
    pub(in crate::analysis) fn of(&mut self, name: u64) -> &mut T {
        self.0.get_or_insert_mut(name, T::default)
    }

    /// What is remembered of a name, if anything.
    pub(in crate::analysis) fn get(&self, name: u64) -> Option<&T> {
        self.0.peek(&name)
    }
}

/// Names told apart. Overflow policy: more count as this many.
const MAX_NAMES: usize = 64;

/// A few different names.
#[derive(Debug, Clone, Default)]
pub(super) struct Few {
    names: smallvec::SmallVec<[u64; 4]>,
}

impl Few {
    /// Adds a name. Whether it is new.
    pub(super) fn add(&mut self, name: u64) -> bool {
        let is_new = !self.names.contains(&name);
        if is_new && self.names.len() < MAX_NAMES {
            self.names.push(name);
        }
        is_new
    }

    pub(super) fn has(&self, name: u64) -> bool {
        self.names.contains(&name)
    }

    pub(super) fn count(&self) -> usize {
        self.names.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten() {
        let mut memory = Memory::<u32>::new(2);
        *memory.of(1) = 1;
        *memory.of(2) = 2;
        *memory.of(1) += 1;
        *memory.of(3) = 3;
        assert_eq!((memory.get(1), memory.get(2)), (Some(&2), None));
        let mut few = Few::default();
        (0..1000).for_each(|name| assert!(few.add(name)));
        assert!(few.count() == MAX_NAMES && few.has(3) && !few.add(3));
    }
}
