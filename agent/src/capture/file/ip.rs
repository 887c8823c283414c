//! TCP segments out of IP packets.
//!
//! In: IPv4 (RFC 791) and IPv6 (RFC 8200) packets, whole, fragmented, or cut short by the capture; extension
//! headers are stepped over. Out: [`Segment`]s. Checksums are not looked at: on the sending machine they are
//! filled in behind the capture.

use std::{collections::HashMap, net::IpAddr, time::Duration};

use etherparse::{IpNumber, Ipv6ExtensionSlice, LaxIpSlice, TcpSlice};

use super::{
    ordered::Ordered,
    tcp::{Endpoint, Segment},
};
use crate::clock::Timestamp;

/// Fragmented packets put together at a time, each of at most 64 KiB. Overflow policy: the oldest is dropped.
const MAX_DATAGRAMS: usize = 256;

/// How long fragments of one packet are waited for (RFC 8200 §4.5).
const FRAGMENT_TIMEOUT: Duration = Duration::from_secs(60);

/// What names a fragmented packet: addresses and identification.
type Key = (IpAddr, IpAddr, u32);

/// One fragment: where it lies in the packet's payload.
struct Fragment<'a> {
    key: Key,
    offset: u32,
    more: bool,
    bytes: &'a [u8],
    /// Bytes that the capture cut off.
    missing: u64,
}

#[derive(Debug)]
struct Datagram {
    began: Timestamp,
    number: u64,
    stream: Ordered,
    bytes: Vec<u8>,
    broken: bool,
}

/// Packets that are being put together.
#[derive(Debug, Default)]
pub(super) struct Packets {
    datagrams: HashMap<Key, Datagram>,
    fragmented: u64,
}

impl Packets {
    /// Takes the next packet; gives the TCP segment that it holds or completes.
    pub(super) fn packet(&mut self, at: Timestamp, packet: &[u8], take: &mut dyn FnMut(&Segment<'_>)) {
        let Ok((ip, _)) = LaxIpSlice::from_slice(packet) else {
            return;
        };
        let content = ip.payload();
        if content.ip_number != IpNumber::TCP {
            return;
        }
        let addresses = (ip.source_addr(), ip.destination_addr());
        let missing = missing(&ip, packet);
        match fragment(&ip, missing) {
            Some(fragment) => {
                if let Some(whole) = self.put_together(at, &fragment) {
                    segment(at, addresses, &whole, 0, take);
                }
            }
            None => segment(at, addresses, content.payload, missing, take),
        }
    }

    fn put_together(&mut self, at: Timestamp, fragment: &Fragment<'_>) -> Option<Vec<u8>> {
        if self
            .datagrams
            .get(&fragment.key)
            .is_some_and(|datagram| at.since(datagram.began) > FRAGMENT_TIMEOUT)
        {
            self.datagrams.remove(&fragment.key);
        }
        if self.datagrams.len() >= MAX_DATAGRAMS && !self.datagrams.contains_key(&fragment.key) {
            let oldest = self.datagrams.iter().min_by_key(|(_, datagram)| datagram.number);
            if let Some(key) = oldest.map(|(key, _)| *key) {
                self.datagrams.remove(&key);
            }
        }
        self.fragmented += 1;
        let datagram = self.datagrams.entry(fragment.key).or_insert_with(|| Datagram {
            began: at,
            number: self.fragmented,
            stream: Ordered::default(),
            bytes: Vec::new(),
            broken: false,
        });
        datagram.add(fragment);
        if !datagram.stream.finished() {
            return None;
        }
        let whole = self.datagrams.remove(&fragment.key)?;
        (!whole.broken).then_some(whole.bytes)
    }
}

impl Datagram {
    fn add(&mut self, fragment: &Fragment<'_>) {
        let Self {
            began: _,
            number: _,
            stream,
            bytes,
            broken,
        } = self;
        let len = fragment.bytes.len() as u64 + fragment.missing;
        stream.start_at(0);
        stream.push(fragment.offset, fragment.bytes, len, &mut |run| {
            *broken |= run.end - run.position != run.bytes.len() as u64;
            bytes.extend_from_slice(run.bytes);
        });
        if !fragment.more {
            // At most 16 bits of offset and of length.
            stream.end_at(fragment.offset.saturating_add(len as u32));
        }
    }
}

/// Bytes of the packet that were on the wire and are not in the capture.
fn missing(ip: &LaxIpSlice<'_>, packet: &[u8]) -> u64 {
    let len = match ip {
        LaxIpSlice::Ipv4(ip) => u64::from(ip.header().total_len()),
        LaxIpSlice::Ipv6(ip) => 40 + u64::from(ip.header().payload_length()),
    };
    len.saturating_sub(packet.len() as u64)
}

fn fragment<'a>(ip: &LaxIpSlice<'a>, missing: u64) -> Option<Fragment<'a>> {
    if !ip.is_fragmenting_payload() {
        return None;
    }
    let (id, offset, more) = match ip {
        LaxIpSlice::Ipv4(ip) => {
            let header = ip.header();
            let offset = header.fragments_offset().value();
            (
                u32::from(header.identification()),
                offset,
                header.more_fragments(),
            )
        }
        LaxIpSlice::Ipv6(ip) => {
            ip.extensions()
                .clone()
                .into_iter()
                .find_map(|extension| match extension {
                    Ipv6ExtensionSlice::Fragment(header) => {
                        let offset = header.fragment_offset().value();
                        Some((header.identification(), offset, header.more_fragments()))
                    }
                    _ => None,
                })?
        }
    };
    Some(Fragment {
        key: (ip.source_addr(), ip.destination_addr(), id),
        offset: u32::from(offset) * 8,
        more,
        bytes: ip.payload().payload,
        missing,
    })
}

fn segment(
    at: Timestamp,
    (source, destination): (IpAddr, IpAddr),
    bytes: &[u8],
    missing: u64,
    take: &mut dyn FnMut(&Segment<'_>),
) {
    let Ok(tcp) = TcpSlice::from_slice(bytes) else {
        return;
    };
    let endpoint = |ip: IpAddr, port: u16| -> Endpoint { (ip.to_canonical(), port) };
    take(&Segment {
        at,
        source: endpoint(source, tcp.source_port()),
        destination: endpoint(destination, tcp.destination_port()),
        seq: tcp.sequence_number(),
        ack: tcp.acknowledgment_number(),
        syn: tcp.syn(),
        acknowledges: tcp.ack(),
        fin: tcp.fin(),
        rst: tcp.rst(),
        payload: tcp.payload(),
        len: tcp.payload().len() as u64 + missing,
    });
}

#[cfg(test)]
mod tests {
    use etherparse::PacketBuilder;

    use super::*;

    fn tcp_v4(payload: &[u8]) -> Vec<u8> {
        let builder = PacketBuilder::ipv4([10, 0, 0, 7], [10, 0, 0, 9], 64)
            .tcp(51_512, 80, 7, 1_024)
            .ack(9);
        let mut packet = Vec::new();
        builder.write(&mut packet, payload).unwrap();
        packet
    }

    fn tcp_v6(payload: &[u8]) -> Vec<u8> {
        let builder = PacketBuilder::ipv6([1; 16], [2; 16], 64)
            .tcp(51_512, 80, 7, 1_024)
            .ack(9);
        let mut packet = Vec::new();
        builder.write(&mut packet, payload).unwrap();
        packet
    }

    /// Splits an IPv4 packet after `at` bytes of its payload, a multiple of 8.
    fn split_v4(packet: &[u8], at: usize) -> [Vec<u8>; 2] {
        let (header, content) = packet.split_at(20);
        let (first, second) = content.split_at(at);
        [(0, true, first), (at / 8, false, second)].map(|(offset, more, part)| {
            let mut out = header.to_vec();
            out[2..4].copy_from_slice(&(20 + part.len() as u16).to_be_bytes());
            out[4..6].copy_from_slice(&77_u16.to_be_bytes());
            let flags = offset as u16 | u16::from(more) << 13;
            out[6..8].copy_from_slice(&flags.to_be_bytes());
            out.extend_from_slice(part);
            out
        })
    }

    fn split_v6(packet: &[u8], at: usize) -> [Vec<u8>; 2] {
        let (header, content) = packet.split_at(40);
        let (first, second) = content.split_at(at);
        [(0, 1, first), (at, 0, second)].map(|(offset, more, part)| {
            let mut out = header.to_vec();
            out[4..6].copy_from_slice(&(8 + part.len() as u16).to_be_bytes());
            out[6] = 44;
            out.extend_from_slice(&[6, 0]);
            out.extend_from_slice(&(offset as u16 | more).to_be_bytes());
            out.extend_from_slice(&[0, 0, 0, 5]);
            out.extend_from_slice(part);
            out
        })
    }

    /// Payload and wire length of the segments in these packets.
    fn segments(packets: &[&[u8]]) -> Vec<(Vec<u8>, u64)> {
        let mut all = Packets::default();
        let mut out = Vec::new();
        for packet in packets {
            all.packet(Timestamp(1), packet, &mut |segment| {
                assert_eq!((segment.source.1, segment.destination.1), (51_512, 80));
                assert_eq!((segment.seq, segment.ack), (7, 9));
                out.push((segment.payload.to_vec(), segment.len));
            });
        }
        out
    }

    #[test]
    fn whole_packets_give_their_segment_without_padding() {
        for mut packet in [tcp_v4(b"GET /"), tcp_v6(b"GET /")] {
            packet.extend_from_slice(&[0; 9]);
            assert_eq!(segments(&[&packet]), [(b"GET /".to_vec(), 5)]);
        }
    }

    #[test]
    fn packets_cut_short_keep_their_length() {
        for packet in [tcp_v4(b"GET /long"), tcp_v6(b"GET /long")] {
            assert_eq!(segments(&[&packet[..packet.len() - 6]]), [(b"GET".to_vec(), 9)]);
            for cut in 0..packet.len() {
                segments(&[&packet[..cut]]);
            }
        }
    }

    #[test]
    fn fragments_are_put_together_in_any_order() {
        let text = b"0123456789abcdefghijklmnop";
        for [first, second] in [split_v4(&tcp_v4(text), 24), split_v6(&tcp_v6(text), 24)] {
            let whole = [(text.to_vec(), 26)];
            assert_eq!(segments(&[&first, &second]), whole);
            assert_eq!(segments(&[&second, &first]), whole);
            assert_eq!(segments(&[&first, &first, &second]), whole);
            assert_eq!(segments(&[&second]), []);
        }
    }

    #[test]
    fn a_flood_of_fragments_is_bounded() {
        let mut all = Packets::default();
        let [mut first, _] = split_v4(&tcp_v4(b"0123456789abcdef"), 24);
        for id in 0..2_000_u16 {
            first[4..6].copy_from_slice(&id.to_be_bytes());
            all.packet(Timestamp(1), &first, &mut |_| panic!("no packet is complete"));
        }
        assert!(all.datagrams.len() <= MAX_DATAGRAMS);
    }
}
