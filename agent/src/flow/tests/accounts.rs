//! What went through connections: told at their ends, and before for those that go on.

use super::{
    super::{ACCOUNT, Account, Flows, Occasion, SocketId},
    kit::*,
};
use crate::{
    clock::Timestamp,
    event::{SocketClose, SocketCount, SocketEvent},
    exchange::Exchange,
};

const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";
/// Of a handshake: the first bytes of each direction, of which nothing can be told but that it is TLS.
const HELLO: &[u8] = b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03";
const ANSWER: &[u8] = b"\x16\x03\x03\x00\x05\x02\x00\x00\x01\x03";

/// A server's socket that has answered once, at the first instant.
fn answered(question: &'static [u8], answer: &'static [u8]) -> (Flows, Wire, Vec<Exchange>) {
    let (mut flows, mut wire, mut out) = (flows(), Wire::server(), Vec::new());
    flows.event(&wire.open(0), &mut out);
    for (request, bytes) in [(true, question), (false, answer)] {
        flows.event(&wire.operation(1, request, bytes, bytes.len()), &mut out);
    }
    (flows, wire, out)
}

fn sums(accounts: &[Account]) -> Vec<(u64, bool)> {
    let is_open = |account: &Account| account.occasion == Occasion::Open;
    accounts
        .iter()
        .map(|account| (account.bytes, is_open(account)))
        .collect()
}

fn after(times: u32) -> Timestamp {
    Timestamp(2).after(times * ACCOUNT)
}

#[test]
fn a_long_connection_is_accounted_for_before_its_end() {
    let (mut flows, mut wire, mut out) = answered(GET, OK);
    let one = (GET.len() + OK.len()) as u64;
    flows.tick(Timestamp(2), &mut out);
    assert!(flows.take_accounts().is_empty(), "too early");
    for times in 1..4 {
        flows.tick(after(times), &mut out);
    }
    assert_eq!(
        sums(&flows.take_accounts()),
        [(one, true)],
        "nothing new, nothing told"
    );
    for (request, bytes) in [(true, GET), (false, OK)] {
        let event = wire.operation(after(4).0, request, bytes, bytes.len());
        flows.event(&event, &mut out);
    }
    flows.event(&wire.close(after(4).0), &mut out);
    let last = flows.take_accounts();
    assert_eq!(sums(&last), [(one, false)]);
    assert!(matches!(
        last[0].occasion,
        Occasion::Closed {
            reconciled: Some(true),
            ..
        }
    ));
}

#[test]
fn what_was_lost_is_told_once() {
    let (mut flows, mut wire, mut out) = answered(GET, OK);
    wire.lose(true, 100);
    flows.event(&wire.operation(3, true, GET, GET.len()), &mut out);
    flows.tick(after(1), &mut out);
    flows.event(&wire.close(after(1).0), &mut out);
    let accounts = flows.take_accounts();
    let lost: Vec<u64> = accounts.iter().map(|account| account.lost_bytes).collect();
    assert_eq!(lost, [100, 0]);
}

#[test]
fn ciphertext_is_accounted_for_as_the_source_counts_it() {
    let (mut flows, wire, mut out) = answered(HELLO, ANSWER);
    flows.tick(after(1), &mut out);
    assert!(
        flows.take_accounts().is_empty(),
        "it may be in its handshake, about to be read"
    );
    let count = |at: Timestamp, bytes: [u64; 2]| {
        SocketEvent::Count(SocketCount {
            socket: SocketId(1),
            at,
            bytes,
        })
    };
    flows.event(&count(after(1), [10_000, 7_000]), &mut out);
    // Another socket's, which is not known.
    let mut unknown = count(after(1), [1, 1]);
    if let SocketEvent::Count(count) = &mut unknown {
        count.socket = SocketId(99);
    }
    flows.event(&unknown, &mut out);
    flows.tick(after(3), &mut out);
    flows.tick(after(5), &mut out);
    let SocketEvent::Close(close) = wire.close(after(5).0) else {
        panic!("the end of a socket")
    };
    let close = SocketClose {
        kernel_bytes: Some([12_000, 8_000]),
        ..close
    };
    flows.event(&SocketEvent::Close(close), &mut out);
    let accounts = flows.take_accounts();
    assert_eq!(sums(&accounts), [(17_000, true), (3_000, false)]);
    assert!(
        accounts
            .iter()
            .all(|account| account.tls.as_ref().is_some_and(|tls| !tls.is_read))
    );
}
