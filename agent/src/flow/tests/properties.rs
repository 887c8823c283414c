//! What holds for any conversation, cut anywhere, with any part of it unseen: inputs are drawn and shrunk by proptest.
//!
//! Every request carries its number in the target, every response in its status: a pair that does not belong together is
//! seen by that alone. `PROPTEST_CASES` sets how many inputs are drawn, 256 if it does not.

use proptest::prelude::*;

use super::kit::*;
use crate::exchange::{Completeness, Exchange};

/// Status of response zero; those that follow count up. All of them have a body (204, 205 and 304 would not).
const FIRST_STATUS: usize = 210;

/// A request with its response.
#[derive(Debug, Clone)]
struct Turn {
    body: Option<Vec<u8>>,
    answer: Vec<u8>,
    chunked: bool,
    /// Sent before the response to the request in front of it.
    pipelined: bool,
}

fn turn() -> impl Strategy<Value = Turn> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..300);
    (prop::option::of(bytes()), bytes(), any::<bool>(), any::<bool>()).prop_map(
        |(body, answer, chunked, pipelined)| Turn {
            body,
            answer,
            chunked,
            pipelined,
        },
    )
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    prop::collection::vec(turn(), 1..12)
}

fn message(start: &str, body: &[u8], chunked: bool) -> Vec<u8> {
    let mut out = start.as_bytes().to_vec();
    if chunked {
        out.extend(b"Transfer-Encoding: chunked\r\n\r\n");
        for chunk in body.chunks(70) {
            out.extend(format!("{:x}\r\n", chunk.len()).bytes());
            out.extend(chunk);
            out.extend(b"\r\n");
        }
        out.extend(b"0\r\n\r\n");
    } else {
        out.extend(format!("Content-Length: {}\r\n\r\n", body.len()).bytes());
        out.extend(body);
    }
    out
}

/// Bytes of both ways in the order in which they are sent: true for the client's.
fn http1(turns: &[Turn]) -> Vec<(bool, Vec<u8>)> {
    let mut out = Vec::new();
    let mut owed = Vec::new();
    for (number, turn) in turns.iter().enumerate() {
        if !turn.pipelined {
            out.append(&mut owed);
        }
        let request = match &turn.body {
            Some(body) => message(&format!("POST /{number} HTTP/1.1\r\n"), body, turn.chunked),
            None => format!("GET /{number} HTTP/1.1\r\n\r\n").into_bytes(),
        };
        let start = format!("HTTP/1.1 {} Fine\r\n", status(number));
        out.push((true, request));
        owed.push((false, message(&start, &turn.answer, turn.chunked)));
    }
    out.append(&mut owed);
    out
}

fn status(number: usize) -> usize {
    FIRST_STATUS + number
}

fn frame(kind: u8, flags: u8, stream: usize, payload: &[u8]) -> Vec<u8> {
    let [_, length @ ..] = (payload.len() as u32).to_be_bytes();
    let mut out = length.to_vec();
    out.extend([kind, flags]);
    out.extend((stream as u32).to_be_bytes());
    out.extend(payload);
    out
}

/// Literals with new names; those of even length enter the compression table.
fn fields(list: &[(&str, String)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in list {
        out.push(if value.len().is_multiple_of(2) { 0x40 } else { 0 });
        for text in [name.as_bytes(), value.as_bytes()] {
            out.push(text.len() as u8);
            out.extend(text);
        }
    }
    out
}

/// The same conversation in HTTP/2: a pipelined request is a stream opened while others are.
fn http2(turns: &[Turn]) -> Vec<(bool, Vec<u8>)> {
    let settings = frame(4, 0, 0, &[]);
    let mut out = vec![
        (true, [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &*settings].concat()),
        (false, settings),
    ];
    let mut owed = Vec::new();
    for (number, turn) in turns.iter().enumerate() {
        if !turn.pipelined {
            out.append(&mut owed);
        }
        let stream = 2 * number + 1;
        let mut request = vec![
            (":method", "POST".to_owned()),
            (":scheme", "http".to_owned()),
            (":path", format!("/{number}")),
        ];
        request[0].1 = if turn.body.is_some() { "POST" } else { "GET" }.to_owned();
        let ends = u8::from(turn.body.is_none());
        out.push((true, frame(1, 4 | ends, stream, &fields(&request))));
        if let Some(body) = &turn.body {
            out.push((true, frame(0, 1, stream, body)));
        }
        let answer = fields(&[(":status", status(number).to_string())]);
        owed.push((false, frame(1, 4, stream, &answer)));
        owed.push((false, frame(0, 1, stream, &turn.answer)));
        // Answers come in any order.
        if turn.chunked && owed.len() >= 4 {
            owed.rotate_left(2);
        }
    }
    out.append(&mut owed);
    out
}

/// How bytes reach the agent: lengths of the operations, and which of them are not seen.
#[derive(Debug, Clone)]
struct Delivery {
    lengths: Vec<usize>,
    unseen: Vec<bool>,
}

fn delivery(loss: impl Strategy<Value = bool>) -> impl Strategy<Value = Delivery> {
    let lengths = prop::collection::vec(prop_oneof![1..12_usize, 1..400_usize], 1..40);
    (lengths, prop::collection::vec(loss, 1..40)).prop_map(|(lengths, unseen)| Delivery { lengths, unseen })
}

/// Delivers a conversation at the server's end; what came of it, and how many bytes were never seen.
fn deliver(parts: &[(bool, Vec<u8>)], delivery: &Delivery) -> (Vec<Exchange>, usize) {
    let mut flows = flows();
    let mut wire = Wire::server();
    let mut out = Vec::new();
    let mut lost = 0;
    flows.event(&wire.open(0), &mut out);
    let (mut lengths, mut unseen) = (delivery.lengths.iter().cycle(), delivery.unseen.iter().cycle());
    let mut at = 0;
    for (request, bytes) in parts {
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            at += MS;
            let length = lengths
                .next()
                .map_or(rest.len(), |length| rest.len().min(*length));
            let (operation, behind) = rest.split_at(length);
            if unseen.next() == Some(&true) {
                lost += length;
                wire.lose(*request, length);
            } else {
                flows.event(&wire.data(at, *request, operation), &mut out);
            }
            assert!(flows.memory() < 4 << 20, "{} bytes", flows.memory());
            rest = behind;
        }
    }
    flows.event(&wire.close(at + MS), &mut out);
    assert_eq!(flows.connections(), 0);
    (out, lost)
}

/// Number of the request, number of the response.
fn numbers(exchange: &Exchange) -> [Option<usize>; 2] {
    let request = exchange.request.as_ref();
    let response = exchange.response.as_ref();
    [
        request.and_then(|request| request.target.strip_prefix('/')?.parse().ok()),
        response.and_then(|response| usize::from(response.status).checked_sub(FIRST_STATUS)),
    ]
}

/// Nothing is lost: every exchange, complete, with its own response.
fn assert_whole(turns: &[Turn], parts: &[(bool, Vec<u8>)], delivery: &Delivery) {
    let (out, lost) = deliver(parts, delivery);
    assert_eq!(lost, 0);
    let mut seen: Vec<_> = out
        .iter()
        .map(|exchange| (numbers(exchange), exchange.completeness))
        .collect();
    seen.sort_by_key(|(numbers, _)| *numbers);
    let expected: Vec<_> = (0..turns.len())
        .map(|number| ([Some(number); 2], Completeness::Complete))
        .collect();
    assert_eq!(seen, expected);
}

/// Something is lost: no pair is wrong, none is told twice, and what is said to be complete is.
fn assert_honest(turns: &[Turn], parts: &[(bool, Vec<u8>)], delivery: &Delivery) {
    let (out, _) = deliver(parts, delivery);
    let mut told = Vec::new();
    for exchange in &out {
        let [asked, answered] = numbers(exchange);
        if let (Some(asked), Some(answered)) = (asked, answered) {
            assert_eq!(asked, answered, "{:?}", summaries(&out));
        }
        if exchange.completeness == Completeness::Complete {
            let number = asked.expect("a complete exchange has its request");
            let turn = turns.get(number).expect("no request is made up");
            let (request, response) = (exchange.request.as_ref(), exchange.response.as_ref());
            let length = |body: Option<&crate::exchange::Body>| body.map(|body| body.sample.to_vec());
            assert_eq!(
                length(request.map(|request| &request.body)),
                Some(turn.body.clone().unwrap_or_default())
            );
            assert_eq!(
                length(response.map(|response| &response.body)),
                Some(turn.answer.clone())
            );
        }
        told.extend(asked);
    }
    told.sort_unstable();
    let count = told.len();
    told.dedup();
    assert_eq!(
        told.len(),
        count,
        "a request is told twice: {:?}",
        summaries(&out)
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_split_of_http1_gives_every_exchange(turns in turns(), delivery in delivery(Just(false))) {
        assert_whole(&turns, &http1(&turns), &delivery);
    }

    #[test]
    fn any_split_of_http2_gives_every_exchange(turns in turns(), delivery in delivery(Just(false))) {
        assert_whole(&turns, &http2(&turns), &delivery);
    }

    #[test]
    fn any_gaps_in_http1_pair_nothing_wrongly(turns in turns(), delivery in delivery(prop::bool::weighted(0.1))) {
        assert_honest(&turns, &http1(&turns), &delivery);
    }

    #[test]
    fn any_gaps_in_http2_pair_nothing_wrongly(turns in turns(), delivery in delivery(prop::bool::weighted(0.1))) {
        assert_honest(&turns, &http2(&turns), &delivery);
    }

    #[test]
    fn any_bytes_are_survived(
        parts in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..600)), 0..12),
        start in prop::sample::select(vec![&b""[..], b"GET / HTTP/1.1\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]),
        delivery in delivery(prop::bool::weighted(0.1)),
    ) {
        let mut conversation = vec![(true, start.to_vec())];
        conversation.extend(parts);
        deliver(&conversation, &delivery);
    }
}
