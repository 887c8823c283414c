use super::kit::*;
use crate::exchange::Exchange;

fn conversations() -> Vec<Vec<Part<'static>>> {
    vec![
        vec![
            Request(b"POST /a?k=v HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"),
            Response(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nworld"),
            Request(b"\r\nGET /b HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n"),
            Response(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;e\r\nabc\r\nA\r\n0123456789\r\n0\r\nT: x\r\n\r\n"),
            Request(b"HEAD /c HTTP/1.1\r\n\r\n"),
            Response(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"),
        ],
        vec![
            Request(b"GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\nPUT /3 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"),
            Response(b"HTTP/1.1 103 Hints\r\nL: 1\r\n\r\nHTTP/1.1 200 A\r\nContent-Length: 1\r\n\r\naHTTP/1.1 204 B\r\n\r\nHTTP/1.1 500 C\r\n\r\nuntil the end"),
        ],
        vec![
            Request(b"PROXY TCP4 192.0.2.1 192.0.2.2 5000 80\r\nGET /p HTTP/1.0\r\n\r\n"),
            Response(b"HTTP/1.0 404 Not Found\nContent-Length: 2\n\nno"),
        ],
        vec![
            Request(b"GET /ws HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"),
            Response(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x81\x02hi"),
        ],
    ]
}

/// What must not depend on how bytes came: all but times.
fn content(out: Vec<Exchange>) -> Vec<String> {
    out.into_iter()
        .map(|mut exchange| {
            exchange.started = Default::default();
            exchange.latency = None;
            exchange.duration = None;
            format!("{exchange:?}")
        })
        .collect()
}

#[test]
fn every_split_gives_the_same_exchanges() {
    for parts in conversations() {
        let whole = content(play(&parts));
        assert!(!whole.is_empty());
        for index in 0..parts.len() {
            let (_, bytes) = parts[index].bytes();
            for cut in 1..bytes.len() {
                let mut split = parts.clone();
                let (one, two) = match parts[index] {
                    Request(bytes) => (Request(&bytes[..cut]), Request(&bytes[cut..])),
                    Response(bytes) => (Response(&bytes[..cut]), Response(&bytes[cut..])),
                };
                split.splice(index..=index, [one, two]);
                assert_eq!(content(play(&split)), whole, "part {index} cut at {cut}");
            }
        }
    }
}

#[test]
fn bytes_one_by_one_give_the_same_exchanges() {
    for parts in conversations() {
        let whole = content(play(&parts));
        for size in 1..8 {
            let split: Vec<Part<'_>> = parts
                .iter()
                .flat_map(|part| match *part {
                    Request(bytes) => bytes.chunks(size).map(Request as fn(_) -> _).collect::<Vec<_>>(),
                    Response(bytes) => bytes.chunks(size).map(Response as fn(_) -> _).collect(),
                })
                .collect();
            assert_eq!(content(play(&split)), whole, "{size}");
        }
    }
}
