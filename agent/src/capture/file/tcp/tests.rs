//! Whole connections: who is the server, where they begin and end, what survives loss.

use super::*;
use crate::event::{Direction, SocketEvent};

const CLIENT: Endpoint = (IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 7)), 51_512);
const SERVER: Endpoint = (IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 9)), 8_080);

/// Feeds segments and writes down the events in a short form.
#[derive(Default)]
struct Wire {
    connections: Connections,
    seen: Vec<String>,
    time: u64,
}

impl Wire {
    fn send(&mut self, source: Endpoint, flags: &str, seq: u32, ack: u32, payload: &[u8]) -> &mut Self {
        self.time += 1;
        let segment = Segment {
            at: Timestamp(self.time),
            source,
            destination: if source == CLIENT { SERVER } else { CLIENT },
            seq,
            ack,
            syn: flags.contains('S'),
            acknowledges: flags.contains('A'),
            fin: flags.contains('F'),
            rst: flags.contains('R'),
            payload,
            len: payload.len() as u64,
        };
        let seen = &mut self.seen;
        self.connections
            .segment(&segment, &mut |event| seen.push(short(event)));
        self
    }

    fn handshake(&mut self) -> &mut Self {
        self.send(CLIENT, "S", 999, 0, b"")
            .send(SERVER, "SA", 4_999, 1_000, b"")
            .send(CLIENT, "A", 1_000, 5_000, b"")
    }

    fn finish(mut self) -> Vec<String> {
        let seen = &mut self.seen;
        self.connections.finish(&mut |event| seen.push(short(event)));
        self.seen
    }
}

fn short(event: &SocketEvent<'_>) -> String {
    match event {
        SocketEvent::Open(open) => {
            let late = if open.joined_late { " late" } else { "" };
            format!("{} open {} from {}{late}", open.socket.0, open.local, open.remote)
        }
        SocketEvent::Data(data) => {
            let way = match data.direction {
                Direction::Ingress => "<",
                Direction::Egress => ">",
            };
            let missing = data.end - data.position - data.bytes.len() as u64;
            let mut text = format!("{} {way}{}", data.socket.0, data.position);
            if !data.bytes.is_empty() {
                text.push_str(&format!(" {}", data.bytes.escape_ascii()));
            }
            if missing > 0 {
                text.push_str(&format!(" +{missing}"));
            }
            if data.turn {
                text.push_str(" turn");
            }
            if data.eof {
                text.push_str(" eof");
            }
            text
        }
        // Files hold what passed.
        SocketEvent::Count(count) => panic!("{count:?}"),
        SocketEvent::Close(close) => {
            let [egress, ingress] = close.positions;
            format!("{} close >{egress} <{ingress} at {}", close.socket.0, close.at.0)
        }
    }
}

#[test]
fn a_whole_connection_is_seen_from_its_server() {
    let mut wire = Wire::default();
    wire.handshake()
        .send(CLIENT, "A", 1_000, 5_000, b"GET /")
        .send(CLIENT, "A", 1_005, 5_000, b" HTTP")
        .send(SERVER, "A", 5_000, 1_010, b"200")
        .send(SERVER, "FA", 5_003, 1_010, b"")
        .send(CLIENT, "FA", 1_010, 5_004, b"")
        .send(SERVER, "A", 5_004, 1_011, b"");
    assert_eq!(
        wire.finish(),
        [
            "1 open 10.0.0.9:8080 from 10.0.0.7:51512",
            "1 <0 GET / turn",
            "1 <5  HTTP",
            "1 >0 200 turn",
            "1 >3 eof",
            "1 <10 eof",
            "1 close >3 <10 at 8",
        ]
    );
}

#[test]
fn connections_without_bytes_give_nothing() {
    let mut wire = Wire::default();
    wire.handshake()
        .send(CLIENT, "R", 1_000, 0, b"")
        .send(SERVER, "R", 1, 0, b"");
    assert!(wire.finish().is_empty());
}

#[test]
fn a_lost_syn_is_made_up_for_by_the_answer() {
    let mut wire = Wire::default();
    wire.send(SERVER, "SA", 4_999, 1_000, b"")
        .send(CLIENT, "A", 1_002, 5_000, b"cd")
        .send(CLIENT, "A", 1_000, 5_000, b"ab");
    let seen = wire.finish();
    assert_eq!(
        seen[..3],
        [
            "1 open 10.0.0.9:8080 from 10.0.0.7:51512",
            "1 <0 ab turn",
            "1 <2 cd"
        ]
    );
}

#[test]
fn without_a_handshake_requests_and_then_ports_tell_the_server() {
    let cases: [(Endpoint, &[u8], &str); 5] = [
        (CLIENT, b"GET / HTTP/1.1\r\n", "10.0.0.9:8080"),
        (SERVER, b"GET / HTTP/1.1\r\n", "10.0.0.7:51512"),
        (SERVER, b"HTTP/1.1 200 OK\r\n", "10.0.0.9:8080"),
        (CLIENT, b"HTTP/1.1 200 OK\r\n", "10.0.0.7:51512"),
        (CLIENT, b"body", "10.0.0.9:8080"),
    ];
    for (source, payload, server) in cases {
        let mut wire = Wire::default();
        wire.send(source, "A", 7, 9, payload);
        let seen = wire.finish();
        assert!(seen[0].starts_with(&format!("1 open {server} from")), "{seen:?}");
        assert!(seen[0].ends_with(" late"), "{seen:?}");
    }
}

#[test]
fn what_a_peer_answers_to_was_there_even_if_it_was_not_captured() {
    let mut wire = Wire::default();
    wire.handshake()
        .send(SERVER, "A", 5_000, 1_020, b"200")
        .send(CLIENT, "A", 1_020, 5_003, b"GET");
    assert_eq!(
        wire.finish()[1..],
        [
            "1 <0 +20 turn",
            "1 >0 200 turn",
            "1 <20 GET turn",
            "1 close >3 <23 at 5"
        ]
    );
}

#[test]
fn a_reset_ends_a_connection_and_late_packets_do_not_begin_another() {
    let mut wire = Wire::default();
    wire.handshake()
        .send(CLIENT, "A", 1_002, 5_000, b"late")
        .send(SERVER, "R", 5_000, 0, b"")
        .send(CLIENT, "A", 1_000, 5_000, b"GE");
    assert_eq!(
        wire.finish()[1..],
        ["1 <0 +2 turn", "1 <2 late", "1 close >0 <6 at 5"]
    );
}

#[test]
fn a_new_syn_between_the_same_endpoints_is_a_new_connection() {
    let mut wire = Wire::default();
    wire.handshake()
        .send(CLIENT, "S", 999, 0, b"")
        .send(CLIENT, "A", 1_000, 5_000, b"one")
        .send(CLIENT, "S", 77_000, 0, b"")
        .send(CLIENT, "A", 77_001, 0, b"two");
    assert_eq!(
        wire.finish(),
        [
            "1 open 10.0.0.9:8080 from 10.0.0.7:51512",
            "1 <0 one turn",
            "1 close >0 <3 at 5",
            "2 open 10.0.0.9:8080 from 10.0.0.7:51512",
            "2 <0 two turn",
            "2 close >0 <3 at 7",
        ]
    );
}

#[test]
fn data_on_a_syn_counts_from_behind_it() {
    let mut wire = Wire::default();
    wire.send(CLIENT, "S", 999, 0, b"GET")
        .send(CLIENT, "A", 1_003, 0, b" /");
    assert_eq!(wire.finish()[1..3], ["1 <0 GET turn", "1 <3  /"]);
}

#[test]
fn a_stream_whose_end_came_before_its_last_bytes_ends_behind_them() {
    let mut wire = Wire::default();
    wire.handshake()
        .send(CLIENT, "FA", 1_003, 5_000, b"")
        .send(CLIENT, "A", 1_000, 5_000, b"abc");
    assert_eq!(wire.finish()[1..3], ["1 <0 abc turn", "1 <3 eof"]);
}

#[test]
fn connections_beyond_the_bound_push_out_the_longest_silent() {
    let mut connections = Connections::default();
    let mut closed = Vec::new();
    for index in 0..u32::try_from(MAX_CONNECTIONS).unwrap() + 10 {
        let segment = Segment {
            at: Timestamp(u64::from(index)),
            source: (IpAddr::from((0x0a00_0000 + index).to_be_bytes()), 50_000),
            destination: SERVER,
            seq: 1,
            ack: 0,
            syn: false,
            acknowledges: false,
            fin: false,
            rst: false,
            payload: b"GET",
            len: 3,
        };
        connections.segment(&segment, &mut |event| {
            if let SocketEvent::Close(close) = event {
                closed.push(close.socket.0);
            }
        });
    }
    assert!(connections.by_endpoints.len() <= MAX_CONNECTIONS);
    let expected: Vec<u64> = (1..=MAX_CONNECTIONS as u64 / 8).collect();
    assert_eq!(closed, expected);
}

#[test]
fn any_segments_give_events_whose_positions_only_grow() {
    let mut state = 7_u64;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as u32
    };
    let mut connections = Connections::default();
    let mut positions = HashMap::new();
    let mut check = |event: &SocketEvent<'_>| {
        if let SocketEvent::Data(data) = event {
            let at = positions.entry((data.socket, data.direction)).or_insert(0);
            assert_eq!(*at, data.position);
            assert!(data.end >= data.position + data.bytes.len() as u64);
            *at = data.end;
        }
    };
    let bytes = [b'x'; 64];
    for index in 0..100_000_u64 {
        let (ends, flags) = (random() % 8, random());
        let payload = &bytes[..(random() % 64) as usize];
        let (a, b) = ((CLIENT.0, ends as u16 / 2), SERVER);
        let segment = Segment {
            at: Timestamp(index),
            source: if ends % 2 == 0 { a } else { b },
            destination: if ends % 2 == 0 { b } else { a },
            seq: if flags % 64 == 0 {
                random()
            } else {
                random() % 4_096
            },
            ack: if flags % 61 == 0 {
                random()
            } else {
                random() % 4_096
            },
            syn: flags % 97 == 0,
            acknowledges: flags % 3 != 0,
            fin: flags % 101 == 0,
            rst: flags % 211 == 0,
            payload,
            len: payload.len() as u64 + u64::from(flags % 7 == 0),
        };
        connections.segment(&segment, &mut check);
    }
    connections.finish(&mut check);
}
