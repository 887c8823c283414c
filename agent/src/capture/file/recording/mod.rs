//! The recording format: what one run of the capture saw, kept byte for byte.
//!
//! In and out: [`SocketEvent`](crate::event::SocketEvent)s. A file is a header and a sequence of records, each
//! with its own length and checksum, so that damage costs the damaged records and no others. Everything is
//! little-endian; the layout is described for other programs in `docs/recording-format.md`. Refuses to
//! interpret: what an event means is for [`crate::flow`].

mod decode;
mod encode;
mod reader;
mod writer;

pub use reader::{Damage, ReadError, Reader};
pub use writer::Writer;

/// First bytes of every recording. As in PNG, a byte above 127 and both line ends, so that a transfer as text
/// is noticed.
pub const MAGIC: [u8; 8] = *b"\x89APREC\r\n";

/// Version that [`Writer`] writes. A reader refuses any other version; new record kinds do not change it.
pub const VERSION: u16 = 1;

/// Size of the file header: magic, version, two reserved bytes, salt, CRC-32 of these sixteen.
const FILE_HEADER_BYTES: usize = 20;

/// Size of a record header: mark, kind, reserved byte, payload length, CRC-32.
const RECORD_HEADER_BYTES: usize = 12;

/// Starts every record: where a reader looks for the next one after damage.
const MARK: [u8; 2] = [0xA7, 0x1E];

/// Longest payload of a record. Overflow policy: the writer splits data over several records; a reader takes
/// a longer length for damage.
pub const MAX_RECORD_BYTES: usize = 1024 * 1024;

/// Longest name or path inside a record. Overflow policy: the writer cuts it.
const MAX_TEXT_BYTES: usize = 4096;

/// What a record holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Kind {
    Open = 1,
    Data = 2,
    Close = 3,
    /// The recording was finished in order; holds the number of events.
    End = 4,
    Count = 5,
}

/// CRC-32 (IEEE 802.3), started from the salt of the file, of a record's kind, reserved byte, length and payload.
///
/// The salt keeps a peer from placing records of its own inside the payload it sends, for a reader that looks
/// for the next good record after damage.
fn checksum(salt: u32, header: &[u8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(salt);
    hasher.update(header);
    hasher.update(payload);
    hasher.finalize()
}

#[cfg(test)]
mod tests;
