//! Whether bytes in the middle of a connection are HTTP/2, and of which way.
//!
//! In: the bytes of one operation. Out: the way, if they are frames with a block of fields among them that names it.
//! Refuses anything less: other binary protocols have lengths in front too.

use super::{
    block::Block,
    fields::Fields,
    frame::{flag, frames, kind, starts},
    hpack::Decoder,
};
use crate::{clock::Timestamp, protocol::session::Way};

/// Frames that are looked at.
const MAX_FRAMES: usize = 16;

/// The way that bytes go which start an operation in the middle of an HTTP/2 connection.
pub(crate) fn side(bytes: &[u8]) -> Option<Way> {
    if !starts(bytes, 0) {
        return None;
    }
    frames(bytes).take(MAX_FRAMES).find_map(|(header, payload)| {
        let is_whole = payload.len() == header.length as usize && header.has(flag::END_HEADERS);
        if header.kind != kind::HEADERS || !is_whole {
            return None;
        }
        let (_, fragment) = Block::new(header, payload, Timestamp::default())?;
        let mut decoder = Decoder::new();
        decoder.lose();
        let mut fields = Fields::default();
        decoder.decode(fragment, |field| fields.push(field)).ok()?;
        match (fields.is_request, fields.status) {
            (true, None) => Some(Way::Request),
            (false, Some(_)) => Some(Way::Response),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_of_fields_tells_the_way() {
        // :method GET, :scheme http, :path /; then :status 200.
        assert_eq!(
            side(b"\0\0\x03\x01\x05\0\0\0\x07\x82\x86\x84"),
            Some(Way::Request)
        );
        assert_eq!(side(b"\0\0\x01\x01\x05\0\0\0\x07\x88"), Some(Way::Response));
    }

    #[test]
    fn anything_less_does_not() {
        assert_eq!(side(b"\0\0\x05\0\x01\0\0\0\x03hello"), None);
        assert_eq!(side(b"\0\0\x08\x06\0\0\0\0\0\0\0\0\0\0\0\0\0"), None);
        assert_eq!(side(b"\x83\0\0\x10\0\0\x03\0\0\0\0\0\0\0\x03"), None);
        assert_eq!(side(b""), None);
    }
}
