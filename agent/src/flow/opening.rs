//! The first bytes of a connection: which protocol, and which end is the server.
//!
//! In: bytes of both directions until one of them tells. Out: a [`Decision`]. Roles come from content alone: who
//! receives requests is the server. A PROXY protocol preamble is skipped; the address in it is the sender's claim
//! and is not used.

use apiarist_common::{limits::MAX_UNKNOWN_OPERATIONS, sniff::Verdict};

use crate::{
    clock::Timestamp,
    event::Direction,
    exchange::Side,
    protocol::{http1, http2, session::Way, start::look},
};

/// Most bytes kept of an undecided direction: a version 1 preamble has 107 at the most. Overflow policy: the
/// direction counts as unknown.
const MAX_PREFIX_BYTES: usize = 128;

/// What was found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// Nothing yet.
    Wait,
    /// HTTP/1, with the role of the observed end.
    Http1(Side),
    /// HTTP/2 from its start, with the role of the observed end.
    Http2(Side),
    /// HTTP/2 in its middle.
    LateHttp2(Side),
    /// TLS records.
    Tls,
    /// No known protocol after many tries.
    Other,
}

/// An undecided direction.
#[derive(Debug, Default)]
pub(super) struct Half {
    /// Bytes that are not decided yet.
    pub(super) prefix: Vec<u8>,
    /// When they came, and whether they started a turn.
    pub(super) at: Timestamp,
    pub(super) turn: bool,
    /// Bytes were left out or lost.
    pub(super) incomplete: bool,
    /// Bytes of a preamble still to skip.
    skip: usize,
}

/// An undecided connection.
#[derive(Debug, Default)]
pub(super) struct Opening {
    pub(super) halves: [Half; 2],
    tries: u16,
}

impl Opening {
    /// Takes bytes; on any decision but [`Decision::Wait`] the bytes that matter are in the halves' prefixes.
    pub(super) fn bytes(
        &mut self,
        direction: Direction,
        bytes: &[u8],
        turn: bool,
        at: Timestamp,
    ) -> Decision {
        let [egress, ingress] = &mut self.halves;
        let half = match direction {
            Direction::Egress => egress,
            Direction::Ingress => ingress,
        };
        let skipped = half.skip.min(bytes.len());
        half.skip -= skipped;
        let bytes = bytes.get(skipped..).unwrap_or_default();
        if bytes.is_empty() {
            return Decision::Wait;
        }
        if half.prefix.is_empty() {
            half.at = at;
            half.turn = turn;
        }
        half.prefix.extend_from_slice(bytes);
        loop {
            let verdict = look(&half.prefix);
            let server = match direction {
                Direction::Ingress => Side::Server,
                Direction::Egress => Side::Client,
            };
            let client = match direction {
                Direction::Ingress => Side::Client,
                Direction::Egress => Side::Server,
            };
            match verdict {
                Verdict::Http1Request => return Decision::Http1(server),
                Verdict::Http1Response => return Decision::Http1(client),
                Verdict::Http2 => return Decision::Http2(server),
                Verdict::Tls => return Decision::Tls,
                Verdict::More => return Decision::Wait,
                Verdict::Preamble => match preamble(&half.prefix) {
                    Some(length) => {
                        half.skip = length.saturating_sub(half.prefix.len());
                        half.prefix.drain(..length.min(half.prefix.len()));
                        if half.prefix.is_empty() {
                            return Decision::Wait;
                        }
                    }
                    None if half.prefix.len() <= MAX_PREFIX_BYTES => return Decision::Wait,
                    None => break,
                },
                Verdict::Other if http1::odd_request(&half.prefix) => return Decision::Http1(server),
                Verdict::Other if http1::odd_response(&half.prefix) => return Decision::Http1(client),
                // A server may send its settings before it has read anything.
                Verdict::Other
                    if half.prefix.len() <= MAX_PREFIX_BYTES
                        && http2::could_be_server_start(&half.prefix) =>
                {
                    return Decision::Wait;
                }
                Verdict::Other => match http2::side(&half.prefix) {
                    Some(Way::Request) => return Decision::LateHttp2(server),
                    Some(Way::Response) => return Decision::LateHttp2(client),
                    // Long calls send frames without fields for hours: they do not tell the way, and give nothing up.
                    None if http2::could_be_frames(&half.prefix) => {
                        half.prefix = Vec::new();
                        half.incomplete = true;
                        return Decision::Wait;
                    }
                    None => break,
                },
            }
        }
        half.prefix = Vec::new();
        half.incomplete = true;
        // Bytes inside a message tell nothing, as those of a stream joined in the middle, or behind a loss.
        self.tries += u16::from(turn);
        if self.tries >= MAX_UNKNOWN_OPERATIONS {
            Decision::Other
        } else {
            Decision::Wait
        }
    }

    /// Bytes of a direction were not seen.
    pub(super) fn gap(&mut self, direction: Direction, length: u64) {
        let [egress, ingress] = &mut self.halves;
        let half = match direction {
            Direction::Egress => egress,
            Direction::Ingress => ingress,
        };
        let skipped = usize::try_from(length).map_or(half.skip, |length| half.skip.min(length));
        half.skip -= skipped;
        if length > skipped as u64 {
            half.prefix = Vec::new();
            half.incomplete = true;
        }
    }

    /// Bytes of memory.
    pub(super) fn memory(&self) -> usize {
        size_of::<Self>()
            + self
                .halves
                .iter()
                .map(|half| half.prefix.capacity())
                .sum::<usize>()
    }
}

/// Length of the PROXY protocol header at the start, if enough of it is there: a line (version 1), or 16 bytes and
/// the length in the last two of them (version 2). HAProxy's document, §2.1 and §2.2.
fn preamble(bytes: &[u8]) -> Option<usize> {
    if bytes.starts_with(b"PROXY ") {
        let line = bytes.get(..107).unwrap_or(bytes);
        return memchr::memchr(b'\n', line).map(|end| end + 1);
    }
    let length = bytes.get(14..16)?.first_chunk::<2>()?;
    Some(16 + usize::from(u16::from_be_bytes(*length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(parts: &[(Direction, &[u8])]) -> (Decision, Vec<u8>) {
        let mut opening = Opening::default();
        for (direction, bytes) in parts {
            let decision = opening.bytes(*direction, bytes, true, Timestamp(1));
            if decision != Decision::Wait {
                return (decision, opening.halves[direction.index()].prefix.clone());
            }
        }
        (Decision::Wait, Vec::new())
    }

    #[test]
    fn who_receives_requests_is_the_server() {
        use Direction::{Egress, Ingress};
        let request: &[u8] = b"GET / HTTP/1.1\r\n";
        let response: &[u8] = b"HTTP/1.1 200 OK\r\n";
        for (direction, bytes, side) in [
            (Ingress, request, Side::Server),
            (Egress, request, Side::Client),
            (Ingress, response, Side::Client),
            (Egress, response, Side::Server),
        ] {
            assert_eq!(
                decide(&[(direction, bytes)]),
                (Decision::Http1(side), bytes.to_vec())
            );
        }
    }

    #[test]
    fn frames_without_fields_are_waited_out() {
        let update: (Direction, &[u8]) = (Direction::Egress, b"\0\0\x04\x08\0\0\0\0\0\0\0\x10\0");
        let mut parts = vec![update; 1_000];
        assert_eq!(decide(&parts).0, Decision::Wait);
        // :method GET, :scheme http, :path /.
        parts.push((Direction::Egress, b"\0\0\x03\x01\x05\0\0\0\x07\x82\x86\x84"));
        assert_eq!(decide(&parts).0, Decision::LateHttp2(Side::Client));
        let other: (Direction, &[u8]) = (Direction::Egress, b"\0\0\x04\x63\0\0\0\0\0\0\0\x10\0");
        assert_eq!(decide(&vec![other; 1_000]).0, Decision::Other);
    }

    #[test]
    fn preambles_are_skipped_at_every_split() {
        let request = b"GET /a HTTP/1.1\r\n";
        let mut second = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c0123456789ab".to_vec();
        let mut first = b"PROXY TCP4 192.0.2.1 192.0.2.2 5000 80\r\n".to_vec();
        for preamble in [&mut first, &mut second] {
            preamble.extend_from_slice(request);
            for cut in 0..preamble.len() {
                let (one, two) = preamble.split_at(cut);
                let parts = [(Direction::Ingress, one), (Direction::Ingress, two)];
                let (decision, prefix) = decide(&parts);
                assert_eq!(decision, Decision::Http1(Side::Server), "{cut}");
                assert!(request.starts_with(&prefix) && !prefix.is_empty(), "{cut}");
            }
        }
    }

    #[test]
    fn methods_beyond_the_registry_are_requests() {
        let (decision, _) = decide(&[(Direction::Ingress, b"FROB /x HTTP/1.1\r\n\r\n")]);
        assert_eq!(decision, Decision::Http1(Side::Server));
    }

    #[test]
    fn the_ends_of_messages_are_waited_out() {
        let mut opening = Opening::default();
        for _ in 0..1_000 {
            let decision = opening.bytes(Direction::Ingress, b"8931\r\n\r\n", false, Timestamp(1));
            assert_eq!(decision, Decision::Wait);
        }
        let request = b"GET / HTTP/1.1\r\n\r\n";
        let decision = opening.bytes(Direction::Ingress, request, true, Timestamp(1));
        assert_eq!(decision, Decision::Http1(Side::Server));
    }

    #[test]
    fn nonsense_is_given_up_after_many_tries() {
        let parts =
            vec![(Direction::Egress, &b"\0\x01\x02nonsense"[..]); usize::from(MAX_UNKNOWN_OPERATIONS)];
        assert_eq!(decide(&parts).0, Decision::Other);
        assert_eq!(decide(&parts[1..]).0, Decision::Wait);
    }
}
