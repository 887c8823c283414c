//! Reads a recording, as much of it as can be read.
//!
//! In: bytes from any [`Read`], trusted in nothing. Out: events, one at a time, borrowed from one buffer of
//! bounded size. Damage is skipped up to the next record with a good checksum, remembered as one [`Damage`], and
//! never guessed over: the positions in the records behind it show what is missing.

use std::io::{self, Read};

use super::{
    FILE_HEADER_BYTES, Kind, MAGIC, MARK, MAX_RECORD_BYTES, RECORD_HEADER_BYTES, VERSION, checksum, decode,
};
use crate::event::SocketEvent;

/// Bytes asked for at a time, at least.
const READ_BYTES: usize = 256 * 1024;

/// Bytes that may be checked in vain over the whole file while looking for the next good record. Overflow
/// policy: reading stops there, as at the end of a damaged file. Keeps reading linear for made-up files.
const RESYNC_BYTES: u64 = 64 * 1024 * 1024;

/// Why a file is not read at all.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file could not be read.
    #[error("cannot read the recording: {0}")]
    Io(#[from] io::Error),
    /// Not a recording, or its first bytes are damaged.
    #[error("not an Apiarist recording: its first 20 bytes are not a recording's header")]
    NotARecording,
    /// Written in another version of the format.
    #[error(
        "the recording has format version {0}, this program reads version {VERSION}: use the program that wrote it"
    )]
    Version(u16),
}

/// What of a recording could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Byte offset in the (decompressed) file at which it starts.
    pub offset: u64,
    /// What is wrong there.
    pub reason: String,
    /// Bytes skipped, this and later damage together.
    pub skipped_bytes: u64,
}

/// Reads the events of a recording.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    salt: u32,
    pub(super) buffer: Vec<u8>,
    /// Where the unread part of `buffer` starts.
    start: usize,
    /// Offset of `start` in the file.
    offset: u64,
    exhausted: bool,
    ended: bool,
    events: u64,
    pub(super) resync_bytes: u64,
    damage: Option<Damage>,
}

/// What stands at the present position.
enum Found {
    Record { kind: u8, len: usize },
    Nothing,
    Bad(&'static str),
    CutShort,
}

impl<R: Read> Reader<R> {
    /// Reads the file header.
    ///
    /// # Errors
    /// When it is not that of a recording of this version.
    pub fn new(input: R) -> Result<Self, ReadError> {
        let mut reader = Self {
            input,
            salt: 0,
            buffer: Vec::new(),
            start: 0,
            offset: 0,
            exhausted: false,
            ended: false,
            events: 0,
            resync_bytes: 0,
            damage: None,
        };
        reader.fill(FILE_HEADER_BYTES)?;
        let header = reader
            .rest()
            .first_chunk::<FILE_HEADER_BYTES>()
            .ok_or(ReadError::NotARecording)?;
        let (checked, crc) = header.split_at(FILE_HEADER_BYTES - 4);
        if !checked.starts_with(&MAGIC) || crc != checksum(0, checked, &[]).to_le_bytes() {
            return Err(ReadError::NotARecording);
        }
        let [.., v0, v1, _, _, s0, s1, s2, s3] = checked else {
            return Err(ReadError::NotARecording);
        };
        let salt = u32::from_le_bytes([*s0, *s1, *s2, *s3]);
        let version = u16::from_le_bytes([*v0, *v1]);
        if version != VERSION {
            return Err(ReadError::Version(version));
        }
        reader.salt = salt;
        reader.advance(FILE_HEADER_BYTES);
        Ok(reader)
    }

    /// The next event; `None` at the end, after which [`Reader::damage`] says whether all was read.
    pub fn next_event(&mut self) -> Option<SocketEvent<'_>> {
        let (kind, len) = self.next_record()?;
        let payload = (self.start - len)..self.start;
        let payload = self.buffer.get(payload).unwrap_or_default();
        decode_event(kind, payload)
    }

    /// What could not be read so far.
    pub fn damage(&self) -> Option<&Damage> {
        self.damage.as_ref()
    }

    /// Steps over the next record that holds an event; its payload then ends at `start`.
    fn next_record(&mut self) -> Option<(u8, usize)> {
        loop {
            match self.find() {
                Found::Record { kind, len } => {
                    let payload_at = self.start + RECORD_HEADER_BYTES;
                    let payload = self.buffer.get(payload_at..payload_at + len).unwrap_or_default();
                    if kind == Kind::End as u8 {
                        self.finish(decode::end(payload), RECORD_HEADER_BYTES + len);
                        continue;
                    }
                    let known = [Kind::Open, Kind::Data, Kind::Count, Kind::Close]
                        .iter()
                        .any(|known| *known as u8 == kind);
                    // Kinds of later versions are stepped over, as `docs/recording-format.md` promises.
                    let readable = known && decode_event(kind, payload).is_some();
                    if known && !readable {
                        self.damaged(
                            "a record does not have the layout of its kind",
                            RECORD_HEADER_BYTES + len,
                        );
                    }
                    self.advance(RECORD_HEADER_BYTES + len);
                    if readable {
                        self.events += 1;
                        return Some((kind, len));
                    }
                }
                Found::Nothing => {
                    if !self.ended {
                        self.damaged("the recording stops without its end mark", 0);
                    }
                    return None;
                }
                // A damaged length can ask for more than there is, as a cut-off record does.
                Found::CutShort => {
                    self.damaged("a record ends behind the end of the file", 0);
                    if !self.resynchronise() {
                        return None;
                    }
                }
                Found::Bad(reason) => {
                    self.damaged(reason, 0);
                    if !self.resynchronise() {
                        return None;
                    }
                }
            }
        }
    }

    /// Looks at the record at the present position without leaving it.
    fn find(&mut self) -> Found {
        if let Err(error) = self.fill(RECORD_HEADER_BYTES) {
            return self.broken_input(&error);
        }
        let Some(&[m0, m1, kind, reserved, l0, l1, l2, l3, c0, c1, c2, c3]) =
            self.rest().first_chunk::<RECORD_HEADER_BYTES>()
        else {
            return if self.rest().is_empty() {
                Found::Nothing
            } else {
                Found::CutShort
            };
        };
        if [m0, m1] != MARK {
            return Found::Bad("no record starts where one should");
        }
        let len = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        if len > MAX_RECORD_BYTES {
            return Found::Bad("a record has an impossible length");
        }
        if let Err(error) = self.fill(RECORD_HEADER_BYTES + len) {
            return self.broken_input(&error);
        }
        let Some(payload) = self.rest().get(RECORD_HEADER_BYTES..RECORD_HEADER_BYTES + len) else {
            return Found::CutShort;
        };
        let expected = u32::from_le_bytes([c0, c1, c2, c3]);
        if checksum(self.salt, &[kind, reserved, l0, l1, l2, l3], payload) != expected {
            self.resync_bytes = self.resync_bytes.saturating_add(len as u64);
            return Found::Bad("a record fails its checksum");
        }
        Found::Record { kind, len }
    }

    /// Moves to the next place that holds a good record; false if there is none.
    fn resynchronise(&mut self) -> bool {
        loop {
            self.skip(1);
            loop {
                let from = self.rest();
                match from.windows(2).position(|pair| pair == MARK) {
                    Some(at) => {
                        self.skip(at);
                        break;
                    }
                    None => {
                        // The last byte may be the first of a mark.
                        let whole = from.len().saturating_sub(1);
                        self.skip(whole);
                        let before = self.rest().len();
                        if self.fill(RECORD_HEADER_BYTES).is_err() || self.rest().len() == before {
                            let rest = self.rest().len();
                            self.skip(rest);
                            self.ended = true;
                            return false;
                        }
                    }
                }
            }
            if self.resync_bytes > RESYNC_BYTES {
                self.ended = true;
                return false;
            }
            match self.find() {
                Found::Record { .. } => return true,
                // A false mark near the end may ask for more than there is: the search goes on behind it.
                Found::CutShort | Found::Bad(_) => {}
                Found::Nothing => {
                    self.ended = true;
                    return false;
                }
            }
        }
    }

    fn finish(&mut self, announced: Option<u64>, record_bytes: usize) {
        if announced != Some(self.events) && self.damage.is_none() {
            self.damaged("events are missing: the end mark announces another number", 0);
        }
        self.advance(record_bytes);
        self.ended = true;
    }

    fn broken_input(&mut self, error: &io::Error) -> Found {
        self.exhausted = true;
        self.ended = true;
        let rest = self.rest().len();
        self.damaged(&format!("the file cannot be read on: {error}"), rest);
        self.advance(rest);
        Found::Nothing
    }

    /// Notes damage at the present position. The first place is kept, the sizes add up.
    fn damaged(&mut self, reason: &str, skipped: usize) {
        let offset = self.offset;
        let damage = self.damage.get_or_insert_with(|| Damage {
            offset,
            reason: reason.to_owned(),
            skipped_bytes: 0,
        });
        damage.skipped_bytes = damage.skipped_bytes.saturating_add(skipped as u64);
    }

    fn skip(&mut self, bytes: usize) {
        if let Some(damage) = &mut self.damage {
            damage.skipped_bytes = damage.skipped_bytes.saturating_add(bytes as u64);
        }
        self.advance(bytes);
    }

    fn rest(&self) -> &[u8] {
        self.buffer.get(self.start..).unwrap_or_default()
    }

    fn advance(&mut self, bytes: usize) {
        let bytes = bytes.min(self.rest().len());
        self.start += bytes;
        self.offset += bytes as u64;
    }

    /// Makes at least `wanted` bytes available unless the input ends before.
    fn fill(&mut self, wanted: usize) -> io::Result<()> {
        if self.rest().len() >= wanted || self.exhausted {
            return Ok(());
        }
        self.buffer.drain(..self.start);
        self.start = 0;
        let missing = wanted.saturating_sub(self.buffer.len()).max(READ_BYTES) as u64;
        let read = (&mut self.input).take(missing).read_to_end(&mut self.buffer)?;
        self.exhausted = (read as u64) < missing;
        Ok(())
    }
}

fn decode_event(kind: u8, payload: &[u8]) -> Option<SocketEvent<'_>> {
    match kind {
        k if k == Kind::Open as u8 => decode::open(payload).map(SocketEvent::Open),
        k if k == Kind::Data as u8 => decode::data(payload).map(SocketEvent::Data),
        k if k == Kind::Count as u8 => decode::count(payload).map(SocketEvent::Count),
        k if k == Kind::Close as u8 => decode::close(payload).map(SocketEvent::Close),
        _ => None,
    }
}
