//! Clients' ends that are left alone, because the servers' ends tell the same.

use anyhow::{Result, ensure};
use apiarist::{
    event::Direction,
    exchange::{Completeness, Side},
};
use apiarist_common::counter::Counter;

use super::{
    frames::{self, END_HEADERS, END_STREAM, HEADERS, PREFACE, SETTINGS, frame},
    observer::Observer,
    pair::{Pair, Transport, receive_whole, send},
    story::{carry, get, ok, reconcile},
};

/// Exchanges before the agent is asked whom it would leave alone: more than it wants to see.
const BEFORE: usize = 12;

/// Exchanges afterwards.
const AFTER: usize = 40;

/// The programs look at every fourth request whether they are to leave the socket alone.
const REQUESTS: usize = 4;

/// A request and its response.
type Messages = fn(usize) -> (Vec<u8>, Vec<u8>);

pub(super) fn clients_of_http1_are_left_alone(observer: &mut Observer) -> Result<()> {
    for transport in [
        Transport::Tcp4,
        Transport::Tcp6,
        Transport::Mapped,
        Transport::UnixPath,
        Transport::UnixPair,
    ] {
        left_alone(observer, transport, |number| (get(number), ok(31 * number)))?;
    }
    Ok(())
}

pub(super) fn clients_of_http2_are_left_alone(observer: &mut Observer) -> Result<()> {
    left_alone(observer, Transport::Tcp4, |number| {
        let settings = frame(SETTINGS, 0, 0, &[]);
        let [preface, answer] = match number {
            0 => [[PREFACE, &settings].concat(), settings],
            _ => [Vec::new(), Vec::new()],
        };
        let stream = 2 * number as u32 + 1;
        let request = frames::get(&format!("/files/{number}"));
        let both = END_STREAM | END_HEADERS;
        (
            [preface, frame(HEADERS, both, stream, &request)].concat(),
            [answer, frame(HEADERS, both, stream, &[0x88])].concat(),
        )
    })
}

/// The client's end falls silent at the end of a message; the server's goes on, every exchange is told, and what passed at
/// the client's is known by its length.
fn left_alone(observer: &mut Observer, transport: Transport, messages: Messages) -> Result<()> {
    observer.forget()?;
    let before = observer.counter(Counter::ToldSockets);
    let pair = Pair::connect(transport)?;
    let ids = pair.ids;
    // Positions of the client at the end of each exchange.
    let mut ends = vec![[0; 2]];
    for number in 0..BEFORE + AFTER {
        if number == BEFORE {
            observer.drain()?;
            let told = observer.leave_out_told()?;
            ensure!(
                told.contains(&ids.client) && !told.contains(&ids.server),
                "left alone are {told:?} of {ids:?}"
            );
        }
        let (request, response) = messages(number);
        carry(&pair, Direction::Egress, &request, send, receive_whole)?;
        carry(&pair, Direction::Ingress, &response, send, receive_whole)?;
        let [sent, received] = ends[number];
        ends.push([sent + request.len() as u64, received + response.len() as u64]);
    }
    let all = ends[BEFORE + AFTER];
    let closes = pair.close().closes;
    observer.collect_until("the end of the connection", |log| {
        log.get(&ids.server).is_some_and(|log| {
            log.end(Direction::Ingress) == all[0]
                && log.end(Direction::Egress) == all[1]
                && (!closes || !log.closes.is_empty())
        }) && (!closes || log.get(&ids.client).is_some_and(|log| !log.closes.is_empty()))
    })?;
    let client = observer.socket(ids.client)?;
    let stood = [client.end(Direction::Egress), client.end(Direction::Ingress)];
    ensure!(
        ends[BEFORE..=BEFORE + REQUESTS].contains(&stood),
        "{transport:?}: the client was copied up to {stood:?}, messages end at {ends:?}"
    );
    let server = observer.socket(ids.server)?;
    for direction in [Direction::Egress, Direction::Ingress] {
        let missing = server.stream(direction)?.parts.missing();
        ensure!(missing == 0, "{transport:?}: {missing} bytes are missing");
        for socket in [client, server] {
            socket.stream(direction)?;
        }
    }
    if closes {
        let close = client.close()?;
        ensure!(
            close.told && close.positions == stood && close.kernel_bytes == Some(all),
            "{transport:?}: {close:?} of {all:?}"
        );
        let close = server.close()?;
        ensure!(!close.told, "the server's end was left alone: {close:?}");
        reconcile(close)?;
    }
    ensure!(
        observer.counter(Counter::ToldSockets) > before,
        "nothing was counted"
    );
    let exchanges = observer.exchanges([ids.client, ids.server]);
    ensure!(
        exchanges.len() == BEFORE + AFTER,
        "{transport:?}: {} exchanges",
        exchanges.len()
    );
    for exchange in exchanges {
        ensure!(
            exchange.completeness == Completeness::Complete
                && exchange.connection.side == Side::Server
                && exchange.connection.peer_process.is_some(),
            "{transport:?}: {exchange:?}"
        );
    }
    Ok(())
}
