//! Ends that see other addresses of each other than each has.

use super::{
    super::{Address, End, Flows},
    kit::*,
};
use crate::{
    clock::Timestamp,
    exchange::{Exchange, Side},
};

const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// What the server sees in the client's place, and what the client asked for.
fn seen() -> Address {
    address(7, 61_000)
}
fn asked() -> Address {
    address(9, 80)
}

/// The kernel's table: from 192.0.2.2 by way of a service and a masquerade to 192.0.2.1.
fn table(local: &Address, remote: &Address) -> Option<End> {
    let (client, server) = (address(2, 40_000), address(1, 80));
    let end = |side, local: &Address, remote| End {
        side,
        local: local.clone(),
        remote,
    };
    if (local, remote) == (&server, &seen()) {
        Some(end(Side::Client, &client, asked()))
    } else if (local, remote) == (&client, &asked()) {
        Some(end(Side::Server, &server, seen()))
    } else {
        None
    }
}

fn translating() -> Flows {
    let mut flows = flows();
    flows.expect_translations();
    flows
}

fn ends() -> (Wire, Wire) {
    let (mut client, mut server) = (Wire::client(2), Wire::server());
    client.remote = asked();
    server.remote = seen();
    (client, server)
}

fn server_tells(flows: &mut Flows, server: &mut Wire, at: u64, out: &mut Vec<Exchange>) {
    flows.event(&server.data(at, true, GET), out);
    flows.event(&server.data(at + 1, false, OK), out);
}

fn client_tells(flows: &mut Flows, client: &mut Wire, at: u64, out: &mut Vec<Exchange>) {
    flows.event(&client.data(at, true, GET), out);
    flows.event(&client.data(at + 1, false, OK), out);
}

#[test]
fn both_ends_on_this_host_are_twins() {
    // The table is looked at in between, and the ends may have gone before that.
    for looks in 0..4 {
        for close in [false, true] {
            let (mut flows, mut out) = (translating(), Vec::new());
            let (mut client, mut server) = ends();
            let look = |flows: &mut Flows, at, out: &mut Vec<Exchange>| {
                if looks == at || at == 3 {
                    flows.translate(&table, out);
                }
            };
            flows.event(&client.open(0), &mut out);
            look(&mut flows, 0, &mut out);
            flows.event(&server.open(1), &mut out);
            look(&mut flows, 1, &mut out);
            server_tells(&mut flows, &mut server, 2, &mut out);
            look(&mut flows, 2, &mut out);
            client_tells(&mut flows, &mut client, 4, &mut out);
            if close {
                flows.event(&server.close(6), &mut out);
                flows.event(&client.close(6), &mut out);
            }
            look(&mut flows, 3, &mut out);
            flows.tick(Timestamp(2_000 * MS), &mut out);
            assert_eq!(out.len(), 1, "looks {looks}, close {close}");
            let connection = &out[0].connection;
            assert_eq!(connection.side, Side::Server);
            assert_eq!(connection.peer_process.as_deref(), Some(&process(2)));
            assert_eq!(connection.client, address(2, 40_000));
            assert_eq!(flows.connections(), if close { 0 } else { 2 });
        }
    }
}

#[test]
fn a_client_of_another_host_has_its_own_address() {
    let (mut flows, mut out) = (translating(), Vec::new());
    let (_, mut server) = ends();
    flows.event(&server.open(0), &mut out);
    server_tells(&mut flows, &mut server, 1, &mut out);
    assert!(out.is_empty() && flows.awaits_translations());
    flows.translate(&table, &mut out);
    assert_eq!(out.len(), 1);
    server_tells(&mut flows, &mut server, 5, &mut out);
    assert_eq!(out.len(), 2);
    for exchange in &out {
        assert_eq!(exchange.connection.client, address(2, 40_000));
        assert_eq!(exchange.connection.peer_process, None);
    }
}

#[test]
fn what_is_not_translated_waits_for_one_look() {
    let (mut flows, mut out) = (translating(), Vec::new());
    let mut elsewhere = Wire::client(3);
    let mut server = Wire::server();
    server.remote = address(5, 1);
    for wire in [&mut elsewhere, &mut server] {
        flows.event(&wire.open(0), &mut out);
    }
    client_tells(&mut flows, &mut elsewhere, 1, &mut out);
    server_tells(&mut flows, &mut server, 1, &mut out);
    assert!(out.is_empty());
    flows.translate(&table, &mut out);
    assert_eq!(out.len(), 2);
    client_tells(&mut flows, &mut elsewhere, 5, &mut out);
    server_tells(&mut flows, &mut server, 5, &mut out);
    assert_eq!((out.len(), flows.awaits_translations()), (4, false));
}

#[test]
fn a_server_that_never_shows_itself_is_waited_for_once() {
    let (mut flows, mut out) = (translating(), Vec::new());
    let (mut client, _) = ends();
    flows.event(&client.open(0), &mut out);
    flows.translate(&table, &mut out);
    client_tells(&mut flows, &mut client, 1, &mut out);
    assert!(out.is_empty());
    flows.tick(Timestamp(600 * MS), &mut out);
    client_tells(&mut flows, &mut client, 601 * MS, &mut out);
    assert_eq!(out.len(), 2);
    assert!(
        out.iter()
            .all(|exchange| exchange.connection.side == Side::Client)
    );
}

#[test]
fn without_a_table_nothing_waits() {
    let (mut flows, mut out) = (flows(), Vec::new());
    let (_, mut server) = ends();
    flows.event(&server.open(0), &mut out);
    server_tells(&mut flows, &mut server, 1, &mut out);
    assert_eq!((out.len(), flows.awaits_translations()), (1, false));
}
