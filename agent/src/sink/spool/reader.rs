//! One reader of the spool.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader},
    sync::{Arc, PoisonError},
    time::Duration,
};

use super::{Spool, position, segment_path};

/// Lines and bytes of one batch: what a sink holds in memory at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Lines.
    pub lines: u64,
    /// Bytes; one line may go beyond.
    pub bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            lines: 512,
            bytes: 1024 * 1024,
        }
    }
}

/// What a reader is given.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// The lines, without their breaks.
    pub lines: Vec<Vec<u8>>,
    /// Lines before them that were dropped because the spool was full.
    pub dropped: u64,
}

/// Reads from where it last was.
#[derive(Debug)]
pub struct Reader {
    spool: Arc<Spool>,
    name: String,
    bounds: Bounds,
    /// Number of the first line of the batch at hand.
    at: u64,
    /// Lines of the batch at hand.
    taken: u64,
    /// The segment at hand: its first line, and the file positioned at `at + taken`.
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    first: u64,
    /// Line that is read next.
    next: u64,
    file: BufReader<File>,
}

impl Reader {
    /// The reader with this name, one of those that the spool was opened with.
    pub fn new(spool: Arc<Spool>, name: &str, bounds: Bounds) -> Self {
        let at = {
            let state = spool.state();
            state.wanted.get(name).copied().unwrap_or(state.next)
        };
        Self {
            spool,
            name: name.to_owned(),
            bounds,
            at,
            taken: 0,
            open: None,
        }
    }

    /// The next lines: the same again until [`Reader::done`].
    ///
    /// # Errors
    /// A segment cannot be read.
    pub fn batch(&mut self) -> io::Result<Batch> {
        let mut batch = Batch::default();
        let (oldest, end) = {
            let state = self.spool.state();
            (
                state.segments.front().map_or(state.next, |segment| segment.first),
                state.next,
            )
        };
        if self.at < oldest {
            batch.dropped = oldest - self.at;
            self.at = oldest;
        }
        self.taken = 0;
        let mut bytes = 0;
        while self.taken < self.bounds.lines && bytes < self.bounds.bytes && self.at + self.taken < end {
            match self.line(self.at + self.taken) {
                Ok(line) => {
                    bytes += line.len();
                    batch.lines.push(line);
                    self.taken += 1;
                }
                // The segment was dropped meanwhile: what is at hand goes first, the rest is counted next time.
                Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                Err(error) => return Err(error),
            }
        }
        Ok(batch)
    }

    /// The last batch was delivered. Nothing is noted for a reader that the spool has forgotten.
    ///
    /// # Errors
    /// That cannot be noted: the batch comes again after a restart.
    pub fn done(&mut self) -> io::Result<()> {
        self.at += self.taken;
        self.taken = 0;
        let mut state = self.spool.state();
        match state.wanted.get_mut(&self.name) {
            Some(wanted) => *wanted = self.at,
            // Forgotten meanwhile.
            None => return Ok(()),
        }
        self.spool.bound(&mut state);
        drop(state);
        position::write(&self.spool.directory, &self.name, self.at)
    }

    /// Sleeps until there may be something new, or the time is over.
    pub fn wait(&self, patience: Duration) {
        let state = self.spool.state();
        if state.next > self.at {
            return;
        }
        // Woken for nothing it looks once more than it had to.
        drop(
            self.spool
                .news
                .wait_timeout(state, patience)
                .unwrap_or_else(PoisonError::into_inner),
        );
    }

    /// The line with this number.
    fn line(&mut self, number: u64) -> io::Result<Vec<u8>> {
        let first = {
            let state = self.spool.state();
            let segment = state
                .segments
                .iter()
                .rev()
                .find(|segment| segment.first <= number);
            segment.ok_or(io::ErrorKind::NotFound)?.first
        };
        let fits = |open: &Open| open.first == first && open.next <= number;
        if !self.open.as_ref().is_some_and(fits) {
            let file = File::open(segment_path(&self.spool.directory, first))?;
            self.open = Some(Open {
                first,
                next: first,
                file: BufReader::new(file),
            });
        }
        let open = self.open.as_mut().ok_or(io::ErrorKind::NotFound)?;
        loop {
            let mut line = Vec::new();
            open.file.read_until(b'\n', &mut line)?;
            if line.pop() != Some(b'\n') {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            open.next += 1;
            if open.next > number {
                return Ok(line);
            }
        }
    }
}
