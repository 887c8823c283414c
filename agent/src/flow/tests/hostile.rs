//! Anything may come: nothing panics, and bounds hold.

use super::{
    super::{Flows, Limits},
    kit::*,
};
use crate::{
    clock::Timestamp,
    event::{Direction, SocketData, SocketEvent, SocketId},
    protocol::redact::Redactor,
};

/// A linear congruential generator: the same numbers in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

const PIECES: [&[u8]; 24] = [
    b"GET /a HTTP/1.1\r\n",
    b"POST /b?token=x HTTP/1.1\r\n",
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    b"HTTP/1.0 304 x\n",
    b"CONNECT h:1 HTTP/1.1\r\n\r\n",
    b"HEAD / HTTP/1.1\r\n\r\n",
    b"Content-Length: 5\r\n",
    b"Content-Length: 18446744073709551615\r\n",
    b"Content-Length: -1\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: gzip\r\n",
    b"Authorization: Basic ",
    b"Cookie: sid=a; b; =c;;\r\n",
    b"\r\n",
    b"\n",
    b"0\r\n\r\n",
    b"5\r\nhello\r\n",
    b"FFFFFFFFFFFFFFFF\r\n",
    b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff",
    b"\x16\x03\x01",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
];

fn text(numbers: &mut Numbers) -> Vec<u8> {
    let mut text = Vec::new();
    for _ in 0..numbers.below(12) {
        if numbers.below(6) == 0 {
            text.push(numbers.below(256) as u8);
        } else {
            text.extend_from_slice(PIECES[numbers.below(PIECES.len() as u64) as usize]);
        }
    }
    text
}

#[test]
fn any_events_are_survived() {
    let mut numbers = Numbers(1);
    let limits = Limits {
        connections: 20,
        connection_bytes: 4_096,
        pending_requests: 8,
        held_exchanges: 4,
        ..Limits::default()
    };
    for _ in 0..60 {
        let mut flows = Flows::new(limits.clone(), Redactor::new([1; 16]));
        let mut out = Vec::new();
        let mut at = 0;
        let mut positions = [[0_u64; 2]; 32];
        for _ in 0..400 {
            at += numbers.below(5) * MS;
            let socket = numbers.below(32);
            let mut wire = if socket.is_multiple_of(2) {
                Wire::server()
            } else {
                Wire::client(0)
            };
            wire.socket = SocketId(socket);
            wire.joined_late = numbers.below(8) == 0;
            match numbers.below(40) {
                0..4 => flows.event(&wire.open(at), &mut out),
                4 => flows.event(&wire.close(at), &mut out),
                5 => flows.tick(Timestamp(at + numbers.below(3_000) * MS), &mut out),
                _ => {
                    let bytes = text(&mut numbers);
                    let direction = if numbers.below(2) == 0 {
                        Direction::Egress
                    } else {
                        Direction::Ingress
                    };
                    let expected = &mut positions[socket as usize][direction.index()];
                    let position = match numbers.below(20) {
                        0 => numbers.below(u64::MAX >> 31) << 31,
                        1..4 => *expected + numbers.below(50),
                        4 => expected.saturating_sub(numbers.below(50)),
                        _ => *expected,
                    };
                    let end = position
                        + bytes.len() as u64
                        + if numbers.below(10) == 0 {
                            numbers.below(90)
                        } else {
                            0
                        };
                    *expected = end;
                    let data = SocketData {
                        socket: SocketId(socket),
                        at: Timestamp(at),
                        direction,
                        position,
                        bytes: &bytes,
                        end,
                        turn: numbers.below(2) == 0,
                        eof: numbers.below(30) == 0,
                        spent: false,
                        layer: crate::event::Layer::Socket,
                        pid: 1,
                    };
                    flows.event(&SocketEvent::Data(data), &mut out);
                }
            }
            // Those that wait for their held exchanges come on top.
            assert!(flows.connections() <= limits.connections + limits.held_exchanges);
        }
        flows.finish(Timestamp(at), &mut out);
        assert_eq!(flows.connections(), 0);
        assert_eq!(flows.stats().exchanges, out.len() as u64);
    }
}

#[test]
fn mutated_conversations_are_survived_and_the_next_connection_is_not_harmed() {
    let request = b"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let response = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
    let mut numbers = Numbers(2);
    let mut flows = flows();
    for _ in 0..3_000 {
        let mutate = |bytes: &[u8], numbers: &mut Numbers| {
            let mut bytes = bytes.to_vec();
            for _ in 0..=numbers.below(3) {
                let at = numbers.below(bytes.len() as u64) as usize;
                match numbers.below(4) {
                    0 => bytes[at] = numbers.below(256) as u8,
                    1 => bytes.truncate(at + 1),
                    2 => bytes.insert(at, b"\r\n :;0f\0"[numbers.below(8) as usize]),
                    _ => drop(bytes.splice(at..at, PIECES[numbers.below(24) as usize].iter().copied())),
                }
            }
            bytes
        };
        let (one, two) = (mutate(request, &mut numbers), mutate(response, &mut numbers));
        play_with(
            &mut flows,
            &[
                Request(&one),
                Response(&two),
                Request(request),
                Response(response),
            ],
        );
    }
    let out = play_with(&mut flows, &[Request(request), Response(response)]);
    assert_eq!(summaries(&out), ["POST /a [abc] > 200 [abc] Complete"]);
}

#[test]
fn a_head_without_end_costs_no_more_than_its_bound() {
    let mut flows = flows();
    let mut wire = Wire::server();
    let mut out = Vec::new();
    flows.event(&wire.open(0), &mut out);
    flows.event(&wire.data(1, true, b"GET /endless HTTP/1.1\r\n"), &mut out);
    for i in 0..20_000 {
        flows.event(&wire.data(i, true, b"X-Filler: yyyyyyyyyyyyyyyyy\r\n"), &mut out);
        assert!(flows.memory() < 150_000);
    }
    flows.event(
        &wire.data(9, false, b"HTTP/1.1 431 Too Large\r\nContent-Length: 0\r\n\r\n"),
        &mut out,
    );
    assert_eq!(out.len(), 1);
    let request = out[0].request.as_ref().unwrap();
    assert!(request.head.cut && &*request.target == "/endless");
    assert_eq!(out[0].response.as_ref().unwrap().status, 431);
}
