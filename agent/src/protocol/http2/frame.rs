//! Frame headers (RFC 9113 §4.1 and §6), and whether bytes can be the start of frames.

pub(super) use apiarist_common::frames::{flag, kind};

use apiarist_common::frames::{FRAME_HEADER_BYTES, FrameHeader, UNKNOWN_STREAMS};

/// Length of a frame header.
pub(super) const HEADER_BYTES: usize = FRAME_HEADER_BYTES as usize;

/// How far behind the newest known stream a frame after a loss may be, in stream ids.
const STREAM_REACH: u32 = 16_384;

/// Frames that are looked at to find out whether bytes are frames. The rest is believed.
const MAX_CHAIN: usize = 64;

/// The header of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// Length of the payload.
    pub(super) length: u32,
    pub(super) kind: u8,
    pub(super) flags: u8,
    /// Without the reserved bit.
    pub(super) stream: u32,
    reserved: bool,
}

impl Header {
    pub(super) fn parse(bytes: &[u8; HEADER_BYTES]) -> Self {
        let [a, b, c, kind, flags, stream @ ..] = *bytes;
        let stream = u32::from_be_bytes(stream);
        Self {
            length: u32::from_be_bytes([0, a, b, c]),
            kind,
            flags,
            stream: stream & 0x7fff_ffff,
            reserved: stream >> 31 == 1,
        }
    }

    pub(super) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Whether a conforming peer would send it; `highest` is the newest stream known, 0 if none is.
    fn is_plausible(&self, highest: u32) -> bool {
        let reach = if highest == 0 {
            UNKNOWN_STREAMS
        } else {
            highest.saturating_add(STREAM_REACH)
        };
        if self.reserved || self.stream > reach {
            return false;
        }
        let header = FrameHeader {
            length: self.length,
            stream: self.stream,
            kind: self.kind,
            flags: self.flags,
        };
        header.conforms()
    }
}

/// The frames of a slice: their headers, with what there is of their payloads.
pub(super) fn frames(bytes: &[u8]) -> impl Iterator<Item = (Header, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (header, payload) = rest.split_first_chunk::<HEADER_BYTES>()?;
        let header = Header::parse(header);
        let (payload, behind) = payload
            .split_at_checked(header.length as usize)
            .unwrap_or((payload, &[]));
        rest = behind;
        Some((header, payload))
    })
}

/// Whether bytes that start an operation start with a frame: all headers in them must be those of a conforming
/// peer. One frame whose end is not there is believed only where the streams of the connection are known.
pub(super) fn starts(bytes: &[u8], highest: u32) -> bool {
    let mut end = 0;
    let mut count = 0;
    for (header, _) in frames(bytes).take(MAX_CHAIN) {
        if !header.is_plausible(highest) {
            return false;
        }
        end += HEADER_BYTES + header.length as usize;
        count += 1;
    }
    let is_whole = end == bytes.len() && count > 0;
    is_whole || count > 1 || (count == 1 && highest > 0)
}

/// Whether an operation in the middle of a connection that nothing is known of can be frames.
pub(crate) fn could_be_frames(bytes: &[u8]) -> bool {
    starts(bytes, 0)
}

/// Whether bytes are, or could become, what a server sends first: its settings (RFC 9113 §3.4).
pub(crate) fn could_be_server_start(bytes: &[u8]) -> bool {
    const WANTED: [u8; HEADER_BYTES] = [0, 0, 0, kind::SETTINGS, 0, 0, 0, 0, 0];
    bytes
        .iter()
        .zip(WANTED)
        .enumerate()
        .all(|(place, (byte, wanted))| place == 2 && byte.is_multiple_of(6) || *byte == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    const DATA: [u8; 14] = [0, 0, 5, 0, 1, 0, 0, 0, 3, b'h', b'e', b'l', b'l', b'o'];

    #[test]
    fn headers_are_read() {
        let header = Header::parse(&[1, 2, 3, 1, 0x24, 0x80, 0, 0, 7]);
        assert_eq!((header.length, header.kind, header.stream), (0x01_0203, 1, 7));
        assert!(header.has(flag::END_HEADERS) && !header.has(flag::PADDED) && header.reserved);
    }

    #[test]
    fn frames_are_told_from_other_bytes() {
        let both = [&SETTINGS[..], &DATA].concat();
        assert!(starts(&both, 0));
        assert!(starts(&DATA, 0));
        assert!(starts(&both[..both.len() - 2], 0));
        assert!(!starts(&DATA[..12], 0));
        assert!(starts(&DATA[..12], 3));
        assert!(!starts(&both[1..], 3));
        assert!(!starts(b"hello, world: this is a body", 3));
        assert!(!starts(b"", 3));
        let far = [0, 0, 0, 0, 1, 0x40, 0, 0, 3];
        assert!(!starts(&far, 3));
    }

    #[test]
    fn servers_start_with_settings() {
        assert!(could_be_server_start(&SETTINGS));
        assert!(could_be_server_start(&[0, 0, 12]));
        assert!(!could_be_server_start(&[0, 0, 13]));
        assert!(!could_be_server_start(b"HTTP/1.1"));
        assert!(!could_be_server_start(&DATA));
    }
}
