//! Finds the IP packet inside a captured frame.
//!
//! In: the link type of the capture (<https://www.tcpdump.org/linktypes.html>) and one frame. Out: the bytes
//! from the IP header on, or nothing for frames that carry something else.

/// IEEE 802.1Q and 802.1ad tags, and the tag type used before the latter, that are looked through.
const MAX_TAGS: usize = 4;

/// EtherTypes of IPv4 and IPv6.
const IP: [u16; 2] = [0x0800, 0x86dd];

/// EtherTypes of VLAN tags.
const TAGS: [u16; 3] = [0x8100, 0x88a8, 0x9100];

/// How frames of a capture begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    /// BSD loopback: four bytes of address family, in either byte order.
    Null,
    Ethernet,
    /// IP without anything before it.
    Raw,
    /// Linux cooked, version 1.
    Cooked,
    /// Linux cooked, version 2.
    Cooked2,
}

impl Link {
    /// From a `LINKTYPE_` value.
    pub(super) fn from_number(number: i32) -> Option<Self> {
        match number {
            0 | 108 => Some(Link::Null),
            1 => Some(Link::Ethernet),
            // DLT_RAW differs between systems; files of old programs carry it.
            12 | 14 | 101 | 228 | 229 => Some(Link::Raw),
            113 => Some(Link::Cooked),
            276 => Some(Link::Cooked2),
            _ => None,
        }
    }

    /// The IP packet in a frame.
    pub(super) fn ip(self, frame: &[u8]) -> Option<&[u8]> {
        match self {
            Link::Raw => Some(frame),
            // The families differ between systems; the version in the IP header does not.
            Link::Null => frame.get(4..),
            Link::Ethernet => tagged(frame.get(12..)?),
            Link::Cooked => tagged(frame.get(14..)?),
            Link::Cooked2 => {
                let (kind, _) = frame.split_first_chunk::<2>()?;
                payload(u16::from_be_bytes(*kind), frame.get(20..)?)
            }
        }
    }
}

/// What follows an EtherType, which `bytes` begin with.
fn tagged(bytes: &[u8]) -> Option<&[u8]> {
    let (kind, rest) = bytes.split_first_chunk::<2>()?;
    payload(u16::from_be_bytes(*kind), rest)
}

/// Looks through VLAN tags.
fn payload(mut kind: u16, mut rest: &[u8]) -> Option<&[u8]> {
    for _ in 0..MAX_TAGS {
        if !TAGS.contains(&kind) {
            break;
        }
        let (&[_, _, high, low], behind) = rest.split_first_chunk::<4>()?;
        kind = u16::from_be_bytes([high, low]);
        rest = behind;
    }
    IP.contains(&kind).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_link_type_leads_to_the_packet() {
        let cases: [(i32, Vec<u8>); 9] = [
            (101, vec![]),
            (228, vec![]),
            (0, vec![2, 0, 0, 0]),
            (108, vec![0, 0, 0, 30]),
            (1, [&[0; 12][..], &[0x08, 0x00]].concat()),
            (1, [&[0; 12][..], &[0x81, 0x00, 0, 7, 0x86, 0xdd]].concat()),
            (
                1,
                [&[0; 12][..], &[0x88, 0xa8, 0, 7, 0x81, 0x00, 0, 9, 0x08, 0x00]].concat(),
            ),
            (113, [&[0; 14][..], &[0x08, 0x00]].concat()),
            (276, [&[0x08, 0x00][..], &[0; 18]].concat()),
        ];
        for (number, mut frame) in cases {
            frame.extend_from_slice(b"\x45packet");
            let link = Link::from_number(number).unwrap();
            assert_eq!(link.ip(&frame), Some(&b"\x45packet"[..]), "{number}");
        }
    }

    #[test]
    fn other_frames_and_short_ones_give_nothing() {
        let arp = [&[0; 12][..], &[0x08, 0x06, 0, 1]].concat();
        assert_eq!(Link::Ethernet.ip(&arp), None);
        for link in [Link::Null, Link::Ethernet, Link::Cooked, Link::Cooked2] {
            for len in 0..4 {
                assert_eq!(link.ip(&arp[..len]), None, "{link:?}");
            }
        }
        assert_eq!(Link::from_number(105), None);
    }
}
