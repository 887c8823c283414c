//! The dynamic table of one direction (RFC 7541 §2.3.2 and §4), as far as it is known.
//!
//! Indices count from the newest entry, and an entry is evicted by its own size and those of newer ones. So whatever
//! was not seen of the past, entries added since are exact; what lies behind them is unknown.

use std::collections::VecDeque;

/// Most bytes of a table, counted as the standard does (32 more than the text, per entry), which also bounds the
/// number of entries to 2,048. Overflow policy: older entries become unknown.
pub(super) const MAX_TABLE_BYTES: usize = 64 * 1024;

/// The size that every table begins with (RFC 9113 §6.5.2).
const DEFAULT_BYTES: usize = 4096;

/// What an entry takes besides its text (§4.1).
const OVERHEAD: usize = 32;

#[derive(Debug)]
struct Entry {
    /// Name and value.
    text: Box<[u8]>,
    /// Length of the name; `None` if the name is not known.
    name: Option<usize>,
}

impl Entry {
    fn size(&self) -> usize {
        self.text.len() + OVERHEAD
    }
}

/// An entry that was referred to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lookup<'a> {
    /// It is there; its name may be unknown.
    Known(Option<&'a [u8]>, &'a [u8]),
    /// It may have been there before.
    Unknown,
    /// There is no such entry.
    Missing,
}

/// The table.
#[derive(Debug)]
pub(super) struct Table {
    /// The newest first.
    entries: VecDeque<Entry>,
    size: usize,
    max: usize,
    /// `max` is what the encoder uses; else it is only a bound.
    is_exact: bool,
    /// There may be entries behind those that are known.
    has_past: bool,
}

impl Table {
    /// At the start of a connection.
    pub(super) fn new() -> Self {
        Self {
            entries: VecDeque::new(),
            size: 0,
            max: DEFAULT_BYTES,
            is_exact: true,
            has_past: false,
        }
    }

    /// Changes that were not seen: all entries moved by an unknown number of places.
    pub(super) fn lose(&mut self) {
        self.entries.clear();
        self.size = 0;
        self.max = MAX_TABLE_BYTES;
        self.is_exact = false;
        self.has_past = true;
    }

    /// The entry at `index`, from 0.
    pub(super) fn get(&self, index: usize) -> Lookup<'_> {
        match self.entries.get(index) {
            Some(entry) => match entry.name.map(|name| entry.text.split_at_checked(name)) {
                Some(Some((name, value))) => Lookup::Known(Some(name), value),
                _ => Lookup::Known(None, &entry.text),
            },
            None if self.has_past => Lookup::Unknown,
            None => Lookup::Missing,
        }
    }

    /// Adds an entry in front. One larger than the table empties it (§4.4).
    pub(super) fn insert(&mut self, name: Option<&[u8]>, value: &[u8]) {
        let length = name.map(<[u8]>::len);
        // An unknown name counts as empty: an entry is then kept for longer than its encoder does, which no valid
        // block can tell.
        let text = [name.unwrap_or_default(), value].concat().into_boxed_slice();
        let entry = Entry { text, name: length };
        self.shrink(self.max.saturating_sub(entry.size()));
        if entry.size() <= self.max {
            self.size += entry.size();
            self.entries.push_front(entry);
        }
    }

    /// The encoder says the size it uses (§6.3).
    pub(super) fn resize(&mut self, max: usize) {
        self.max = max.min(MAX_TABLE_BYTES);
        self.is_exact = max <= MAX_TABLE_BYTES;
        if self.max == 0 {
            self.has_past = false;
        }
        self.shrink(self.max);
    }

    /// Evicts the oldest entries down to a size.
    fn shrink(&mut self, target: usize) {
        while self.size > target {
            let Some(entry) = self.entries.pop_back() else {
                return;
            };
            self.size -= entry.size();
            // What was older went before it.
            self.has_past = !self.is_exact;
        }
    }

    /// Bytes of memory.
    pub(super) fn memory(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>()
            + self.entries.iter().map(|entry| entry.text.len()).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known<'a>(name: &'a str, value: &'a str) -> Lookup<'a> {
        Lookup::Known(Some(name.as_bytes()), value.as_bytes())
    }

    #[test]
    fn the_oldest_are_evicted() {
        let mut table = Table::new();
        table.resize(100);
        table.insert(Some(b"a"), b"1");
        table.insert(Some(b"b"), b"2");
        table.insert(Some(b"c"), b"3");
        assert_eq!(table.get(0), known("c", "3"));
        assert_eq!(table.get(1), known("b", "2"));
        assert_eq!(table.get(2), Lookup::Missing);
        table.insert(Some(b"long"), &[b'x'; 100]);
        assert_eq!(table.get(0), Lookup::Missing);
    }

    #[test]
    fn after_a_loss_new_entries_are_exact_and_older_ones_unknown() {
        let mut table = Table::new();
        table.insert(Some(b"a"), b"1");
        table.lose();
        table.insert(Some(b"b"), b"2");
        assert_eq!(table.get(0), known("b", "2"));
        assert_eq!(table.get(1), Lookup::Unknown);
        table.resize(64);
        assert_eq!(table.get(1), Lookup::Unknown);
        table.insert(Some(b"c"), b"3");
        // Two do not fit: nothing older can be left.
        assert_eq!(table.get(1), Lookup::Missing);
    }

    #[test]
    fn a_table_larger_than_the_bound_forgets() {
        let mut table = Table::new();
        table.resize(1 << 30);
        for _ in 0..3000 {
            table.insert(Some(b"name"), b"value");
        }
        assert!(table.memory() <= 2 * MAX_TABLE_BYTES);
        assert_eq!(table.get(0), known("name", "value"));
        assert_eq!(table.get(2999), Lookup::Unknown);
        table.resize(0);
        assert_eq!(table.get(0), Lookup::Missing);
    }
}
