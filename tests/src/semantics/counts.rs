//! What was captured, compared with what the sockets themselves counted.

use std::net::TcpListener;

use anyhow::{Result, ensure};
use apiarist::{
    clock::monotonic_ns,
    event::{Direction, SocketId},
};

use super::{
    extent::{in_guest, is_long},
    observer::{Observer, deadline},
    pair::{Pair, receive, send},
    story::{carry, ok, post, reconcile},
};

/// Exchanges of [`reconciliation`] over each connection.
const PER_CONNECTION: usize = 50;

/// Exchanges in all; a million with `APIARIST_LONG_TESTS=1`, fewer on an emulated processor.
const EXCHANGES: usize = 20_000;
const LONG_EXCHANGES: usize = 1_000_000;
const GUEST_EXCHANGES: usize = 2_000;

/// Connections that are made before the closed ones are looked at.
const LOOK_EVERY: usize = 20;

/// Over many exchanges, every position is what the socket itself counted, and not a byte is missing.
pub(super) fn reconciliation(observer: &mut Observer) -> Result<()> {
    let exchanges = match (is_long(), in_guest()) {
        (true, _) => LONG_EXCHANGES,
        (false, true) => GUEST_EXCHANGES,
        (false, false) => EXCHANGES,
    };
    observer.without_exchanges(|observer| {
        let mut compared = 0;
        let mut pending = Vec::new();
        let listener = TcpListener::bind("127.0.0.1:0")?;
        for connection in 0..exchanges / PER_CONNECTION {
            let pair = Pair::tcp(&listener, None)?;
            let mut moved = [0; 2];
            for number in 0..PER_CONNECTION {
                let (request, response) = (post(number, 17 * number), ok(31 * number));
                carry(&pair, Direction::Egress, &request, send, receive)?;
                carry(&pair, Direction::Ingress, &response, send, receive)?;
                moved = [moved[0] + request.len() as u64, moved[1] + response.len() as u64];
            }
            let [sent, received] = moved;
            let ids = pair.close();
            pending.extend([(ids.client, [sent, received]), (ids.server, [received, sent])]);
            if connection % LOOK_EVERY == 0 {
                compared += compare_closed(observer, &mut pending)?;
            }
        }
        let until = deadline(super::observer::PATIENCE);
        while !pending.is_empty() && monotonic_ns() < until {
            observer.look()?;
            compared += compare_closed(observer, &mut pending)?;
        }
        ensure!(pending.is_empty(), "{} sockets have no end", pending.len());
        ensure!(
            compared == 2 * (exchanges / PER_CONNECTION),
            "{compared} sockets were compared"
        );
        Ok(())
    })
}

/// Compares the sockets that have ended with what was moved over them, and forgets them; returns how many.
fn compare_closed(observer: &mut Observer, pending: &mut Vec<(SocketId, [u64; 2])>) -> Result<usize> {
    observer.drain()?;
    let log = observer.log_mut();
    let before = pending.len();
    let mut outcome = Ok(());
    pending.retain(|(id, moved)| {
        if log.get(id).is_none_or(|log| log.closes.is_empty()) {
            return true;
        }
        let socket = log.remove(id).unwrap_or_default();
        let compared = socket.close().and_then(|close| {
            ensure!(
                close.positions == *moved,
                "positions are {close:?}, moved were {moved:?}"
            );
            reconcile(close)?;
            for direction in [Direction::Egress, Direction::Ingress] {
                let missing = socket.stream(direction)?.parts.missing();
                ensure!(missing == 0, "{missing} bytes are missing");
            }
            Ok(())
        });
        if outcome.is_ok() {
            outcome = compared;
        }
        false
    });
    outcome?;
    Ok(before - pending.len())
}
