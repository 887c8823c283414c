use super::kit::*;
use crate::{
    clock::Timestamp,
    event::{SocketData, SocketEvent},
    exchange::Exchange,
};

/// Plays a conversation and loses `count` bytes of one way, from byte `from` of that way on.
fn play_lossy(parts: &[Part<'_>], request: bool, from: usize, count: usize) -> Vec<Exchange> {
    let mut flows = flows();
    let mut wire = Wire::server();
    let mut out = Vec::new();
    flows.event(&wire.open(0), &mut out);
    let (mut at, mut position) = (0, 0);
    for part in parts {
        at += MS;
        let (way, bytes) = part.bytes();
        if way != request {
            flows.event(&wire.data(at, way, bytes), &mut out);
            continue;
        }
        let start = from.clamp(position, position + bytes.len()) - position;
        let end = (from + count).clamp(position, position + bytes.len()) - position;
        position += bytes.len();
        if start > 0 {
            flows.event(&wire.data(at, way, &bytes[..start]), &mut out);
        }
        wire.lose(way, end - start);
        if end < bytes.len() {
            flows.event(&wire.data(at, way, &bytes[end..]), &mut out);
        }
    }
    flows.event(&wire.close(at + MS), &mut out);
    out
}

/// The `id=` in a text: requests carry it in the target, responses echo it in head and body.
fn id(text: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(text);
    let (_, rest) = text.split_once("id=")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    (!digits.is_empty()).then_some(digits)
}

/// Where request and response are both there, they belong together.
fn assert_pairs(out: &[Exchange], context: &str) {
    for exchange in out {
        if let (Some(request), Some(response)) = (&exchange.request, &exchange.response) {
            let asked = id(request.target.as_bytes());
            let echoed = id(&response.head.buffer);
            if let (Some(asked), Some(echoed)) = (asked, echoed) {
                assert_eq!(asked, echoed, "{context}: {:?}", summaries(out));
            }
            if let (Some(asked), Some(echoed)) = (id(request.target.as_bytes()), id(&response.body.sample)) {
                assert_eq!(asked, echoed, "{context}: {:?}", summaries(out));
            }
        }
    }
}

fn message(request: bool, number: usize, kind: usize) -> Vec<u8> {
    let start = if request {
        format!(
            "{} /x?id={number} HTTP/1.1\r\nHost: h\r\n",
            if kind == 0 { "GET" } else { "POST" }
        )
    } else {
        format!("HTTP/1.1 200 OK\r\nX-Echo: id={number}\r\n")
    };
    let body = format!("body of id={number}, some text");
    let text = match (kind, request) {
        (0, true) => format!("{start}\r\n"),
        (0 | 1, _) => format!("{start}Content-Length: {}\r\n\r\n{body}", body.len()),
        (_, _) => {
            let (one, two) = body.split_at(9);
            let chunks = format!(
                "{:x}\r\n{one}\r\n{:X};e\r\n{two}\r\n0\r\n\r\n",
                one.len(),
                two.len()
            );
            format!("{start}Transfer-Encoding: chunked\r\n\r\n{chunks}")
        }
    };
    text.into_bytes()
}

/// Conversations by their pattern: `q` a request, `a` the response to the oldest open one, neighbours in one event
/// unless a space parts them.
fn conversation(pattern: &str, kinds: [usize; 2]) -> Vec<(bool, Vec<u8>)> {
    let (mut asked, mut answered) = (0, 0);
    let mut parts: Vec<(bool, Vec<u8>)> = Vec::new();
    for group in pattern.split(' ') {
        for letter in group.chars() {
            let request = letter == 'q';
            let number = if request { &mut asked } else { &mut answered };
            *number += 1;
            let bytes = message(request, *number, if request { kinds[0] } else { kinds[1] });
            match parts.last_mut() {
                Some((way, before)) if *way == request && !group.starts_with(letter) => before.extend(bytes),
                Some((way, before)) if *way == request && group.len() > 1 => before.extend(bytes),
                _ => parts.push((request, bytes)),
            }
        }
    }
    parts
}

fn as_parts(conversation: &[(bool, Vec<u8>)]) -> Vec<Part<'_>> {
    conversation
        .iter()
        .map(|(request, bytes)| {
            if *request {
                Request(&bytes[..])
            } else {
                Response(&bytes[..])
            }
        })
        .collect()
}

/// Each with the number of leading messages of a way that are not lost: a client that keeps a request in flight at all
/// times looks like one that waits for responses, if what tells them apart is what is lost.
const PATTERNS: [(&str, usize); 6] = [
    ("q a q a q a q a", 0),
    ("qqq aaa q a q a", 0),
    ("qq a a q a q a", 0),
    ("q q a a q a q a q a", 0),
    ("q q a q a q a a q a q a", 2),
    ("qqqq a aa a qq aa q a", 0),
];
const KINDS: [[usize; 2]; 5] = [[0, 1], [1, 1], [2, 1], [0, 2], [2, 2]];

#[test]
fn a_gap_anywhere_never_pairs_wrongly() {
    for (pattern, spared) in PATTERNS {
        for kinds in KINDS {
            let conversation = conversation(pattern, kinds);
            let parts = as_parts(&conversation);
            let whole = play(&parts);
            assert_eq!(whole.len(), pattern.matches('q').count());
            for request in [true, false] {
                let lengths = || {
                    conversation
                        .iter()
                        .filter(|(way, _)| *way == request)
                        .map(|(_, b)| b.len())
                };
                let (spared, total): (usize, usize) = (lengths().take(spared).sum(), lengths().sum());
                for count in [1, 2, 30, 90, 400] {
                    for from in spared..total {
                        let out = play_lossy(&parts, request, from, count);
                        assert_pairs(&out, &format!("{pattern} {kinds:?} {request} {from}+{count}"));
                    }
                }
            }
        }
    }
}

#[test]
fn lost_events_of_both_ways_never_pair_wrongly() {
    let mut state = 7_u64;
    let mut draw = |bound: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % bound
    };
    let patterns = ["q a q a q a q a q a q a", "qqq aaa q a qq aa q a"];
    let (mut paired, mut all) = (0, 0);
    for round in 0..4_000 {
        let pattern = patterns[round % 2];
        let conversation = conversation(pattern, KINDS[round / 2 % KINDS.len()]);
        let mut flows = flows();
        let mut wire = Wire::server();
        let mut out = Vec::new();
        flows.event(&wire.open(0), &mut out);
        let mut at = 0;
        for (request, bytes) in &conversation {
            let cut = draw(bytes.len() as u64) as usize;
            for piece in [&bytes[..cut], &bytes[cut..]] {
                at += MS;
                // Whole operations are lost or kept, as a full ring does it.
                if draw(12) == 0 {
                    wire.lose(*request, piece.len());
                } else if !piece.is_empty() {
                    flows.event(&wire.data(at, *request, piece), &mut out);
                }
            }
        }
        flows.event(&wire.close(at + MS), &mut out);
        // A client that pipelines and whose first burst is lost may look like one that waits.
        if round % 2 == 0 {
            assert_pairs(&out, &format!("{round}"));
        }
        all += pattern.matches('q').count();
        paired += out
            .iter()
            .filter(|e| e.request.is_some() && e.response.is_some())
            .count();
    }
    assert!(paired * 2 > all, "{paired} of {all}");
    println!("{paired} of {all}");
}

#[test]
fn what_follows_a_gap_is_told_again() {
    let pattern = "q a q a q a q a";
    for kinds in KINDS {
        let conversation = conversation(pattern, kinds);
        let parts = as_parts(&conversation);
        for request in [true, false] {
            let first: usize = conversation
                .iter()
                .filter(|(way, _)| *way == request)
                .take(2)
                .map(|(_, b)| b.len())
                .sum();
            for count in [1, 7, 30] {
                for from in 0..first - count {
                    let out = play_lossy(&parts, request, from, count);
                    let last: Vec<_> = summaries(&out[out.len().saturating_sub(2)..]);
                    for summary in &last {
                        assert!(
                            summary.ends_with("Complete") || summary.ends_with("Lost"),
                            "{kinds:?} {request} {from}+{count}: {:?}",
                            summaries(&out)
                        );
                    }
                    let last = out.last().unwrap();
                    assert!(
                        last.request.as_ref().is_some_and(|r| r.target.ends_with("id=4"))
                            && summary(last).ends_with("Complete"),
                        "{kinds:?} {request} {from}+{count}: {:?}",
                        summaries(&out)
                    );
                }
            }
        }
    }
}

#[test]
fn a_gap_inside_a_counted_body_keeps_its_framing() {
    let conversation = conversation("q a q a", [1, 1]);
    let parts = as_parts(&conversation);
    let head = conversation[1]
        .1
        .windows(4)
        .position(|w| w == b"\r\n\r\n")
        .unwrap()
        + 4;
    let out = play_lossy(&parts, false, head + 5, 3);
    assert_eq!(out.len(), 2);
    let body = &out[0].response.as_ref().unwrap().body;
    assert_eq!(
        (&body.sample[..], body.length, body.cut),
        (&b"body "[..], Some(23), true)
    );
    assert!(summary(&out[0]).ends_with("Lost"));
    assert!(summary(&out[1]).ends_with("Complete"));
}

#[test]
fn an_end_of_stream_in_the_middle_of_a_message_is_not_believed_at_once() {
    let mut flows = flows();
    let mut wire = Wire::server();
    let mut out = Vec::new();
    flows.event(&wire.open(0), &mut out);
    flows.event(&wire.data(1, true, b"GET /a HT"), &mut out);
    flows.event(&wire.eof(2, true), &mut out);
    flows.event(&wire.data(3, true, b"TP/1.1\r\n\r\n"), &mut out);
    flows.event(&wire.data(4, false, b"HTTP/1.1 204 No\r\n\r\n"), &mut out);
    flows.finish(Timestamp(5), &mut out);
    assert_eq!(summaries(&out), ["GET /a [] > 204 [] Complete"]);
}

#[test]
fn a_request_lost_before_a_head_that_is_cut_is_not_forgotten() {
    let mut flows = flows();
    let mut wire = Wire::server();
    let mut out = Vec::new();
    flows.event(&wire.open(0), &mut out);
    flows.event(&wire.data(MS, true, &message(true, 1, 0)), &mut out);
    wire.lose(true, message(true, 2, 0).len());
    flows.event(
        &wire.data(2 * MS, true, b"GET /x?id=3 HTTP/1.1\r\nHost: h\r\nX-Cut: "),
        &mut out,
    );
    wire.lose(true, 10);
    for number in 1..=3 {
        flows.event(
            &wire.data((2 + number) * MS, false, &message(false, number as usize, 1)),
            &mut out,
        );
    }
    flows.event(&wire.close(9 * MS), &mut out);
    assert_pairs(&out, "a hole and a cut head");
    assert_eq!(
        out.iter().filter(|exchange| exchange.request.is_some()).count(),
        2
    );
}

/// An operation of HTTP/2 is told in pieces. What another processor tells of the other direction comes between them, and is
/// no sign that the rest was left out.
#[test]
fn the_other_direction_comes_between_the_pieces_of_an_operation() {
    let headers = |stream: u8, block: &[u8]| {
        let length = block.len() as u8;
        [&[0, 0, length, 1, 5, 0, 0, 0, stream], block].concat()
    };
    let get = |stream| headers(stream, b"\x82\x84\x87");
    let ok = |stream| headers(stream, b"\x88");
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let start = [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        &settings[..],
        &get(1),
        &get(3),
    ]
    .concat();
    let answers = [ok(1), ok(3)].concat();
    let (mut flows, mut wire, mut out) = (flows(), Wire::server(), Vec::new());
    flows.event(&wire.open(0), &mut out);
    flows.event(&wire.data(MS, true, &start), &mut out);
    flows.event(&wire.data(2 * MS, false, &settings), &mut out);
    let first = wire.operation(3 * MS, false, &answers, 10);
    let SocketEvent::Data(piece) = &first else {
        panic!("{first:?}");
    };
    let rest = SocketEvent::Data(SocketData {
        position: piece.position + 10,
        bytes: &answers[10..],
        turn: false,
        ..*piece
    });
    flows.event(&first, &mut out);
    flows.event(&wire.data(3 * MS, true, &get(5)), &mut out);
    flows.event(&rest, &mut out);
    flows.event(&wire.data(4 * MS, false, &ok(5)), &mut out);
    flows.event(&wire.close(5 * MS), &mut out);
    assert_eq!(
        summaries(&out),
        ["GET / [] > 200 [] Complete"; 3],
        "{:?}",
        flows.stats()
    );
}
