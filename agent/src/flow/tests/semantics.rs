use std::time::Duration;

use super::kit::*;
use crate::{
    event::SocketEvent,
    exchange::{Completeness, Exchange, Facts, Protocol},
};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n";

fn one(parts: &[Part<'_>]) -> Exchange {
    let mut out = play(parts);
    assert_eq!(out.len(), 1, "{:?}", summaries(&out));
    out.remove(0)
}

#[track_caller]
fn check(parts: &[Part<'_>], expected: &[&str]) {
    assert_eq!(summaries(&play(parts)), expected);
}

#[test]
fn one_exchange_in_full() {
    let exchange = one(&[
        Request(b"POST /a?x=1 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"),
        Response(OK),
    ]);
    assert_eq!(summary(&exchange), "POST /a?x=1 [abc] > 200 [ok] Complete");
    let request = exchange.request.as_ref().unwrap();
    assert_eq!(request.head.first("host"), Some(&b"h"[..]));
    assert_eq!((request.body.length, request.body.cut), (Some(3), false));
    assert_eq!(exchange.protocol, Protocol::Http11);
    assert_eq!(exchange.started.0, MS);
    assert_eq!(exchange.latency, Some(Duration::from_millis(1)));
    assert_eq!(exchange.duration, Some(Duration::from_millis(1)));
    assert_eq!(exchange.connection.server, address(1, 80));
    assert_eq!(exchange.connection.process.pid, 1);
    assert_eq!((exchange.number, exchange.facts), (0, Facts::default()));
}

#[test]
fn credentials_do_not_leave() {
    let exchange = one(&[
        Request(b"GET /a?api_key=k3y HTTP/1.1\r\nAuthorization: Bearer s3cret\r\n\r\n"),
        Response(b"HTTP/1.1 200 OK\r\nSet-Cookie: sid=v4lue; Path=/\r\nContent-Length: 0\r\n\r\n"),
    ]);
    let text = format!("{exchange:?}");
    for secret in ["k3y", "s3cret", "v4lue"] {
        assert!(!text.contains(secret), "{text}");
    }
    assert_eq!(exchange.request.unwrap().credentials.len(), 2);
}

#[test]
fn keep_alive_numbers_exchanges() {
    let out = play(&[Request(GET), Response(OK), Request(GET), Response(OK)]);
    assert_eq!(out.iter().map(|e| e.number).collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn chunked_bodies_with_extensions_and_trailers() {
    check(
        &[
            Request(
                b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: v\r\n\r\n",
            ),
            Response(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n1\r\nf\r\n0\r\n\r\n"),
            Request(GET),
            Response(OK),
        ],
        &[
            "POST / [abc] > 200 [def] Complete",
            "GET /a [] > 200 [ok] Complete",
        ],
    );
}

#[test]
fn the_end_of_the_connection_ends_a_body_without_length() {
    let exchange = one(&[
        Request(GET),
        Response(b"HTTP/1.0 200 OK\r\n\r\nall "),
        Response(b"of it"),
    ]);
    assert_eq!(summary(&exchange), "GET /a [] > 200 [all of it] Complete");
    assert_eq!(exchange.response.unwrap().body.length, Some(9));
}

#[test]
fn responses_without_body() {
    check(
        &[
            Request(b"HEAD /h HTTP/1.1\r\n\r\n"),
            Response(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"),
            Request(GET),
            Response(b"HTTP/1.1 204 No Content\r\n\r\n"),
            Request(GET),
            Response(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\n\r\n"),
            Request(GET),
            Response(OK),
        ],
        &[
            "HEAD /h [] > 200 [] Complete",
            "GET /a [] > 204 [] Complete",
            "GET /a [] > 304 [] Complete",
            "GET /a [] > 200 [ok] Complete",
        ],
    );
}

#[test]
fn interim_responses_are_not_final() {
    check(
        &[
            Request(b"PUT / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"),
            Response(b"HTTP/1.1 100 Continue\r\n\r\n"),
            Request(b"abc"),
            Response(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"),
            Response(OK),
        ],
        &["PUT / [abc] > 200 [ok] Complete"],
    );
}

#[test]
fn upgrades_end_http1() {
    let exchange = one(&[
        Request(b"GET /ws HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"),
        Response(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x81\x05"),
        Request(b"GET / HTTP/1.1\r\n\r\n"),
    ]);
    assert_eq!(summary(&exchange), "GET /ws [] > 101 [] Complete");
    assert!(exchange.facts.has(Facts::UPGRADED));
    let exchange = one(&[
        Request(b"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n"),
        Response(b"HTTP/1.1 200 Established\r\n\r\n"),
        Request(b"\x16\x03\x01"),
    ]);
    assert!(exchange.facts.has(Facts::UPGRADED));
    check(
        &[
            Request(b"CONNECT h:443 HTTP/1.1\r\n\r\n"),
            Response(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n"),
            Request(GET),
            Response(OK),
        ],
        &[
            "CONNECT h:443 [] > 407 [] Complete",
            "GET /a [] > 200 [ok] Complete",
        ],
    );
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    check(
        &[
            Request(b"GET /1 HTTP/1.1\r\n\r\nPOST /2 HTTP/1.1\r\nContent-Length: 1\r\n\r\nxGET /3 HTTP/1.1\r\n\r\n"),
            Response(b"HTTP/1.1 201 A\r\nContent-Length: 0\r\n\r\nHTTP/1.1 202 B\r\nContent-Length: 1\r\n\r\nb"),
            Response(b"HTTP/1.1 203 C\r\nContent-Length: 0\r\n\r\n"),
        ],
        &[
            "GET /1 [] > 201 [] Complete",
            "POST /2 [x] > 202 [b] Complete",
            "GET /3 [] > 203 [] Complete",
        ],
    );
}

#[test]
fn a_response_may_come_before_the_request_ends() {
    let big = b"POST / HTTP/1.1\r\nContent-Length: 6\r\n\r\nabc";
    let refusal = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n";
    check(
        &[Request(big), Response(refusal)],
        &["POST / [abc] > 413 [] Truncated"],
    );
    check(
        &[
            Request(big),
            Response(refusal),
            Request(b"def"),
            Request(GET),
            Response(OK),
        ],
        &[
            "POST / [abcdef] > 413 [] Complete",
            "GET /a [] > 200 [ok] Complete",
        ],
    );
}

#[test]
fn what_ends_early_says_so() {
    check(&[Request(GET)], &["GET /a [] > - NoResponse"]);
    check(
        &[Request(b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc")],
        &["POST / [abc] > - Truncated"],
    );
    check(
        &[
            Request(GET),
            Response(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"),
        ],
        &["GET /a [] > 200 [abc] Truncated"],
    );
    check(&[Response(OK)], &["- > 200 [ok] Lost"]);
}

#[test]
fn sloppy_senders_are_understood() {
    let exchange = one(&[Request(b"\r\n\r\nGET /a HTTP/1.1\nHost: h\n\n"), Response(OK)]);
    assert!(exchange.facts.has(Facts::BARE_LF));
    let exchange = one(&[
        Request(b"GET http://h/a HTTP/1.1\r\nA: b\r\n c\r\n\r\n"),
        Response(OK),
    ]);
    assert!(
        exchange
            .facts
            .has(Facts::ABSOLUTE_FORM.with(Facts::OBSOLETE_FOLD))
    );
}

#[test]
fn contradictory_lengths_are_facts() {
    let smuggled = b"POST / HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\nGET /s HTTP/1.1\r\n\r\n";
    let out = play(&[Request(smuggled), Response(OK), Response(OK)]);
    assert!(out[0].facts.has(Facts::LENGTH_AND_CHUNKED));
    assert_eq!(summary(&out[0]), "POST / [x] > 200 [ok] Complete");
    // Whether there is a second request is the server's opinion: its response is not paired.
    assert!(
        out.iter()
            .skip(1)
            .all(|e| e.request.is_none() || e.response.is_none())
    );
}

#[test]
fn a_body_beyond_the_budget_completes_by_position() {
    let body = vec![b'x'; 30_000];
    let response = [b"HTTP/1.1 200 OK\r\nContent-Length: 30000\r\n\r\n", &body[..]].concat();
    let mut flows = flows();
    let mut wire = Wire::server();
    let mut out = Vec::new();
    flows.event(&wire.open(0), &mut out);
    flows.event(&wire.data(MS, true, GET), &mut out);
    flows.event(&wire.operation(2 * MS, false, &response, 8192), &mut out);
    assert!(out.is_empty());
    flows.tick(crate::clock::Timestamp(200 * MS), &mut out);
    assert_eq!(out.len(), 1);
    let body = &out[0].response.as_ref().unwrap().body;
    assert_eq!(
        (body.length, body.cut, out[0].completeness),
        (Some(30_000), true, Completeness::Complete)
    );
}

#[test]
fn a_chunked_body_beyond_the_budget_ends_with_its_tail() {
    let chunk = [b"3e8\r\n", &[b'x'; 1_000][..], b"\r\n"].concat();
    let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let response = [&head[..], &chunk.repeat(30), b"0\r\n\r\n"].concat();
    let mut flows = flows();
    let mut wire = Wire::server();
    let mut out = Vec::new();
    flows.event(&wire.open(0), &mut out);
    flows.event(&wire.data(MS, true, GET), &mut out);
    let SocketEvent::Data(operation) = wire.operation(2 * MS, false, &response, 8192) else {
        panic!()
    };
    flows.event(&SocketEvent::Data(operation), &mut out);
    assert!(out.is_empty());
    let tail = crate::event::SocketData {
        position: operation.end - 8,
        bytes: &response[response.len() - 8..],
        turn: false,
        ..operation
    };
    flows.event(&SocketEvent::Data(tail), &mut out);
    assert_eq!(out.len(), 1);
    let body = &out[0].response.as_ref().unwrap().body;
    assert_eq!(
        (body.length, body.cut, out[0].completeness),
        (None, true, Completeness::Complete)
    );
    flows.event(&wire.data(3 * MS, true, GET), &mut out);
    flows.event(&wire.data(4 * MS, false, OK), &mut out);
    assert_eq!(summary(&out[1]), "GET /a [] > 200 [ok] Complete");
}

#[test]
fn idleness_ends_what_may_be_over() {
    let mut flows = flows();
    let mut wire = Wire::server();
    let mut out = Vec::new();
    flows.event(&wire.open(0), &mut out);
    flows.event(&wire.data(MS, true, GET), &mut out);
    flows.event(
        &wire.data(2 * MS, false, b"HTTP/1.0 200 OK\r\n\r\npart"),
        &mut out,
    );
    flows.tick(crate::clock::Timestamp(1_000 * MS), &mut out);
    assert!(out.is_empty());
    flows.tick(crate::clock::Timestamp(2_100 * MS), &mut out);
    assert_eq!(summaries(&out), ["GET /a [] > 200 [part] Complete"]);
    assert_eq!(out[0].response.as_ref().unwrap().body.length, None);
    flows.event(&wire.data(3_000 * MS, false, b"more"), &mut out);
    flows.event(&wire.close(4_000 * MS), &mut out);
    assert_eq!(out.len(), 1);
}

#[test]
fn a_slow_server_is_waited_for() {
    let mut flows = flows();
    let mut wire = Wire::server();
    let mut out = Vec::new();
    flows.event(&wire.open(0), &mut out);
    flows.event(&wire.data(MS, true, GET), &mut out);
    for tick in 0..600 {
        flows.tick(crate::clock::Timestamp(tick * 100 * MS), &mut out);
    }
    flows.event(&wire.data(60_000 * MS, false, OK), &mut out);
    assert_eq!(summaries(&out), ["GET /a [] > 200 [ok] Complete"]);
}

#[test]
fn an_endless_event_stream_is_told_once() {
    let mut flows = flows();
    let mut wire = Wire::server();
    let mut out = Vec::new();
    flows.event(&wire.open(0), &mut out);
    flows.event(&wire.data(MS, true, GET), &mut out);
    let head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n5\r\ndata:\r\n";
    flows.event(&wire.data(2 * MS, false, head), &mut out);
    flows.tick(crate::clock::Timestamp(3_000 * MS), &mut out);
    assert_eq!(out.len(), 1);
    flows.event(
        &wire.data(4_000 * MS, false, b"5\r\ndata:\r\n0\r\n\r\n"),
        &mut out,
    );
    flows.event(&wire.data(4_001 * MS, true, GET), &mut out);
    flows.event(&wire.data(4_002 * MS, false, OK), &mut out);
    assert_eq!(summary(&out[1]), "GET /a [] > 200 [ok] Complete");
}

#[test]
fn bounds_hold() {
    let mut flows = super::super::Flows::new(
        super::super::Limits {
            connections: 3,
            pending_requests: 4,
            connection_bytes: 10_000,
            ..Default::default()
        },
        crate::protocol::redact::Redactor::new([0; 16]),
    );
    let mut out = Vec::new();
    for socket in 0..10 {
        let mut wire = Wire::client(socket + 10);
        flows.event(&wire.open(socket), &mut out);
        flows.event(&wire.data(socket, true, GET), &mut out);
        assert!(flows.connections() <= 3);
    }
    assert_eq!(flows.stats().connections_evicted, 7);
    let mut wire = Wire::server();
    out.clear();
    let body = vec![b'b'; 6_000];
    let post = [b"POST / HTTP/1.1\r\nContent-Length: 6000\r\n\r\n", &body[..]].concat();
    for _ in 0..20 {
        flows.event(&wire.data(1, true, &post), &mut out);
    }
    assert!(flows.stats().pending_full >= 3);
    let posts = || {
        out.iter()
            .filter(|e| e.request.as_ref().is_some_and(|r| &*r.method == "POST"))
    };
    assert_eq!(posts().count(), 16);
    assert!(posts().all(|e| e.completeness == Completeness::Lost));
}

#[test]
fn idle_connections_are_small() {
    let mut flows = flows();
    let mut out = Vec::new();
    for socket in 0..1_000 {
        let mut wire = Wire::server();
        wire.socket = super::super::SocketId(socket);
        wire.remote = address(2, socket as u16 + 1);
        flows.event(&wire.open(0), &mut out);
        flows.event(&wire.data(1, true, GET), &mut out);
        flows.event(&wire.data(2, false, OK), &mut out);
    }
    assert_eq!(out.len(), 1_000);
    let each = flows.memory() / 1_000;
    assert!(each < 1_500, "{each}");
}

#[test]
fn unix_connections_are_forgotten_when_idle() {
    let mut flows = flows();
    let mut wire = Wire::server();
    wire.local = super::super::Address::Unix("/run/s".into());
    wire.remote = super::super::Address::Unix(String::new());
    let mut out = Vec::new();
    flows.event(&wire.open(0), &mut out);
    flows.event(&wire.data(1, true, GET), &mut out);
    flows.event(&wire.data(2, false, OK), &mut out);
    flows.tick(crate::clock::Timestamp(500_000 * MS), &mut out);
    assert_eq!(flows.connections(), 1);
    flows.tick(crate::clock::Timestamp(601_000 * MS), &mut out);
    assert_eq!(flows.connections(), 0);
}

#[test]
fn data_without_announcement_is_parsed_and_counted() {
    let mut flows = flows();
    let mut wire = Wire::server();
    let mut out = Vec::new();
    flows.event(&wire.data(1, true, GET), &mut out);
    flows.event(&wire.data(2, false, OK), &mut out);
    assert_eq!(summaries(&out), ["GET /a [] > 200 [ok] Complete"]);
    assert_eq!(flows.stats().connections_unknown, 1);
}

#[test]
fn what_passed_unseen_before_the_end_is_missing() {
    for (unseen, completeness) in [(0, Completeness::Complete), (1_000, Completeness::Lost)] {
        let (mut flows, mut out) = (flows(), Vec::new());
        let mut wire = Wire::server();
        flows.event(&wire.open(0), &mut out);
        flows.event(
            &wire.data(1, true, b"GET /a HTTP/1.0\r\nHost: h\r\n\r\n"),
            &mut out,
        );
        flows.event(
            &wire.data(2, false, b"HTTP/1.0 200 OK\r\n\r\nuntil the end"),
            &mut out,
        );
        let SocketEvent::Close(mut close) = wire.close(3) else {
            unreachable!("a close");
        };
        let [egress, ingress] = close.positions;
        close.kernel_bytes = Some([egress + unseen, ingress]);
        flows.event(&SocketEvent::Close(close), &mut out);
        assert_eq!(out.len(), 1);
        assert_eq!(out[0].completeness, completeness, "{unseen} bytes unseen");
    }
}

#[test]
fn the_sockets_own_counts_confirm_positions_less_a_fin() {
    for (kernel_bytes, reconciled) in [([37, 28], 1), ([38, 28], 1), ([39, 28], 0), ([36, 28], 0)] {
        let (mut flows, mut out) = (flows(), Vec::new());
        let mut wire = Wire::server();
        flows.event(&wire.open(0), &mut out);
        flows.event(
            &wire.data(1, true, b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n"),
            &mut out,
        );
        flows.event(
            &wire.data(2, false, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r"),
            &mut out,
        );
        let SocketEvent::Close(mut close) = wire.close(3) else {
            unreachable!("a close");
        };
        assert_eq!(close.positions, [37, 28]);
        close.kernel_bytes = Some(kernel_bytes);
        flows.event(&SocketEvent::Close(close), &mut out);
        let stats = flows.stats();
        assert_eq!(
            (stats.reconciled_connections, stats.unreconciled_connections),
            (reconciled, 1 - reconciled),
            "{kernel_bytes:?}"
        );
    }
}
