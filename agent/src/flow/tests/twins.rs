use std::net::{IpAddr, Ipv4Addr};

use super::{
    super::{Address, Flows, SocketId},
    kit::*,
};
use crate::{
    clock::Timestamp,
    exchange::{Exchange, Side},
};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n";

/// Request and response as both ends tell them.
fn exchange(flows: &mut Flows, client: &mut Wire, server: &mut Wire, at: u64, out: &mut Vec<Exchange>) {
    flows.event(&client.data(at, true, GET), out);
    flows.event(&server.data(at + 1, true, GET), out);
    flows.event(&server.data(at + 2, false, OK), out);
    flows.event(&client.data(at + 3, false, OK), out);
}

#[test]
fn the_server_tells_and_the_client_is_named() {
    let (mut flows, mut out) = (flows(), Vec::new());
    let (mut client, mut server) = (Wire::client(2), Wire::server());
    flows.event(&client.open(0), &mut out);
    flows.event(&server.open(0), &mut out);
    for round in 0..3 {
        exchange(&mut flows, &mut client, &mut server, 10 * round, &mut out);
    }
    flows.event(&server.close(90), &mut out);
    flows.event(&client.close(91), &mut out);
    assert_eq!(out.len(), 3);
    for exchange in &out {
        assert_eq!(exchange.connection.side, Side::Server);
        assert_eq!(exchange.connection.peer_process.as_deref(), Some(&process(2)));
    }
    assert_eq!((flows.stats().suppressed_exchanges, flows.connections()), (0, 0));
    // The first request was read before the server had told anything.
    assert_eq!(flows.stats().told_bytes, (2 * GET.len() + 3 * OK.len()) as u64);
}

#[test]
fn the_clients_story_is_dropped_also_when_the_server_closed_before_or_tells_late() {
    let (mut flows, mut out) = (flows(), Vec::new());
    let (mut client, mut server) = (Wire::client(2), Wire::server());
    flows.event(&client.open(0), &mut out);
    flows.event(&server.open(0), &mut out);
    flows.event(&client.data(1, true, GET), &mut out);
    flows.event(&client.data(4, false, OK), &mut out);
    flows.event(&client.close(5), &mut out);
    flows.event(&server.data(6, true, GET), &mut out);
    flows.event(&server.data(7, false, OK), &mut out);
    flows.tick(Timestamp(2_000 * MS), &mut out);
    assert_eq!(out.len(), 1);
    assert_eq!(out[0].connection.side, Side::Server);

    let (mut flows, mut out) = (super::kit::flows(), Vec::new());
    let (mut client, mut server) = (Wire::client(2), Wire::server());
    flows.event(&client.open(0), &mut out);
    flows.event(&server.open(0), &mut out);
    flows.event(&client.data(1, true, GET), &mut out);
    flows.event(&server.data(2, true, GET), &mut out);
    flows.event(&server.data(3, false, OK), &mut out);
    flows.event(&server.close(4), &mut out);
    flows.event(&client.data(5, false, OK), &mut out);
    flows.event(&client.close(6), &mut out);
    flows.finish(Timestamp(7), &mut out);
    assert_eq!(out.len(), 1);
}

#[test]
fn an_unreadable_server_leaves_the_story_to_the_client() {
    let (mut flows, mut out) = (flows(), Vec::new());
    let (mut client, mut server) = (Wire::client(2), Wire::server());
    flows.event(&client.open(0), &mut out);
    flows.event(&server.open(0), &mut out);
    flows.event(&client.data(1, true, GET), &mut out);
    flows.event(&server.operation(2, true, GET, 0), &mut out);
    flows.event(&server.operation(3, false, OK, 0), &mut out);
    flows.event(&client.data(4, false, OK), &mut out);
    assert!(out.is_empty());
    flows.tick(Timestamp(600 * MS), &mut out);
    assert_eq!(out.len(), 1);
    assert_eq!(out[0].connection.side, Side::Client);
    flows.event(&client.data(700 * MS, true, GET), &mut out);
    flows.event(&client.data(701 * MS, false, OK), &mut out);
    assert_eq!(out.len(), 2);
}

#[test]
fn a_client_of_another_host_tells_at_once() {
    let (mut flows, mut out) = (flows(), Vec::new());
    let mut client = Wire::client(2);
    flows.event(&client.open(0), &mut out);
    flows.event(&client.data(1, true, GET), &mut out);
    flows.event(&client.data(2, false, OK), &mut out);
    assert_eq!(out.len(), 1);
    assert_eq!(out[0].connection.side, Side::Client);
    assert_eq!(out[0].connection.server, address(1, 80));
}

#[test]
fn loopback_addresses_are_twins_within_one_namespace_only() {
    for (netns, expected) in [(1, 1), (2, 2)] {
        let (mut flows, mut out) = (flows(), Vec::new());
        let (mut client, mut server) = (Wire::client(2), Wire::server());
        let loopback = |port| Address::Ip(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        (client.local, client.remote) = (loopback(4_000), loopback(80));
        (server.local, server.remote) = (loopback(80), loopback(4_000));
        client.netns = netns;
        flows.event(&client.open(0), &mut out);
        flows.event(&server.open(0), &mut out);
        exchange(&mut flows, &mut client, &mut server, 1, &mut out);
        flows.finish(Timestamp(9), &mut out);
        assert_eq!(out.len(), expected, "netns {netns}");
    }
}

#[test]
fn unix_sockets_are_twins_by_id_known_on_either_side() {
    for (client_knows, client_first) in [(true, true), (true, false), (false, true), (false, false)] {
        let (mut flows, mut out) = (flows(), Vec::new());
        let (mut client, mut server) = (Wire::client(2), Wire::server());
        let path = |path: &str| Address::Unix(path.into());
        (client.local, client.remote) = (path(""), path("/run/s"));
        (server.local, server.remote) = (path("/run/s"), path(""));
        if client_knows {
            client.peer = Some(SocketId(1));
        } else {
            server.peer = Some(SocketId(2));
        }
        let mut opens = [client.open(0), server.open(0)];
        if !client_first {
            opens.reverse();
        }
        for open in &opens {
            flows.event(open, &mut out);
        }
        exchange(&mut flows, &mut client, &mut server, 1, &mut out);
        flows.finish(Timestamp(9), &mut out);
        assert_eq!(out.len(), 1);
        assert_eq!(out[0].connection.peer_process.as_deref(), Some(&process(2)));
    }
}

#[test]
fn a_later_connection_takes_the_place_of_one_with_the_same_addresses() {
    let (mut flows, mut out) = (flows(), Vec::new());
    let (mut client, mut server) = (Wire::client(2), Wire::server());
    flows.event(&client.open(0), &mut out);
    flows.event(&server.open(0), &mut out);
    exchange(&mut flows, &mut client, &mut server, 1, &mut out);
    // Neither end was seen to close.
    let (mut client, mut server) = (Wire::client(12), Wire::server());
    server.socket = SocketId(11);
    flows.event(&client.open(20), &mut out);
    flows.event(&server.open(20), &mut out);
    exchange(&mut flows, &mut client, &mut server, 21, &mut out);
    flows.finish(Timestamp(99), &mut out);
    assert_eq!(out.len(), 2);
    assert_eq!(out[1].connection.peer_process.as_deref(), Some(&process(12)));
}

#[test]
fn a_server_that_answers_before_its_client_is_seen_waits_for_the_name() {
    let (mut flows, mut out) = (flows(), Vec::new());
    let (mut client, mut server) = (Wire::client(2), Wire::server());
    let loopback = |port| Address::Ip(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
    (client.local, client.remote) = (loopback(4_000), loopback(80));
    (server.local, server.remote) = (loopback(80), loopback(4_000));
    flows.event(&server.open(0), &mut out);
    flows.event(&server.data(1, true, GET), &mut out);
    flows.event(&server.data(2, false, OK), &mut out);
    assert!(out.is_empty());
    flows.event(&client.open(3), &mut out);
    assert_eq!(out.len(), 1);
    exchange(&mut flows, &mut client, &mut server, 4, &mut out);
    let told: Vec<_> = out.iter().map(|exchange| exchange.number).collect();
    assert_eq!(told, [0, 1]);
    for exchange in &out {
        assert_eq!(exchange.connection.side, Side::Server);
        assert_eq!(exchange.connection.peer_process.as_deref(), Some(&process(2)));
    }
    assert_eq!(flows.stats().exchanges, 2);
}

#[test]
fn a_server_whose_client_never_shows_waits_once() {
    let (mut flows, mut out) = (flows(), Vec::new());
    let mut server = Wire::server();
    server.remote = server.local.clone();
    flows.event(&server.open(0), &mut out);
    flows.event(&server.data(1, true, GET), &mut out);
    flows.event(&server.data(2, false, OK), &mut out);
    assert!(out.is_empty());
    flows.tick(Timestamp(600 * MS), &mut out);
    assert_eq!(out.len(), 1);
    flows.event(&server.data(601 * MS, true, GET), &mut out);
    flows.event(&server.data(602 * MS, false, OK), &mut out);
    assert_eq!(out.len(), 2);
    assert_eq!(out[1].connection.peer_process, None);
}

#[test]
fn a_client_that_is_seen_between_request_and_response_is_named() {
    let (mut flows, mut out) = (flows(), Vec::new());
    let (client, mut server) = (Wire::client(2), Wire::server());
    flows.event(&server.open(0), &mut out);
    flows.event(&server.data(1, true, GET), &mut out);
    flows.event(&client.open(2), &mut out);
    flows.event(&server.data(3, false, OK), &mut out);
    assert_eq!(out.len(), 1);
    assert_eq!(out[0].connection.peer_process.as_deref(), Some(&process(2)));
}
