//! A ring of the kernel programs (`BPF_MAP_TYPE_RINGBUF`), mapped and read.
//!
//! In: the map's descriptor. Out: each record, to a callback, where it lies. The kernel offers the data twice in a row, so
//! that a record that crosses the end reads as one piece; but every page counts as resident from the moment it is
//! mapped, each time it is mapped. Here the data is mapped once, and the one record of each round that crosses the
//! end is put together in a buffer. Writes nothing but how far it has read.
//!
//! Source: `kernel/bpf/ringbuf.c` (5.8); the layout of the pages is in the comment before `bpf_ringbuf_area_alloc`.

use std::{
    io,
    os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd},
    ptr::NonNull,
    sync::atomic::{AtomicU32, AtomicUsize, Ordering, fence},
};

use anyhow::{Context as _, Result, bail, ensure};
use aya::maps::{Map, MapData};

/// Bytes before each record: its length and flags, and a number that only the kernel needs.
const HEADER_BYTES: usize = 8;

/// Flags in the length: still being written; given up by the program.
const BUSY: u32 = 1 << 31;
const DISCARDED: u32 = 1 << 30;

/// Of the data, the part whose room is given back at once. Each time takes the word away from the processors that write,
/// which look at it for each record. What is read and not given back can be lost: one part in so many of a full ring.
const TOLD_SHARE: usize = 128;

/// Pages of a descriptor.
struct Pages {
    start: NonNull<u8>,
    bytes: usize,
}

// SAFETY: memory of the whole process, which no thread owns.
unsafe impl Send for Pages {}

impl Pages {
    fn map(fd: BorrowedFd<'_>, protection: libc::c_int, offset: usize, bytes: usize) -> io::Result<Self> {
        let offset = libc::off_t::try_from(offset).map_err(io::Error::other)?;
        // SAFETY: a new mapping wherever there is room for it: no memory in use is replaced.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                bytes,
                protection,
                libc::MAP_SHARED,
                fd.as_raw_fd(),
                offset,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or_else(|| io::Error::other("mapped at address 0"))?;
        Ok(Self { start, bytes })
    }

    /// The word at the start, which the other side writes, too.
    fn position(&self) -> &AtomicUsize {
        // SAFETY: a mapping has at least a page, begins on one, and lives as long as `self`.
        unsafe { self.start.cast::<AtomicUsize>().as_ref() }
    }

    /// Bytes that nobody writes any more; `None` beyond the end.
    fn get(&self, offset: usize, length: usize) -> Option<&[u8]> {
        (offset.checked_add(length)? <= self.bytes).then(|| {
            // SAFETY: within the mapping, which lives as long as `self`; what lies between the positions of reader and
            // writer and is not marked as busy is not written before the reader has moved on.
            unsafe { std::slice::from_raw_parts(self.start.as_ptr().add(offset), length) }
        })
    }

    /// The first half of a record's header; `None` beyond the end, or at no place for a header.
    fn length(&self, offset: usize) -> Option<u32> {
        let fits = offset.is_multiple_of(HEADER_BYTES) && offset.checked_add(HEADER_BYTES)? <= self.bytes;
        // SAFETY: within the mapping and aligned; the kernel writes this word at once.
        let word = fits.then(|| unsafe { self.start.add(offset).cast::<AtomicU32>().as_ref() })?;
        Some(word.load(Ordering::Acquire))
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: exactly what was mapped, and nothing borrows it any more. It cannot fail for a mapping that is there.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.bytes) };
    }
}

/// A ring, mapped.
pub struct Ring {
    fd: OwnedFd,
    /// The map as it was loaded: programs that are loaded later name it by the number of its descriptor, which therefore
    /// must not be closed and given to another file.
    _loaded: Option<MapData>,
    /// How far the reader is.
    read: Pages,
    /// How far the programs are, and behind the first page the data.
    written: Pages,
    page_bytes: usize,
    data_bytes: usize,
    at: usize,
    /// How far the programs were when that was looked at last.
    until: usize,
    /// How far the programs were told that the reader is.
    told: usize,
    /// Records were taken since the last fence.
    has_moved: bool,
    /// For the record that crosses the end.
    joined: Vec<u8>,
}

impl Ring {
    /// Maps a ring of the loaded object.
    ///
    /// # Errors
    /// When the map is of another type, or the kernel refuses.
    pub fn new(map: Map) -> Result<Self> {
        let Map::RingBuf(map) = map else {
            bail!("the map is no ring");
        };
        let data_bytes = map
            .info()
            .context("cannot ask for the size of a ring")?
            .max_entries();
        let fd = map.fd().as_fd().try_clone_to_owned();
        let ring = Self::map(
            fd.context("cannot keep the descriptor of a ring")?,
            data_bytes as usize,
        )?;
        Ok(Self {
            _loaded: Some(map),
            ..ring
        })
    }

    fn map(fd: OwnedFd, data_bytes: usize) -> Result<Self> {
        let page_bytes = rustix::param::page_size();
        ensure!(
            data_bytes.is_power_of_two() && data_bytes >= page_bytes,
            "a ring of {data_bytes} bytes"
        );
        let read_write = libc::PROT_READ | libc::PROT_WRITE;
        let read = Pages::map(fd.as_fd(), read_write, 0, page_bytes);
        let read = read.context("cannot map the reader's page of a ring")?;
        let written = Pages::map(fd.as_fd(), libc::PROT_READ, page_bytes, page_bytes + data_bytes);
        let written = written.context("cannot map the data of a ring")?;
        let at = read.position().load(Ordering::Acquire);
        Ok(Self {
            fd,
            _loaded: None,
            read,
            written,
            page_bytes,
            data_bytes,
            at,
            until: at,
            told: at,
            has_moved: false,
            joined: Vec::new(),
        })
    }

    /// Hands the next record to `record`; false when none is there yet. Its room is given back then, or with that of the
    /// records after it, or by [`Ring::give_back`].
    pub fn next(&mut self, record: &mut impl FnMut(&[u8])) -> bool {
        loop {
            if self.at == self.until {
                self.until = self.written.position().load(Ordering::Acquire);
            }
            let offset = self.at & (self.data_bytes - 1);
            let length = match self.at == self.until {
                true => None,
                false => self.written.length(self.page_bytes + offset),
            };
            let Some(length) = length.filter(|length| length & BUSY == 0) else {
                if !std::mem::take(&mut self.has_moved) {
                    return false;
                }
                self.give_back();
                // Either the programs see how far the reader is, and wake it for what comes; or it is seen here.
                fence(Ordering::SeqCst);
                continue;
            };
            let is_wanted = length & DISCARDED == 0;
            let length = (length & !DISCARDED) as usize;
            if is_wanted && !self.hand_over(offset + HEADER_BYTES, length, record) {
                return false;
            }
            self.at = self
                .at
                .wrapping_add((HEADER_BYTES + length).next_multiple_of(HEADER_BYTES));
            self.has_moved = true;
            if self.at.wrapping_sub(self.told) >= self.data_bytes / TOLD_SHARE {
                self.give_back();
            }
            if is_wanted {
                return true;
            }
        }
    }

    /// Tells the programs how far the reader is. To be called when no record is asked for any more.
    pub fn give_back(&mut self) {
        if self.told != self.at {
            self.told = self.at;
            self.read.position().store(self.at, Ordering::Release);
        }
    }

    /// False when there can be no such record.
    fn hand_over(&mut self, offset: usize, length: usize, record: &mut impl FnMut(&[u8])) -> bool {
        if length > self.data_bytes {
            return false;
        }
        let before_end = self.data_bytes.saturating_sub(offset);
        if length <= before_end {
            let bytes = self.written.get(self.page_bytes + offset, length);
            return bytes.map(record).is_some();
        }
        // A record may begin right at the end: behind a header that is the last of the round.
        let head = self.written.get(self.page_bytes + offset, before_end);
        let tail = self.written.get(self.page_bytes, length - before_end);
        let Some((head, tail)) = head.zip(tail) else {
            return false;
        };
        self.joined.clear();
        self.joined.extend_from_slice(head);
        self.joined.extend_from_slice(tail);
        record(&self.joined);
        true
    }
}

impl AsFd for Ring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, os::unix::fs::FileExt as _};

    use rustix::fs::{MemfdFlags, memfd_create};

    use super::*;

    /// The kernel's side: a file with its pages.
    struct Writer {
        file: File,
        page_bytes: u64,
        data_bytes: u64,
        at: u64,
    }

    fn ring() -> (Writer, Ring) {
        let page_bytes = rustix::param::page_size() as u64;
        let data_bytes = page_bytes;
        let file = File::from(memfd_create("ring", MemfdFlags::empty()).unwrap());
        file.set_len(2 * page_bytes + data_bytes).unwrap();
        let ring = Ring::map(file.try_clone().unwrap().into(), data_bytes as usize).unwrap();
        let writer = Writer {
            file,
            page_bytes,
            data_bytes,
            at: 0,
        };
        (writer, ring)
    }

    impl Writer {
        fn data(&self, at: u64, bytes: &[u8]) {
            for (number, byte) in bytes.iter().enumerate() {
                let offset = (at + number as u64) % self.data_bytes;
                let place = 2 * self.page_bytes + offset;
                self.file.write_all_at(&[*byte], place).unwrap();
            }
        }

        fn write(&mut self, flags: u32, bytes: &[u8]) -> u64 {
            let header = self.at;
            self.data(header, &(bytes.len() as u32 | flags).to_ne_bytes());
            self.data(header + HEADER_BYTES as u64, bytes);
            self.at += (HEADER_BYTES as u64 + bytes.len() as u64).next_multiple_of(8);
            let at = (self.at as usize).to_ne_bytes();
            self.file.write_all_at(&at, self.page_bytes).unwrap();
            header
        }

        /// How far the reader says that it is.
        fn read(&self) -> u64 {
            let mut bytes = [0; size_of::<usize>()];
            self.file.read_exact_at(&mut bytes, 0).unwrap();
            usize::from_ne_bytes(bytes) as u64
        }
    }

    fn taken(ring: &mut Ring) -> Vec<Vec<u8>> {
        let mut taken = Vec::new();
        while ring.next(&mut |record| taken.push(record.to_vec())) {}
        taken
    }

    #[test]
    fn records_come_whole_wherever_they_lie() {
        let (mut writer, mut ring) = ring();
        // Lengths that put every multiple of eight bytes at the end of the data in turn.
        for round in 0_u64..2_000 {
            let lengths = [round % 100, 8 * (round % 7), 1_000 + round % 13];
            let records: Vec<Vec<u8>> = lengths
                .iter()
                .map(|length| (0..*length).map(|at| (at + round) as u8).collect())
                .collect();
            for record in &records {
                writer.write(0, record);
            }
            assert_eq!(taken(&mut ring), records, "{round}");
            assert_eq!(writer.read(), writer.at);
        }
        assert!(writer.at > 100 * writer.data_bytes);
    }

    #[test]
    fn what_is_being_written_is_waited_for_and_what_was_given_up_is_passed_over() {
        let (mut writer, mut ring) = ring();
        writer.write(DISCARDED, b"given up");
        let busy = writer.write(BUSY, b"slow");
        writer.write(0, b"fast");
        assert_eq!(taken(&mut ring), Vec::<Vec<u8>>::new());
        assert_eq!(writer.read(), busy);
        writer.data(busy, &4_u32.to_ne_bytes());
        assert_eq!(taken(&mut ring), [b"slow".to_vec(), b"fast".to_vec()]);
        assert_eq!(taken(&mut ring), Vec::<Vec<u8>>::new());
    }

    #[test]
    fn a_length_that_cannot_be_is_not_read() {
        let (mut writer, mut ring) = ring();
        let odd = writer.write(0, b"odd");
        writer.data(odd, &(DISCARDED - 1).to_ne_bytes());
        assert_eq!(taken(&mut ring), Vec::<Vec<u8>>::new());
        assert_eq!(writer.read(), odd);
    }
}
