//! The headers of an executable, read within bounds.
//!
//! In: a file of anybody's. Out: what the reader of ELF headers asks for. It trusts the counts that a file states and would
//! keep a table as large as that in memory: here large reads, and too many, are refused, and the file is no executable
//! then. Refuses to read contents: sections are read in pieces by those who look at them.

use std::{cell::Cell, fs::File, ops::Range};

use object::{ReadCache, ReadRef};

/// Bytes of all headers and names of one file: 65,536 headers of sections take 4 MiB. Overflow policy: refused.
const MAX_BYTES: u64 = 6 << 20;

/// Bytes of the name of a section. Overflow policy: it has none of the names that are looked for.
const MAX_NAME_BYTES: u64 = 64;

/// A file that gives little of itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Headers<'f> {
    cache: &'f Cache<'f>,
}

/// What was read of a file, and how much of it may still be.
#[derive(Debug)]
pub(super) struct Cache<'f> {
    read: ReadCache<&'f File>,
    left: Cell<u64>,
}

impl<'f> Cache<'f> {
    /// Of a file of which nothing was read.
    pub(super) fn new(file: &'f File) -> Self {
        Self {
            read: ReadCache::new(file),
            left: Cell::new(MAX_BYTES),
        }
    }

    /// What a reader of headers reads.
    pub(super) fn headers(&'f self) -> Headers<'f> {
        Headers { cache: self }
    }

    fn take(&self, bytes: u64) -> Result<(), ()> {
        self.left.set(self.left.get().checked_sub(bytes).ok_or(())?);
        Ok(())
    }
}

impl<'f> ReadRef<'f> for Headers<'f> {
    fn len(self) -> Result<u64, ()> {
        self.cache.read.len()
    }

    fn read_bytes_at(self, offset: u64, size: u64) -> Result<&'f [u8], ()> {
        self.cache.take(size)?;
        self.cache.read.read_bytes_at(offset, size)
    }

    fn read_bytes_at_until(self, range: Range<u64>, delimiter: u8) -> Result<&'f [u8], ()> {
        self.cache.take(MAX_NAME_BYTES)?;
        let end = range.end.min(range.start.saturating_add(MAX_NAME_BYTES));
        self.cache.read.read_bytes_at_until(range.start..end, delimiter)
    }
}
