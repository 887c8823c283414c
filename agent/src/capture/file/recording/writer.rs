//! Writes a recording.
//!
//! In: events, in order. Out: bytes into any [`Write`]; give it a buffered one. Every record is handed over in
//! one call, so that an interrupted recording ends at the record being written.

use std::{
    fs::{File, OpenOptions},
    hash::{BuildHasher, RandomState},
    io::{self, BufWriter, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use super::{Kind, MAGIC, MARK, MAX_RECORD_BYTES, RECORD_HEADER_BYTES, VERSION, checksum, encode};
use crate::event::{SocketData, SocketEvent};

/// Payload bytes of one data record: the largest power of two that leaves room for the other members.
const MAX_DATA_BYTES: usize = MAX_RECORD_BYTES / 2;

/// Writes events as records.
#[derive(Debug)]
pub struct Writer<W: Write> {
    pub(super) output: W,
    salt: u32,
    record: Vec<u8>,
    events: u64,
}

impl Writer<BufWriter<File>> {
    /// Starts a recording in a file, which is made or emptied. Only its owner may read it: it holds what was
    /// said, secrets included.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn create(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)?;
        // The standard library's source of randomness that needs no dependency.
        let salt = RandomState::new().hash_one(0) as u32;
        Self::new(BufWriter::with_capacity(256 * 1024, file), salt)
    }
}

impl<W: Write> Writer<W> {
    /// Starts a recording: writes the file header. `salt` is any number that who sends the recorded bytes cannot
    /// know: it enters every checksum.
    ///
    /// # Errors
    /// Those of `output`.
    pub fn new(mut output: W, salt: u32) -> io::Result<Self> {
        let mut header = Vec::from(MAGIC);
        header.extend_from_slice(&VERSION.to_le_bytes());
        header.extend_from_slice(&[0, 0]);
        header.extend_from_slice(&salt.to_le_bytes());
        let crc = checksum(0, &header, &[]);
        header.extend_from_slice(&crc.to_le_bytes());
        output.write_all(&header)?;
        Ok(Self {
            output,
            salt,
            record: Vec::new(),
            events: 0,
        })
    }

    /// Appends an event. Data of more than half a mebibyte becomes several events.
    ///
    /// # Errors
    /// Those of the output; the recording is then good up to the event before.
    pub fn write(&mut self, event: &SocketEvent<'_>) -> io::Result<()> {
        match event {
            SocketEvent::Open(open) => self.record(Kind::Open, |out| encode::open(out, open)),
            SocketEvent::Data(data) => self.data(*data),
            SocketEvent::Count(count) => self.record(Kind::Count, |out| encode::count(out, count)),
            SocketEvent::Close(close) => self.record(Kind::Close, |out| encode::close(out, close)),
        }
    }

    /// Ends the recording: without this a reader reports it as cut short. Flushes and gives the output back.
    ///
    /// # Errors
    /// Those of the output.
    pub fn finish(mut self) -> io::Result<W> {
        let events = self.events;
        self.record(Kind::End, |out| out.extend_from_slice(&events.to_le_bytes()))?;
        self.output.flush()?;
        Ok(self.output)
    }

    /// Makes what was written so far readable for others.
    ///
    /// # Errors
    /// Those of the output.
    pub fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }

    /// Number of events written.
    pub fn events(&self) -> u64 {
        self.events
    }

    fn data(&mut self, mut event: SocketData<'_>) -> io::Result<()> {
        let (end, eof, spent) = (event.end, event.eof, event.spent);
        while let Some((bytes, rest)) = event.bytes.split_at_checked(MAX_DATA_BYTES)
            && !rest.is_empty()
        {
            event.bytes = bytes;
            event.end = event.position.saturating_add(bytes.len() as u64);
            event.eof = false;
            event.spent = false;
            self.one_data(&event)?;
            event.position = event.end;
            event.bytes = rest;
            event.turn = false;
        }
        event.end = end;
        event.eof = eof;
        event.spent = spent;
        self.one_data(&event)
    }

    fn one_data(&mut self, event: &SocketData<'_>) -> io::Result<()> {
        self.record(Kind::Data, |out| {
            encode::data(out, event);
            out.extend_from_slice(event.bytes);
        })
    }

    fn record(&mut self, kind: Kind, fill: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        self.record.clear();
        self.record.extend_from_slice(&MARK);
        self.record.extend_from_slice(&[kind as u8, 0]);
        self.record.extend_from_slice(&[0; 8]);
        fill(&mut self.record);
        let (header, payload) = self
            .record
            .split_first_chunk_mut::<RECORD_HEADER_BYTES>()
            .ok_or_else(|| io::Error::other("record without a header"))?;
        let length = u32::try_from(payload.len()).map_err(io::Error::other)?;
        let [_, _, kind_byte, reserved, l0, l1, l2, l3, c0, c1, c2, c3] = header;
        [*l0, *l1, *l2, *l3] = length.to_le_bytes();
        let checked = [*kind_byte, *reserved, *l0, *l1, *l2, *l3];
        [*c0, *c1, *c2, *c3] = checksum(self.salt, &checked, payload).to_le_bytes();
        self.output.write_all(&self.record)?;
        if kind != Kind::End {
            self.events += 1;
        }
        Ok(())
    }
}
