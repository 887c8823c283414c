//! What conversations mean, seen whole and joined late.

use super::kit::*;
use crate::{
    exchange::{Facts, Protocol},
    protocol::operation::Detail,
};

#[test]
fn streams_become_exchanges() {
    let exchanges = play(&conversation());
    assert_eq!(summaries(&exchanges), CONVERSATION);
    let streams: Vec<_> = exchanges.iter().map(|exchange| exchange.stream).collect();
    assert_eq!(streams, [Some(1), Some(3), Some(5)]);
    assert!(
        exchanges
            .iter()
            .all(|exchange| exchange.protocol == Protocol::Http2)
    );
    let post = &exchanges[1];
    assert_eq!(post.latency.unwrap().as_nanos(), 1_000);
    let body = &post.request.as_ref().unwrap().body;
    assert_eq!((body.length, body.cut), (Some(9), false));
    let head = &post.request.as_ref().unwrap().head;
    assert_eq!(head.first(":authority"), Some(&b"api.test"[..]));
}

#[test]
fn every_split_gives_the_same() {
    let parts = conversation();
    for (number, (is_request, bytes)) in parts.iter().enumerate() {
        for cut in 1..bytes.len() {
            let mut split = parts.clone();
            split[number].1.truncate(cut);
            split.insert(number + 1, (*is_request, bytes[cut..].to_vec()));
            assert_eq!(
                summaries(&play(&split)),
                CONVERSATION,
                "part {number} cut at {cut}"
            );
        }
    }
    let bytewise: Vec<Part> = parts
        .iter()
        .flat_map(|(way, bytes)| bytes.iter().map(|byte| (*way, vec![*byte])))
        .collect();
    assert_eq!(summaries(&play(&bytewise)), CONVERSATION);
}

#[test]
fn a_connection_joined_late_is_known_by_its_fields() {
    let parts = conversation();
    for start in 1..parts.len() {
        let mut wire = Wire::joined(true);
        for (number, part) in parts.iter().enumerate() {
            if number < start {
                wire.lose(part.0, part.1.len());
            } else {
                wire.part(part, Fate::Seen);
            }
        }
        let exchanges = wire.close();
        // The last exchange is exact wherever all of it was seen.
        if start < parts.len() - 1 {
            assert_eq!(summaries(&exchanges).last().unwrap(), CONVERSATION[2], "{start}");
        }
        assert!(exchanges.len() <= 3);
    }
}

#[test]
fn references_to_what_was_not_seen_are_left_out() {
    let mut wire = Wire::joined(true);
    // :method GET, :scheme http, :path from the table, a literal.
    let block = [&[0x82, 0x86, 0xbe][..], &fields(&[("x-known", "1")])].concat();
    wire.tell(true, &frame(1, WHOLE, 7, &block));
    wire.tell(false, &headers(WHOLE, 7, &[(":status", "204")]));
    let exchanges = wire.close();
    assert_eq!(summaries(&exchanges), ["GET  [] > 204 [] Lost"]);
    let head = &exchanges[0].request.as_ref().unwrap().head;
    assert!(head.cut && head.first("x-known") == Some(b"1"));
}

#[test]
fn resets_are_told() {
    let start = (
        true,
        [preface(), get(END_HEADERS, 1, "/a"), get(WHOLE, 3, "/b")].concat(),
    );
    let cancel = |stream| frame(3, 0, stream, &[0, 0, 0, 8]);
    let exchanges = play(&[
        start.clone(),
        (true, cancel(3)),
        (false, [settings(), cancel(1)].concat()),
    ]);
    assert_eq!(
        summaries(&exchanges),
        ["GET /a [] > - NoResponse", "GET /b [] > - NoResponse"]
    );
    assert!(exchanges[0].facts.has(Facts::RESET_BY_SERVER));
    assert!(exchanges[1].facts.has(Facts::RESET_BY_CLIENT));
    // A response that was on its way when the client gave up.
    let answer = [settings(), headers(WHOLE, 3, &[(":status", "200")])].concat();
    let exchanges = play(&[start.clone(), (true, cancel(3)), (false, answer)]);
    assert_eq!(summary(&exchanges[1]), "GET /b [] > 200 [] Complete");
    // A server that has answered and wants no more of the request.
    let answer = [
        settings(),
        headers(WHOLE, 1, &[(":status", "413")]),
        frame(3, 0, 1, &[0; 4]),
    ];
    let exchanges = play(&[start, (false, answer.concat())]);
    assert_eq!(summary(&exchanges[0]), "GET /a [] > 413 [] Complete");
    assert!(!exchanges[0].facts.has(Facts::RESET_BY_SERVER));
}

#[test]
fn many_resets_are_rapid() {
    let mut bytes = preface();
    for stream in (1..600).step_by(2) {
        bytes.extend(get(WHOLE, stream, "/a"));
        bytes.extend(frame(3, 0, stream, &[0, 0, 0, 8]));
    }
    let exchanges = play(&[(true, bytes)]);
    assert_eq!(exchanges.len(), 300);
    let rapid = |exchange: &&crate::exchange::Exchange| exchange.facts.has(Facts::RAPID_RESETS);
    assert_eq!(exchanges.iter().filter(rapid).count(), 201);
}

#[test]
fn pushed_responses_have_the_promised_request() {
    let request = fields(&[(":method", "GET"), (":scheme", "http"), (":path", "/style.css")]);
    let promise = frame(5, END_HEADERS, 1, &[&[0, 0, 0, 2][..], &request].concat());
    let exchanges = play(&[
        (true, [preface(), get(WHOLE, 1, "/")].concat()),
        (
            false,
            [
                settings(),
                promise,
                headers(WHOLE, 1, &[(":status", "200")]),
                headers(END_HEADERS, 2, &[(":status", "200")]),
                data(END_STREAM, 2, b"css"),
            ]
            .concat(),
        ),
    ]);
    assert_eq!(
        summaries(&exchanges),
        [
            "GET / [] > 200 [] Complete",
            "GET /style.css [] > 200 [css] Complete"
        ]
    );
    assert!(exchanges[1].facts.has(Facts::PUSHED));
}

#[test]
fn streams_beyond_a_goaway_have_no_response() {
    let mut wire = Wire::new();
    wire.tell(
        true,
        &[preface(), get(WHOLE, 1, "/a"), get(WHOLE, 3, "/b")].concat(),
    );
    wire.tell(
        false,
        &[settings(), frame(7, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0])].concat(),
    );
    assert_eq!(summaries(&wire.out), ["GET /b [] > - NoResponse"]);
    wire.tell(false, &headers(WHOLE, 1, &[(":status", "200")]));
    assert_eq!(wire.close().len(), 2);
}

#[test]
fn an_upgrade_from_http1_goes_on_as_stream_one() {
    let request = b"POST /up HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
        HTTP2-Settings: AAMAAABkAAQAAP__\r\nContent-Length: 2\r\n\r\nhi";
    let switching = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";
    let answer = [
        &switching[..],
        &settings(),
        &headers(END_HEADERS, 1, &[(":status", "206")]),
        &data(END_STREAM, 1, b"part"),
    ];
    let exchanges = play(&[
        (true, request.to_vec()),
        (false, answer.concat()),
        (true, [preface(), get(WHOLE, 3, "/next")].concat()),
        (false, headers(WHOLE, 3, &[(":status", "200")])),
    ]);
    assert_eq!(
        summaries(&exchanges),
        [
            "POST /up [hi] > 206 [part] Complete",
            "GET /next [] > 200 [] Complete"
        ]
    );
    assert_eq!(exchanges[0].stream, Some(1));
}

#[test]
fn calls_have_a_status_of_their_own() {
    let call = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/shop.v1.Cart/Add"),
        ("content-type", "application/grpc"),
    ];
    let exchanges = play(&[
        (
            true,
            [
                preface(),
                headers(END_HEADERS, 1, &call),
                data(1, 1, b"\0\0\0\0\x02hi"),
            ]
            .concat(),
        ),
        (
            false,
            [
                settings(),
                headers(
                    END_HEADERS,
                    1,
                    &[(":status", "200"), ("content-type", "application/grpc")],
                ),
                data(0, 1, b"\0\0\0\0\x03one\0\0\0\0\x05three"),
                headers(WHOLE, 1, &[("grpc-status", "9")]),
            ]
            .concat(),
        ),
        (true, headers(WHOLE, 3, &call)),
        (
            false,
            headers(WHOLE, 3, &[(":status", "200"), ("grpc-status", "12")]),
        ),
    ]);
    let operation = exchanges[0].operation.as_ref().unwrap();
    assert_eq!(operation.name.as_deref(), Some("shop.v1.Cart/Add"));
    let Detail::Grpc(call) = &operation.detail else {
        panic!()
    };
    assert_eq!((call.status, call.streams()), (Some(9), (false, true)));
    assert_eq!(
        (call.requests.bytes, call.responses.bytes, call.responses.largest),
        (2, 8, 5)
    );
    let Detail::Grpc(call) = &exchanges[1].operation.as_ref().unwrap().detail else {
        panic!()
    };
    assert_eq!((call.status, call.responses.count), (Some(12), 0));
}

#[test]
fn credentials_are_masked() {
    let secret = [
        (":method", "GET"),
        (":path", "/a?access_token=sesame"),
        ("authorization", "Bearer sesame"),
    ];
    let exchanges = play(&[(true, [preface(), headers(WHOLE, 1, &secret)].concat())]);
    assert!(!format!("{:?}", exchanges[0]).contains("sesame"));
    assert_eq!(exchanges[0].request.as_ref().unwrap().credentials.len(), 2);
}

#[test]
fn what_streams_hold_is_given_back() {
    let mut wire = Wire::new();
    wire.tell(true, &preface());
    wire.tell(false, &settings());
    let empty = wire.flows.memory();
    for round in 0..400_u32 {
        let stream = round * 2 + 1;
        wire.tell(
            true,
            &[
                get(END_HEADERS, stream, "/a"),
                data(END_STREAM, stream, &[b'x'; 900]),
            ]
            .concat(),
        );
        // With trailers, without a status, and reset.
        let answer = match round % 3 {
            0 => [
                headers(END_HEADERS, stream, &[(":status", "200")]),
                headers(WHOLE, stream, &[("x-sum", "1")]),
            ]
            .concat(),
            1 => headers(WHOLE, stream, &[("x-odd", "1")]),
            _ => frame(3, 0, stream, &[0, 0, 0, 8]),
        };
        wire.tell(false, &answer);
    }
    assert_eq!(wire.out.len(), 400);
    let whole =
        |exchange: &crate::exchange::Exchange| exchange.request.as_ref().unwrap().body.sample.len() == 900;
    assert!(wire.out.iter().all(whole));
    assert!(wire.flows.memory() < empty + 16_384, "{}", wire.flows.memory());
}
