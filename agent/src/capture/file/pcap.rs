//! Socket events out of pcap and pcapng files.
//!
//! In: a capture as tcpdump, Wireshark and others write it, either byte order, with microseconds or
//! nanoseconds, several interfaces. Out: the events of every TCP connection in it. A damaged file gives what
//! comes before the damage.

use std::io::{self, Read};

use pcap_parser::{Block, PcapBlockOwned, PcapError, create_reader, traits::PcapReaderIterator};

use super::{Problems, Sink, ip::Packets, link::Link, tcp::Connections};
use crate::clock::Timestamp;

/// Buffer for blocks to begin with; it grows where a block is larger.
const BUFFER_BYTES: usize = 256 * 1024;

/// Largest block that is read. Overflow policy: the file is read up to there.
const MAX_BLOCK_BYTES: usize = 16 * 1024 * 1024;

/// Interfaces of one section. Overflow policy: packets of further ones are skipped and counted.
const MAX_INTERFACES: usize = 4096;

/// Byte order.
#[derive(Debug, Clone, Copy)]
enum Order {
    Big,
    Little,
}

impl Order {
    /// Whether the block that starts here says that it is shorter than its own frame: type, and length twice. The parser of
    /// blocks takes its word for it.
    fn is_too_short(self, block: &[u8]) -> bool {
        let Some(length) = block.get(4..8).and_then(|bytes| bytes.first_chunk::<4>()) else {
            return false;
        };
        let length = match self {
            Order::Big => u32::from_be_bytes(*length),
            Order::Little => u32::from_le_bytes(*length),
        };
        length < 12
    }
}

/// Where packets were captured.
#[derive(Debug, Clone, Copy)]
struct Interface {
    link: Result<Link, i32>,
    /// Time units per second.
    resolution: u64,
    /// Seconds to add to every time.
    offset: i64,
}

/// A capture being read.
struct Capture<'a> {
    /// pcapng: how the present section writes numbers.
    order: Option<Order>,
    interfaces: Vec<Interface>,
    packets: Packets,
    connections: Connections,
    last_at: Timestamp,
    problems: &'a mut Problems,
    sink: &'a mut dyn Sink,
}

/// Reads a capture file to its end.
pub(super) fn read(input: impl Read + Send, sink: &mut dyn Sink, problems: &mut Problems) {
    let mut reader = match create_reader(BUFFER_BYTES, Filled(input)) {
        Ok(reader) => reader,
        Err(error) => return problems.add(format!("the header of the capture is damaged ({error})")),
    };
    let mut capture = Capture {
        order: None,
        interfaces: Vec::new(),
        packets: Packets::default(),
        connections: Connections::default(),
        last_at: Timestamp::default(),
        problems,
        sink,
    };
    if let Err(reason) = capture.blocks(reader.as_mut()) {
        let offset = reader.consumed();
        capture.problems.add(format!(
            "at byte {offset}: {reason}; what comes before it was read"
        ));
    }
    let Capture {
        connections, sink, ..
    } = capture;
    connections.finish(&mut |event| sink.event(event));
}

impl Capture<'_> {
    fn blocks(&mut self, reader: &mut dyn PcapReaderIterator) -> Result<(), String> {
        let mut capacity = BUFFER_BYTES;
        loop {
            if self.order.is_some_and(|order| order.is_too_short(reader.data())) {
                return Err("a block has an impossible length".to_owned());
            }
            match reader.next() {
                Ok((len, block)) => {
                    self.block(&block);
                    reader.consume(len);
                    continue;
                }
                Err(PcapError::Eof) => return Ok(()),
                Err(PcapError::UnexpectedEof) => return Err("the file is cut short".to_owned()),
                Err(PcapError::Incomplete(_)) => {}
                Err(PcapError::BufferTooSmall) if capacity < MAX_BLOCK_BYTES => {
                    capacity *= 2;
                    reader.grow(capacity);
                }
                Err(PcapError::BufferTooSmall) => return Err("a block has an impossible length".to_owned()),
                Err(_) => return Err("the file is damaged".to_owned()),
            }
            let before = reader.data().len();
            if reader.refill().is_err() {
                return Err("the file cannot be read on".to_owned());
            }
            // Neither more bytes nor the end: asking again would not end.
            if reader.data().len() == before && !reader.reader_exhausted() {
                return Err("a block has an impossible length".to_owned());
            }
        }
    }

    fn block(&mut self, block: &PcapBlockOwned<'_>) {
        match block {
            PcapBlockOwned::LegacyHeader(header) => self.interfaces.push(Interface {
                link: Link::from_number(header.network.0).ok_or(header.network.0),
                resolution: if header.is_nanosecond_precision() {
                    1_000_000_000
                } else {
                    1_000_000
                },
                offset: 0,
            }),
            PcapBlockOwned::Legacy(packet) => {
                let Some(interface) = self.interfaces.first().copied() else {
                    return;
                };
                let units = u64::from(packet.ts_sec) * interface.resolution + u64::from(packet.ts_usec);
                self.packet(interface, Some(units), packet.data);
            }
            PcapBlockOwned::NG(Block::SectionHeader(section)) => {
                self.order = Some(if section.big_endian() {
                    Order::Big
                } else {
                    Order::Little
                });
                self.interfaces.clear();
            }
            PcapBlockOwned::NG(Block::InterfaceDescription(description)) => {
                if self.interfaces.len() < MAX_INTERFACES {
                    self.interfaces.push(Interface {
                        link: Link::from_number(description.linktype.0).ok_or(description.linktype.0),
                        resolution: description.ts_resolution().unwrap_or(1_000_000).max(1),
                        offset: description.ts_offset(),
                    });
                }
            }
            PcapBlockOwned::NG(Block::EnhancedPacket(packet)) => {
                let units = u64::from(packet.ts_high) << 32 | u64::from(packet.ts_low);
                let bytes = packet.data.get(..packet.caplen as usize).unwrap_or(packet.data);
                self.packet_of(packet.if_id as usize, Some(units), bytes);
            }
            PcapBlockOwned::NG(Block::SimplePacket(packet)) => {
                let bytes = packet.data.get(..packet.origlen as usize).unwrap_or(packet.data);
                self.packet_of(0, None, bytes);
            }
            PcapBlockOwned::NG(_) => {}
        }
    }

    fn packet_of(&mut self, interface: usize, units: Option<u64>, frame: &[u8]) {
        match self.interfaces.get(interface).copied() {
            Some(interface) => self.packet(interface, units, frame),
            None => self
                .problems
                .add("a packet names an interface that was not described".to_owned()),
        }
    }

    fn packet(&mut self, interface: Interface, units: Option<u64>, frame: &[u8]) {
        let at = units.map_or(self.last_at, |units| interface.time(units));
        self.last_at = at;
        let link = match interface.link {
            Ok(link) => link,
            Err(number) => {
                let text = format!("packets of link type {number} are not read; capture on an IP interface");
                return self.problems.add(text);
            }
        };
        let Some(packet) = link.ip(frame) else {
            return;
        };
        let Self {
            packets,
            connections,
            sink,
            ..
        } = self;
        packets.packet(at, packet, &mut |segment| {
            connections.segment(segment, &mut |event| sink.event(event));
        });
    }
}

impl Interface {
    fn time(&self, units: u64) -> Timestamp {
        let ns = u128::from(units) * 1_000_000_000 / u128::from(self.resolution);
        let ns = i128::try_from(ns).unwrap_or(i128::MAX) + i128::from(self.offset) * 1_000_000_000;
        Timestamp(u64::try_from(ns.max(0)).unwrap_or(u64::MAX))
    }
}

/// Fills what it is given to read into as far as the input goes: the parser takes a short first read for a
/// short file.
struct Filled<R>(R);

impl<R: Read> Read for Filled<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while let Some(space) = buffer.get_mut(filled..).filter(|space| !space.is_empty()) {
            match self.0.read(space) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // What was read is given first; the error comes again.
                Err(_) if filled > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }
}
