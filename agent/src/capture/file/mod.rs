//! Files as sources: captures, recordings, HAR and exchanges files.
//!
//! In: any [`Read`], recognised by its first bytes, compressed with gzip or not. Out: what it holds, in its
//! order, into a [`Sink`]: socket events, or exchanges where the file begins there. Every bound has its policy
//! beside it; a damaged file gives what is readable and says what was not. Refuses to ask for the time: it
//! comes from the file.

mod detect;
mod exchanges;
mod har;
mod ip;
mod link;
mod made_up;
mod ordered;
mod pcap;
pub mod recording;
mod tcp;

use std::io::{self, Cursor, Read};

use flate2::read::MultiGzDecoder;

pub use self::{detect::Format, made_up::FileExchange};
use crate::{event::SocketEvent, protocol::redact::Redactor};

/// Takes what a file holds.
pub trait Sink {
    /// The next socket event.
    fn event(&mut self, event: &SocketEvent<'_>);
    /// The next exchange.
    fn exchange(&mut self, exchange: FileExchange);
}

/// Why nothing of a file could be read.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// Reading failed.
    #[error("cannot read it: {0}")]
    Io(#[from] io::Error),
    /// None of the known formats.
    #[error(
        "not a pcap, pcapng, HAR, exchanges or recording file: give one of these, plain or compressed with gzip"
    )]
    Unknown,
    /// Empty.
    #[error("the file is empty")]
    Empty,
    /// A recording that cannot be read at all.
    #[error(transparent)]
    Recording(#[from] recording::ReadError),
}

/// What was not read of a file: the number of places, and the first in words.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Problems {
    /// Lines, entries, packets or stretches that were skipped.
    pub count: u64,
    /// The first of them, a sentence.
    pub first: Option<String>,
}

impl Problems {
    fn add(&mut self, text: String) {
        self.count += 1;
        self.first.get_or_insert(text);
    }
}

/// What was read of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// What it is.
    pub format: Format,
    /// What of it could not be read.
    pub problems: Problems,
}

/// Reads a file to its end. Credentials in exchanges are masked by `redactor`.
///
/// # Errors
/// When nothing of it can be read. Damage further inside is in the [`Report`].
pub fn read(
    mut input: impl Read + Send,
    redactor: &Redactor,
    sink: &mut dyn Sink,
) -> Result<Report, InputError> {
    let head = peek(&mut input)?;
    let compressed = head.starts_with(&[0x1f, 0x8b]);
    let input = Cursor::new(head).chain(input);
    if !compressed {
        return read_plain(input, redactor, sink);
    }
    read_plain(MultiGzDecoder::new(input), redactor, sink)
}

fn read_plain(
    mut input: impl Read + Send,
    redactor: &Redactor,
    sink: &mut dyn Sink,
) -> Result<Report, InputError> {
    let head = peek(&mut input)?;
    if head.is_empty() {
        return Err(InputError::Empty);
    }
    let format = Format::of(&head).ok_or(InputError::Unknown)?;
    let input = Cursor::new(head).chain(input);
    let mut problems = Problems::default();
    match format {
        Format::Recording => read_recording(input, sink, &mut problems)?,
        Format::Pcap | Format::PcapNg => pcap::read(input, sink, &mut problems),
        Format::Har => har::read(input, redactor, sink, &mut problems),
        Format::Exchanges => exchanges::read(input, redactor, sink, &mut problems),
    }
    Ok(Report { format, problems })
}

fn read_recording(input: impl Read, sink: &mut dyn Sink, problems: &mut Problems) -> Result<(), InputError> {
    let mut reader = recording::Reader::new(input)?;
    while let Some(event) = reader.next_event() {
        sink.event(&event);
    }
    if let Some(damage) = reader.damage() {
        let recording::Damage {
            offset,
            reason,
            skipped_bytes,
        } = damage;
        problems.add(format!(
            "at byte {offset}: {reason}; {skipped_bytes} bytes were skipped, the rest was read"
        ));
    }
    Ok(())
}

/// The first bytes, enough to tell the format. An input that fails after its first bytes is told by them; the
/// failure comes again where the format is read.
fn peek(input: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    match input.take(detect::HEAD_BYTES as u64).read_to_end(&mut head) {
        Err(error) if head.is_empty() => Err(error),
        _ => Ok(head),
    }
}

#[cfg(test)]
mod tests;
