//! Events on disk until every sink has delivered them.
//!
//! In: lines. Out: the same lines in order, to each reader from where it last was. A directory holds segments named by
//! the number of their first line, and one file per reader with the number of the line it wants next. A line is whole when its
//! line break is there: what a crash left of one is cut off. Bounded by bytes: the oldest segment goes first, and each
//! reader that still wanted it learns how many lines that were. Needs one writing process; the store's lock is it.

mod position;
mod reader;

use std::{
    collections::{BTreeMap, VecDeque},
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

pub use reader::{Batch, Bounds, Reader};

/// Bytes of a segment before the next one is begun.
const SEGMENT_BYTES: u64 = 1024 * 1024;

/// Longest line, in bytes. Overflow policy: it is refused; an alert holds a few KiB.
const MAX_LINE_BYTES: usize = 256 * 1024;

/// Lines that readers have not seen yet.
#[derive(Debug)]
pub struct Spool {
    directory: PathBuf,
    state: Mutex<State>,
    /// There is something new, or somebody wants to stop.
    news: Condvar,
}

#[derive(Debug)]
struct State {
    max_bytes: u64,
    segments: VecDeque<Segment>,
    /// Number of the next line.
    next: u64,
    /// The last segment, open for appending.
    writer: File,
    /// The line that each reader wants next.
    wanted: BTreeMap<String, u64>,
}

#[derive(Debug, Clone, Copy)]
struct Segment {
    /// Number of its first line.
    first: u64,
    bytes: u64,
}

impl Spool {
    /// Opens the spool in `directory`, or begins one. Readers that are not named any more are forgotten, new ones begin at
    /// the end.
    ///
    /// # Errors
    /// The directory cannot be used.
    pub fn open(directory: &Path, max_bytes: u64, readers: &[&str]) -> io::Result<Self> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)?;
        let mut segments = VecDeque::new();
        let mut firsts: Vec<u64> = fs::read_dir(directory)?
            .filter_map(|entry| number_of(&entry.ok()?.file_name().to_string_lossy()))
            .collect();
        firsts.sort_unstable();
        for first in firsts {
            let bytes = fs::metadata(segment_path(directory, first))?.len();
            segments.push_back(Segment { first, bytes });
        }
        let next = match segments.back_mut() {
            Some(last) => {
                let (lines, bytes) = mend(&segment_path(directory, last.first))?;
                last.bytes = bytes;
                last.first + lines
            }
            None => 0,
        };
        // After a loss of segments the numbers go on: a position is never used for two lines.
        let positions = position::read_all(directory)?;
        let next = positions.values().copied().fold(next, u64::max);
        let writer = match segments.back() {
            Some(last)
                if last.first <= next && last.bytes < SEGMENT_BYTES && next_of(directory, *last)? == next =>
            {
                append_to(directory, last.first)?
            }
            _ => {
                segments.push_back(Segment {
                    first: next,
                    bytes: 0,
                });
                append_to(directory, next)?
            }
        };
        let wanted = wanted_by(directory, readers, &positions, next)?;
        let state = State {
            max_bytes: bounded(max_bytes),
            segments,
            next,
            writer,
            wanted,
        };
        Ok(Self {
            directory: directory.to_owned(),
            state: Mutex::new(state),
            news: Condvar::new(),
        })
    }

    /// Changes who reads, and the bound. Readers that are not named any more are forgotten, new ones begin at the end.
    ///
    /// # Errors
    /// The positions of the readers cannot be noted: nothing is changed then.
    pub fn reopen(&self, max_bytes: u64, readers: &[&str]) -> io::Result<()> {
        let mut state = self.state();
        let positions = state
            .wanted
            .iter()
            .map(|(reader, from)| (position::name(reader), *from))
            .collect();
        state.wanted = wanted_by(&self.directory, readers, &positions, state.next)?;
        state.max_bytes = bounded(max_bytes);
        self.bound(&mut state);
        Ok(())
    }

    /// Adds a line, which must not hold a line break.
    ///
    /// # Errors
    /// The disk refuses, or the line is longer than its bound. Nothing of it is kept then.
    pub fn append(&self, line: &[u8]) -> io::Result<()> {
        if line.len() > MAX_LINE_BYTES || line.contains(&b'\n') {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "not one line of bounded length",
            ));
        }
        let mut state = self.state();
        if state
            .segments
            .back()
            .is_none_or(|last| last.bytes >= SEGMENT_BYTES)
        {
            self.begin(&mut state)?;
        }
        let before = state.segments.back().map_or(0, |last| last.bytes);
        let text = [line, b"\n"].concat();
        if let Err(error) = state.writer.write_all(&text) {
            // Half a line would be taken for the beginning of the next.
            state.writer.set_len(before)?;
            return Err(error);
        }
        if let Some(last) = state.segments.back_mut() {
            last.bytes += text.len() as u64;
        }
        state.next += 1;
        self.bound(&mut state);
        drop(state);
        self.news.notify_all();
        Ok(())
    }

    /// Lines that this reader has not delivered yet.
    pub fn waiting(&self, reader: &str) -> u64 {
        let state = self.state();
        let wanted = state.wanted.get(reader).copied().unwrap_or(state.next);
        state.next.saturating_sub(wanted)
    }

    /// Wakes all readers that wait.
    pub fn wake(&self) {
        self.news.notify_all();
    }

    fn begin(&self, state: &mut State) -> io::Result<()> {
        state.writer.sync_data()?;
        let first = state.next;
        state.writer = append_to(&self.directory, first)?;
        state.segments.push_back(Segment { first, bytes: 0 });
        Ok(())
    }

    /// Removes segments that nobody wants, and the oldest while there are too many bytes.
    fn bound(&self, state: &mut State) {
        let wanted = state.wanted.values().copied().min().unwrap_or(state.next);
        while let (Some(oldest), Some(second)) = (state.segments.front(), state.segments.get(1)) {
            let bytes: u64 = state.segments.iter().map(|segment| segment.bytes).sum();
            if second.first > wanted && bytes <= state.max_bytes {
                return;
            }
            // Left behind it is removed at the next start, when its number is the lowest again.
            fs::remove_file(segment_path(&self.directory, oldest.first)).ok();
            state.segments.pop_front();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Whoever panicked left numbers that are consistent: each is set in one step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Room for the segment that is written and one that is read.
fn bounded(max_bytes: u64) -> u64 {
    max_bytes.max(2 * SEGMENT_BYTES)
}

/// The line that each reader wants next: where it was, or the end. All others are forgotten.
fn wanted_by(
    directory: &Path,
    readers: &[&str],
    positions: &BTreeMap<String, u64>,
    end: u64,
) -> io::Result<BTreeMap<String, u64>> {
    let mut wanted = BTreeMap::new();
    for reader in readers {
        let from = positions.get(&position::name(reader)).copied().unwrap_or(end);
        // Noted at once: a reader that has delivered nothing yet begins here after a restart, too.
        position::write(directory, reader, from)?;
        wanted.insert((*reader).to_owned(), from);
    }
    position::keep_only(directory, readers)?;
    Ok(wanted)
}

fn segment_path(directory: &Path, first: u64) -> PathBuf {
    directory.join(format!("{first:020}.events"))
}

fn number_of(name: &str) -> Option<u64> {
    name.strip_suffix(".events")?.parse().ok()
}

fn append_to(directory: &Path, first: u64) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(segment_path(directory, first))
}

/// Cuts off what a crash left of a line; whole lines and bytes of the segment.
fn mend(path: &Path) -> io::Result<(u64, u64)> {
    let content = fs::read(path)?;
    let whole = memchr::memrchr(b'\n', &content).map_or(0, |at| at + 1);
    if whole < content.len() {
        OpenOptions::new().write(true).open(path)?.set_len(whole as u64)?;
    }
    let lines = memchr::memchr_iter(b'\n', content.get(..whole).unwrap_or_default()).count();
    Ok((lines as u64, whole as u64))
}

/// Number of the line behind the last one of a segment.
fn next_of(directory: &Path, segment: Segment) -> io::Result<u64> {
    Ok(segment.first + mend(&segment_path(directory, segment.first))?.0)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn read(spool: &Arc<Spool>, reader: &str) -> Vec<String> {
        let mut reader = Reader::new(Arc::clone(spool), reader, Bounds::default());
        let mut lines = Vec::new();
        loop {
            let batch = reader.batch().unwrap();
            if batch.lines.is_empty() {
                return lines;
            }
            lines.extend(
                batch
                    .lines
                    .into_iter()
                    .map(|line| String::from_utf8(line).unwrap()),
            );
            reader.done().unwrap();
        }
    }

    fn open(directory: &Path, readers: &[&str]) -> Arc<Spool> {
        Arc::new(Spool::open(directory, u64::MAX, readers).unwrap())
    }

    #[test]
    fn each_reader_gets_every_line_once_and_in_order_over_restarts() {
        let directory = tempfile::tempdir().unwrap();
        for round in 0..3 {
            let spool = open(directory.path(), &["a", "b"]);
            for number in 0..1000 {
                spool.append(format!("{round}-{number}").as_bytes()).unwrap();
            }
            let expected: Vec<String> = (0..1000).map(|number| format!("{round}-{number}")).collect();
            assert_eq!(read(&spool, "a"), expected);
            assert_eq!(spool.waiting("b"), (round + 1) * 1000);
        }
        let spool = open(directory.path(), &["a", "b"]);
        assert_eq!(read(&spool, "a"), Vec::<String>::new());
        assert_eq!(read(&spool, "b").len(), 3000);
    }

    #[test]
    fn a_batch_that_was_not_done_comes_again() {
        let directory = tempfile::tempdir().unwrap();
        let spool = open(directory.path(), &["a"]);
        spool.append(b"one").unwrap();
        let mut reader = Reader::new(Arc::clone(&spool), "a", Bounds::default());
        assert_eq!(reader.batch().unwrap().lines, [b"one".to_vec()]);
        assert_eq!(reader.batch().unwrap().lines, [b"one".to_vec()]);
        drop((reader, spool));
        assert_eq!(read(&open(directory.path(), &["a"]), "a"), ["one"]);
    }

    #[test]
    fn half_a_line_is_cut_off_and_the_next_one_is_whole() {
        let directory = tempfile::tempdir().unwrap();
        let spool = open(directory.path(), &["a"]);
        spool.append(b"whole").unwrap();
        let path = segment_path(directory.path(), 0);
        drop(spool);
        let mut file = OpenOptions::new().append(true).open(path).unwrap();
        file.write_all(b"{\"hal").unwrap();
        let spool = open(directory.path(), &["a"]);
        spool.append(b"next").unwrap();
        assert_eq!(read(&spool, "a"), ["whole", "next"]);
    }

    #[test]
    fn the_oldest_go_first_and_readers_learn_how_many() {
        let directory = tempfile::tempdir().unwrap();
        let spool = Arc::new(Spool::open(directory.path(), 2 * SEGMENT_BYTES, &["a"]).unwrap());
        let line = vec![b'x'; 100_000];
        for _ in 0..100 {
            spool.append(&line).unwrap();
        }
        let mut reader = Reader::new(Arc::clone(&spool), "a", Bounds::default());
        let mut seen = 0;
        let mut dropped = 0;
        loop {
            let batch = reader.batch().unwrap();
            dropped += batch.dropped;
            if batch.lines.is_empty() {
                break;
            }
            seen += batch.lines.len() as u64;
            reader.done().unwrap();
        }
        assert_eq!(seen + dropped, 100);
        assert!(dropped > 0);
        let size: u64 = fs::read_dir(directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().metadata().unwrap().len())
            .sum();
        assert!(size <= 3 * SEGMENT_BYTES + 200_000, "{size}");
    }

    #[test]
    fn delivered_segments_are_removed_and_new_readers_begin_at_the_end() {
        let directory = tempfile::tempdir().unwrap();
        let spool = open(directory.path(), &["a"]);
        let line = vec![b'x'; 100_000];
        for _ in 0..50 {
            spool.append(&line).unwrap();
        }
        assert_eq!(read(&spool, "a").len(), 50);
        spool.append(&line).unwrap();
        let segments = |directory: &Path| {
            let names = fs::read_dir(directory).unwrap();
            names
                .filter(|entry| number_of(&entry.as_ref().unwrap().file_name().to_string_lossy()).is_some())
                .count()
        };
        assert!(segments(directory.path()) <= 2);
        drop(spool);
        let spool = open(directory.path(), &["b"]);
        assert_eq!(read(&spool, "b"), Vec::<String>::new());
    }

    #[test]
    fn readers_come_and_go_while_it_is_open() {
        let directory = tempfile::tempdir().unwrap();
        let spool = open(directory.path(), &["a", "b"]);
        let mut leaving = Reader::new(Arc::clone(&spool), "b", Bounds::default());
        spool.append(b"one").unwrap();
        assert_eq!(leaving.batch().unwrap().lines.len(), 1);
        spool.reopen(u64::MAX, &["a", "c"]).unwrap();
        // One that was forgotten keeps nothing back any more.
        leaving.done().unwrap();
        spool.append(b"two").unwrap();
        assert_eq!(read(&spool, "a"), ["one", "two"]);
        assert_eq!(read(&spool, "c"), ["two"]);
        drop(spool);
        let spool = open(directory.path(), &["b"]);
        assert_eq!(spool.waiting("b"), 0);
    }

    #[test]
    fn a_line_with_a_break_or_too_long_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let spool = open(directory.path(), &["a"]);
        spool.append(b"a\nb").unwrap_err();
        spool.append(&vec![b'x'; MAX_LINE_BYTES + 1]).unwrap_err();
        assert_eq!(spool.waiting("a"), 0);
    }
}
