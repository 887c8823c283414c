//! HTTP/2: frames of many streams, cut by operations as chance will have it, and connections joined in the middle.

use anyhow::{Result, ensure};
use apiarist::{
    event::Direction,
    exchange::{Completeness, Exchange},
};

use super::{
    messages::carry_in_pieces,
    observer::Observer,
    pair::{Ids, Pair, Transport, receive, receive_whole, send},
    skip,
    story::{body, carry, reconcile},
};

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const SETTINGS: u8 = 4;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// Largest payload of a frame that needs no agreement (RFC 9113 §4.2).
const FRAME: usize = 16_384;

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, length @ ..] = (payload.len() as u32).to_be_bytes();
    [&length[..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// `:method GET`, `:scheme http` and a path that enters the table (RFC 7541 §6.2.1).
pub(crate) fn get(path: &str) -> Vec<u8> {
    [&[0x82, 0x86, 0x44, path.len() as u8], path.as_bytes()].concat()
}

/// A field that does not enter the table, of `len` bytes.
fn long_field(len: usize) -> Vec<u8> {
    // RFC 7541 §5.1: a length beyond the prefix of seven bits follows in groups of seven.
    let mut bytes = b"\x00\x06x-long\x7f".to_vec();
    let mut rest = len - 127;
    while rest >= 128 {
        bytes.push((rest % 128) as u8 | 0x80);
        rest /= 128;
    }
    bytes.push(rest as u8);
    bytes.extend(body(len));
    bytes
}

/// Waits for the end of a connection; its exchanges, by stream.
fn concluded(observer: &mut Observer, ids: Ids) -> Result<Vec<Exchange>> {
    observer.collect_until("the end of the connection", |log| {
        [ids.client, ids.server]
            .iter()
            .all(|id| log.get(id).is_some_and(|log| !log.closes.is_empty()))
    })?;
    for id in [ids.client, ids.server] {
        reconcile(observer.socket(id)?.close()?)?;
    }
    let mut exchanges: Vec<_> = observer
        .exchanges([ids.client, ids.server])
        .into_iter()
        .cloned()
        .collect();
    exchanges.sort_by_key(|exchange| exchange.stream);
    Ok(exchanges)
}

/// Target, status, length of the response's body.
fn summary(exchange: &Exchange) -> (String, u16, Option<u64>) {
    let request = exchange.request.as_ref();
    let response = exchange.response.as_ref();
    (
        request.map_or(String::new(), |request| request.target.to_string()),
        response.map_or(0, |response| response.status),
        response.and_then(|response| response.body.length),
    )
}

/// Long answers of several streams take turns, frame by frame, and the trailers of one are longer than a budget. Operations
/// end anywhere. Every exchange is whole, and most of the bodies was not copied.
pub(super) fn h2_multiplexed(observer: &mut Observer) -> Result<()> {
    const STREAMS: u32 = 5;
    const ROUNDS: usize = 40;
    let streams = || (0..STREAMS).map(|stream| 2 * stream + 1);
    let mut requests = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
    for stream in streams() {
        let path = format!("/files/{stream}");
        requests.extend(frame(HEADERS, END_STREAM | END_HEADERS, stream, &get(&path)));
    }
    let mut responses = frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100]);
    for stream in streams() {
        responses.extend(frame(HEADERS, END_HEADERS, stream, &[0x88]));
    }
    for round in 0..ROUNDS {
        for stream in streams() {
            responses.extend(frame(DATA, 0, stream, &body(FRAME - round * stream as usize)));
        }
    }
    for stream in streams() {
        let trailers = long_field(if stream == 1 { 20_000 } else { 1_000 });
        let (one, two) = trailers.split_at(trailers.len().min(FRAME));
        responses.extend(frame(HEADERS, END_STREAM, stream, one));
        responses.extend(frame(CONTINUATION, END_HEADERS, stream, two));
    }
    if !observer.features().bpf_loop {
        return Err(skip("kernels before 5.17 cut HTTP/2 by operation"));
    }
    for piece in [65_521, 16_393, 1_021] {
        let pair = Pair::connect(Transport::Tcp4)?;
        carry(&pair, Direction::Egress, &requests, send, receive)?;
        carry_in_pieces(&pair, &responses, piece)?;
        let ids = pair.close();
        let exchanges = concluded(observer, ids)?;
        let seen: Vec<_> = exchanges.iter().map(summary).collect();
        let wanted: Vec<_> = streams()
            .map(|stream| {
                let length: usize = (0..ROUNDS).map(|round| FRAME - round * stream as usize).sum();
                (format!("/files/{stream}"), 200, Some(length as u64))
            })
            .collect();
        ensure!(
            seen == wanted,
            "in pieces of {piece}: {seen:?}, should be {wanted:?}"
        );
        for exchange in &exchanges {
            ensure!(
                exchange.completeness == Completeness::Complete,
                "in pieces of {piece}: {:?} is {:?}",
                summary(exchange),
                exchange.completeness
            );
        }
        let captured = observer
            .socket(ids.server)?
            .stream(Direction::Egress)?
            .parts
            .captured();
        ensure!(
            captured < responses.len() as u64 * 3 / 4,
            "{captured} of {} bytes were copied",
            responses.len()
        );
        observer.forget()?;
    }
    Ok(())
}

/// A long download of one stream costs a little of each frame, however often the client says that it can take more.
pub(super) fn h2_download(observer: &mut Observer) -> Result<()> {
    if !observer.features().bpf_loop {
        return Err(skip("kernels before 5.17 cut HTTP/2 by operation"));
    }
    let pair = Pair::connect(Transport::Tcp4)?;
    let request = [
        PREFACE,
        &frame(SETTINGS, 0, 0, &[]),
        &frame(HEADERS, END_STREAM | END_HEADERS, 1, &get("/download")),
    ]
    .concat();
    carry(&pair, Direction::Egress, &request, send, receive)?;
    let start = [
        frame(SETTINGS, 0, 0, &[]),
        frame(HEADERS, END_HEADERS, 1, &[0x88]),
    ]
    .concat();
    carry(&pair, Direction::Ingress, &start, send, receive_whole)?;
    let mut moved = start.len();
    for _ in 0..100 {
        let data = frame(DATA, 0, 1, &body(FRAME)).repeat(4);
        moved += data.len();
        carry(&pair, Direction::Ingress, &data, send, receive_whole)?;
        let update = frame(WINDOW_UPDATE, 0, 0, &(4 * FRAME as u32).to_be_bytes());
        carry(&pair, Direction::Egress, &update, send, receive)?;
    }
    carry(
        &pair,
        Direction::Ingress,
        &frame(DATA, END_STREAM, 1, &[]),
        send,
        receive,
    )?;
    let ids = pair.close();
    let exchanges = concluded(observer, ids)?;
    let seen: Vec<_> = exchanges.iter().map(summary).collect();
    let wanted = ("/download".to_owned(), 200, Some(400 * FRAME as u64));
    ensure!(seen == [wanted], "the exchanges are {seen:?}");
    ensure!(
        exchanges[0].completeness == Completeness::Complete,
        "it is {:?}",
        exchanges[0].completeness
    );
    let captured = observer
        .socket(ids.server)?
        .stream(Direction::Egress)?
        .parts
        .captured();
    // 512 bytes and a header of each frame, and one budget.
    ensure!(
        captured < 400 * 530 + 10_000,
        "{captured} of {moved} bytes were copied"
    );
    Ok(())
}

/// A server that sends its settings before it has read anything, as those in Go do: nothing of its direction is missing.
pub(super) fn h2_server_first(observer: &mut Observer) -> Result<()> {
    let pair = Pair::connect(Transport::Tcp4)?;
    for first in [
        frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100]),
        frame(WINDOW_UPDATE, 0, 0, &[0, 15, 0, 1]),
    ] {
        carry(&pair, Direction::Ingress, &first, send, receive)?;
    }
    let request = [
        PREFACE,
        &frame(SETTINGS, 0, 0, &[]),
        &frame(HEADERS, END_STREAM | END_HEADERS, 1, &get("/first")),
    ]
    .concat();
    let (preface, rest) = request.split_at(PREFACE.len());
    carry(&pair, Direction::Egress, preface, send, receive)?;
    carry(&pair, Direction::Egress, rest, send, receive)?;
    let answer = [
        frame(HEADERS, END_HEADERS, 1, &[0x88]),
        frame(DATA, END_STREAM, 1, &body(3_000)),
    ]
    .concat();
    carry_in_pieces(&pair, &answer, 1_000)?;
    let ids = pair.close();
    let exchanges = concluded(observer, ids)?;
    let seen: Vec<_> = exchanges.iter().map(summary).collect();
    ensure!(
        seen == [("/first".to_owned(), 200, Some(3_000))],
        "the exchanges are {seen:?}"
    );
    ensure!(
        exchanges[0].completeness == Completeness::Complete,
        "it is {:?}",
        exchanges[0].completeness
    );
    let stream = observer.socket(ids.server)?.stream(Direction::Egress)?;
    ensure!(
        stream.start == 0 && stream.parts.first_bytes().starts_with(&[0, 0, 6, SETTINGS]),
        "the server's direction starts at {}",
        stream.start
    );
    Ok(())
}

/// Connections that were open before the programs: fields that entered the table before are unknown, others exact.
pub(super) fn h2_joined_late(_: &mut Observer) -> Result<()> {
    let pair = Pair::connect(Transport::Tcp4)?;
    let call = |stream, block: &[u8]| frame(HEADERS, END_STREAM | END_HEADERS, stream, block);
    let answer = |stream: u32| {
        let data = frame(DATA, END_STREAM, stream, &body(3_000));
        [frame(HEADERS, END_HEADERS, stream, &[0x88]), data].concat()
    };
    let start = [PREFACE, &frame(SETTINGS, 0, 0, &[]), &call(1, &get("/before"))].concat();
    carry(&pair, Direction::Egress, &start, send, receive)?;
    carry(
        &pair,
        Direction::Ingress,
        &[frame(SETTINGS, 0, 0, &[]), answer(1)].concat(),
        send,
        receive_whole,
    )?;
    let mut observer = Observer::attach()?;
    // Flow control alone tells nothing, and gives nothing up.
    for _ in 0..80 {
        for direction in [Direction::Egress, Direction::Ingress] {
            let update = frame(WINDOW_UPDATE, 0, 0, &[0, 0, 4, 0]);
            carry(&pair, direction, &update, send, receive)?;
        }
    }
    // The second refers to the entry before; the fourth to the one that the third has made.
    let calls = [
        get("/first"),
        vec![0x82, 0x86, 0xbf],
        get("/second"),
        vec![0x82, 0x86, 0xbe],
    ];
    for (block, stream) in calls.iter().zip([3, 5, 7, 9]) {
        carry(&pair, Direction::Egress, &call(stream, block), send, receive)?;
        carry(&pair, Direction::Ingress, &answer(stream), send, receive_whole)?;
    }
    let ids = pair.close();
    let exchanges = concluded(&mut observer, ids)?;
    let seen: Vec<_> = exchanges.iter().map(summary).collect();
    let length = Some(3_000);
    let wanted = ["/first", "", "/second", "/second"].map(|path| (path.to_owned(), 200, length));
    ensure!(seen == wanted, "the exchanges are {seen:?}, should be {wanted:?}");
    Ok(())
}
