//! One direction of a socket, put together from its events.
//!
//! In: a socket's events in the order they came. Out: runs of bytes and gaps between them, or why the events
//! contradict each other: a byte told twice, a position that goes back.

use std::{fmt, ops::Range};

use anyhow::{Result, bail, ensure};
use apiarist::event::Direction;

use super::observer::SocketLog;

/// Bytes of a run that a message quotes.
const SHOWN: usize = 24;

/// A run of a stream.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// Captured.
    Bytes(Vec<u8>),
    /// Known by count only.
    Gap(u64),
}

impl Part {
    pub(crate) fn len(&self) -> u64 {
        match self {
            Part::Bytes(bytes) => bytes.len() as u64,
            Part::Gap(len) => *len,
        }
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Part::Gap(len) => write!(f, "Gap({len})"),
            Part::Bytes(bytes) => {
                let start = &bytes[..bytes.len().min(SHOWN)];
                write!(f, "Bytes({}: {:?}…)", bytes.len(), String::from_utf8_lossy(start))
            }
        }
    }
}

/// Runs in order, neighbours of a kind joined.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Parts(pub(crate) Vec<Part>);

impl Parts {
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        match self.0.last_mut() {
            _ if bytes.is_empty() => {}
            Some(Part::Bytes(last)) => last.extend_from_slice(bytes),
            _ => self.0.push(Part::Bytes(bytes.to_vec())),
        }
    }

    pub(crate) fn gap(&mut self, len: u64) {
        match self.0.last_mut() {
            _ if len == 0 => {}
            Some(Part::Gap(last)) => *last += len,
            _ => self.0.push(Part::Gap(len)),
        }
    }

    pub(crate) fn extend(&mut self, other: &Parts) {
        for part in &other.0 {
            match part {
                Part::Bytes(bytes) => self.bytes(bytes),
                Part::Gap(len) => self.gap(*len),
            }
        }
    }

    /// The bytes it starts with; none if it starts with a gap.
    pub(crate) fn first_bytes(&self) -> &[u8] {
        match self.0.first() {
            Some(Part::Bytes(bytes)) => bytes,
            _ => &[],
        }
    }

    pub(crate) fn len(&self) -> u64 {
        self.0.iter().map(Part::len).sum()
    }

    /// Bytes in gaps.
    pub(crate) fn missing(&self) -> u64 {
        self.len() - self.captured()
    }

    /// Bytes captured.
    pub(crate) fn captured(&self) -> u64 {
        let captured = |part: &Part| matches!(part, Part::Bytes(_)).then(|| part.len());
        self.0.iter().filter_map(captured).sum()
    }

    /// Whether this is what should be, and if not, where it first is not.
    pub(crate) fn equal(&self, wanted: &Parts) -> Result<()> {
        let mut at = 0;
        for (part, wanted) in self.0.iter().zip(&wanted.0) {
            if let (Part::Bytes(got), Part::Bytes(wanted)) = (part, wanted)
                && let Some(index) = got.iter().zip(wanted).position(|(got, wanted)| got != wanted)
            {
                bail!(
                    "at {} there is {:?}, should be {:?}",
                    at + index as u64,
                    String::from_utf8_lossy(&got[index..got.len().min(index + SHOWN)]),
                    String::from_utf8_lossy(&wanted[index..wanted.len().min(index + SHOWN)])
                );
            }
            at += part.len();
        }
        ensure!(self == wanted, "it is {:?}, should be {:?}", self.0, wanted.0);
        Ok(())
    }

    /// Whether every captured byte is what `transcript` has at its position, which may lie in a gap's place.
    pub(crate) fn agree_with(&self, transcript: &[u8]) -> Result<()> {
        ensure!(
            self.len() == transcript.len() as u64,
            "{} bytes are accounted for, {} were moved",
            self.len(),
            transcript.len()
        );
        let mut at = 0;
        for part in &self.0 {
            let len = part.len() as usize;
            if let Part::Bytes(bytes) = part
                && bytes != &transcript[at..at + len]
            {
                bail!("the {len} bytes at {at} are not those that were moved");
            }
            at += len;
        }
        Ok(())
    }
}

/// A direction.
#[derive(Debug)]
pub(crate) struct Stream {
    /// Position of the first part.
    pub(crate) start: u64,
    pub(crate) parts: Parts,
    /// Positions of the operations that were flagged as the first after the other direction.
    pub(crate) turns: Vec<u64>,
    /// Where the stream ended, if it was told.
    pub(crate) eof: Option<u64>,
}

impl Stream {
    pub(crate) fn of(log: &SocketLog, direction: Direction) -> Result<Self> {
        let start = log.open()?.positions[direction.index()];
        let mut stream = Self {
            start,
            parts: Parts::default(),
            turns: Vec::new(),
            eof: None,
        };
        let mut cursor = start;
        for chunk in log.chunks.iter().filter(|chunk| chunk.direction == direction) {
            ensure!(
                chunk.position >= cursor,
                "{direction:?}: an event starts at {}, bytes up to {cursor} were told before",
                chunk.position
            );
            ensure!(
                chunk.end >= chunk.position + chunk.bytes.len() as u64,
                "{direction:?}: an event at {} ends within its bytes",
                chunk.position
            );
            stream.parts.gap(chunk.position - cursor);
            stream.parts.bytes(&chunk.bytes);
            cursor = chunk.position + chunk.bytes.len() as u64;
            if chunk.turn {
                stream.turns.push(chunk.position);
            }
            if chunk.eof {
                stream.eof = Some(chunk.position);
            }
        }
        stream.parts.gap(log.end(direction) - cursor);
        Ok(stream)
    }

    /// Whether all bytes of a range of positions were captured.
    pub(crate) fn has(&self, range: Range<u64>) -> bool {
        let mut at = self.start;
        let gaps = self.parts.0.iter().filter_map(|part| {
            let here = at..at + part.len();
            at = here.end;
            matches!(part, Part::Gap(_)).then_some(here)
        });
        let touched = gaps
            .into_iter()
            .any(|gap| gap.start < range.end && range.start < gap.end);
        !touched && self.start <= range.start && range.end <= self.end()
    }

    /// Position right after the last byte.
    pub(crate) fn end(&self) -> u64 {
        self.start + self.parts.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captured_bytes_are_compared_where_they_lie() {
        let mut parts = Parts::default();
        parts.bytes(b"he");
        parts.gap(2);
        parts.bytes(b"o");
        parts.agree_with(b"hello").unwrap();
        parts.agree_with(b"hexxo").unwrap();
        parts.agree_with(b"hellO").unwrap_err();
        parts.agree_with(b"hello!").unwrap_err();
        assert_eq!((parts.captured(), parts.missing()), (3, 2));
    }
}
