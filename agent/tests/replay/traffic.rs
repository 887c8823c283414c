//! Small conversations, as the capture files and recordings that tests read.

use std::net::Ipv4Addr;

use apiarist::{
    capture::file::recording::Writer,
    clock::Timestamp,
    event::{Address, Direction, ProcessRef, SocketClose, SocketData, SocketEvent, SocketId, SocketOpen},
};

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaker {
    Client,
    Server,
}

/// One connection: who says what, 10 ms apart.
#[derive(Debug, Clone)]
pub(crate) struct Conversation {
    pub(crate) client_port: u16,
    pub(crate) lines: Vec<(Speaker, Vec<u8>)>,
}

const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 7);
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 9);
const SERVER_PORT: u16 = 8080;
const START_NS: u64 = 1_700_000_000_000_000_000;
const STEP_NS: u64 = 10_000_000;

/// A conversation in which requests and responses alternate.
pub(crate) fn conversation(client_port: u16, lines: &[&str]) -> Conversation {
    let lines = lines.iter().enumerate().map(|(index, line)| {
        let speaker = if index % 2 == 0 {
            Speaker::Client
        } else {
            Speaker::Server
        };
        (speaker, line.as_bytes().to_vec())
    });
    Conversation {
        client_port,
        lines: lines.collect(),
    }
}

/// A JSON answer.
pub(crate) fn json(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The conversations, one after the other, as a recording.
pub(crate) fn recording(conversations: &[Conversation]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), 1).unwrap();
    let mut now = START_NS;
    for (index, conversation) in conversations.iter().enumerate() {
        let socket = SocketId(index as u64 + 1);
        let open = SocketOpen {
            socket,
            at: Timestamp(now),
            local: Address::Ip(SERVER.into(), SERVER_PORT),
            remote: Address::Ip(CLIENT.into(), conversation.client_port),
            netns: 0,
            process: ProcessRef {
                pid: 4242,
                start_ns: 1,
                cgroup: 0,
                comm: "shop".into(),
            },
            peer: None,
            joined_late: false,
            tls: false,
            positions: [0, 0],
        };
        writer.write(&SocketEvent::Open(open)).unwrap();
        let mut positions = [0; 2];
        let mut last = None;
        for (speaker, bytes) in &conversation.lines {
            now += STEP_NS;
            let direction = match speaker {
                Speaker::Client => Direction::Ingress,
                Speaker::Server => Direction::Egress,
            };
            let position = positions[direction.index()];
            let end = position + bytes.len() as u64;
            positions[direction.index()] = end;
            let data = SocketData {
                socket,
                at: Timestamp(now),
                direction,
                position,
                bytes,
                end,
                turn: last != Some(direction),
                eof: false,
                spent: false,
                layer: apiarist::event::Layer::Socket,
                pid: 4242,
            };
            last = Some(direction);
            writer.write(&SocketEvent::Data(data)).unwrap();
        }
        let close = SocketClose {
            socket,
            at: Timestamp(now),
            positions,
            kernel_bytes: Some(positions),
            told: false,
        };
        writer.write(&SocketEvent::Close(close)).unwrap();
    }
    writer.finish().unwrap()
}

/// The conversations, one after the other, as IPv4 packets with at most `segment` bytes of payload each.
pub(crate) fn packets(conversations: &[Conversation], segment: usize) -> Vec<Packet> {
    let mut packets = Vec::new();
    let mut now = START_NS;
    for conversation in conversations {
        let (mut client_seq, mut server_seq) = (999, 4_999);
        let mut send = |at, speaker, flags, bytes: &[u8]| {
            let from_client = speaker == Speaker::Client;
            let (seq, ack) = match from_client {
                true => (&mut client_seq, server_seq),
                false => (&mut server_seq, client_seq),
            };
            packets.push(Packet::new(
                at,
                conversation.client_port,
                from_client,
                flags,
                *seq,
                ack,
                bytes,
            ));
            *seq += bytes.len() as u32 + u32::from(flags & (SYN | FIN) != 0);
        };
        send(now, Speaker::Client, SYN, b"");
        send(now, Speaker::Server, SYN | ACK, b"");
        send(now, Speaker::Client, ACK, b"");
        for (speaker, bytes) in &conversation.lines {
            now += STEP_NS;
            for part in bytes.chunks(segment) {
                send(now, *speaker, ACK, part);
            }
        }
        send(now, Speaker::Client, FIN | ACK, b"");
        send(now, Speaker::Server, FIN | ACK, b"");
    }
    packets
}

const FIN: u8 = 1;
const SYN: u8 = 2;
const ACK: u8 = 16;

/// A captured packet.
#[derive(Debug, Clone)]
pub(crate) struct Packet {
    at: u64,
    pub(crate) bytes: Vec<u8>,
}

impl Packet {
    fn new(
        at: u64,
        client_port: u16,
        from_client: bool,
        flags: u8,
        seq: u32,
        ack: u32,
        payload: &[u8],
    ) -> Self {
        let len = u16::try_from(40 + payload.len()).unwrap();
        let client = (CLIENT, client_port);
        let server = (SERVER, SERVER_PORT);
        let (source, destination) = if from_client {
            (client, server)
        } else {
            (server, client)
        };
        let mut bytes = vec![0x45, 0];
        bytes.extend_from_slice(&len.to_be_bytes());
        bytes.extend_from_slice(&[0, 0, 0x40, 0, 64, 6, 0, 0]);
        bytes.extend_from_slice(&source.0.octets());
        bytes.extend_from_slice(&destination.0.octets());
        bytes.extend_from_slice(&source.1.to_be_bytes());
        bytes.extend_from_slice(&destination.1.to_be_bytes());
        bytes.extend_from_slice(&seq.to_be_bytes());
        bytes.extend_from_slice(&ack.to_be_bytes());
        bytes.extend_from_slice(&[0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        bytes.extend_from_slice(payload);
        Self { at, bytes }
    }

    /// Bytes of TCP payload.
    pub(crate) fn payload(&self) -> &[u8] {
        &self.bytes[40..]
    }
}

/// The packets as a capture file (raw IP, microseconds).
pub(crate) fn pcap(packets: &[Packet]) -> Vec<u8> {
    let mut file = Vec::new();
    for value in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 262_144, 101] {
        file.extend_from_slice(&value.to_le_bytes());
    }
    for packet in packets {
        let len = packet.bytes.len() as u32;
        let (seconds, micros) = (packet.at / 1_000_000_000, packet.at % 1_000_000_000 / 1_000);
        for value in [seconds as u32, micros as u32, len, len] {
            file.extend_from_slice(&value.to_le_bytes());
        }
        file.extend_from_slice(&packet.bytes);
    }
    file
}
