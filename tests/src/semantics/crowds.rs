//! Many connections at the same time.

use std::{
    collections::HashMap,
    net::{SocketAddr, TcpListener},
    os::fd::OwnedFd,
};

use anyhow::{Context as _, Result, ensure};
use apiarist::event::{Address, Direction, SocketId};
use rustix::{
    net::{AddressFamily, RecvFlags, SendFlags, SocketType},
    process::{Resource, Rlimit, getrlimit, setrlimit},
};

use super::{
    churn::{losses, lost},
    observer::Observer,
    pair::{Ids, cookie, receive, receive_all, send, send_all},
    skip,
    story::{Story, get, ok},
    sys,
};

/// Connections at the same time.
const CROWD: usize = 10_000;

/// Requests that await their answers at the same time: fewer than a listener queues.
const TOGETHER: usize = 100;

/// Connections made before the next look at the ring.
const BATCH: usize = 250;

/// Descriptors besides the connections.
const SPARE_DESCRIPTORS: u64 = 200;

/// Lets this process and its children open so many connections.
fn raise_descriptors(connections: usize) -> Result<()> {
    let wanted = connections as u64 + SPARE_DESCRIPTORS;
    let present = getrlimit(Resource::Nofile);
    if present.current.is_none_or(|limit| limit >= wanted) {
        return Ok(());
    }
    let limit = Rlimit {
        current: Some(wanted),
        maximum: present.maximum.map(|maximum| maximum.max(wanted)),
    };
    setrlimit(Resource::Nofile, limit).map_err(|error| skip(format!("cannot open {wanted} files: {error}")))
}

/// Exchanges of one client, the second when all clients are connected. Without allocation, for a forked process.
fn be_the_crowd(address: SocketAddr, requests: &[Vec<u8>], response: &[u8]) -> bool {
    const NONE: Option<OwnedFd> = None;
    let mut sockets = [NONE; CROWD];
    let mut room = [0; 1_024];
    // Answers are awaited by the hundred, not one by one: each wait changes the process, which costs a guest milliseconds.
    let mut exchange = |sockets: &[Option<OwnedFd>], requests: &[Vec<u8>]| {
        let sockets = || sockets.iter().flatten();
        let sent = sockets().zip(requests).all(|(socket, request)| {
            rustix::net::send(socket, request, SendFlags::NOSIGNAL) == Ok(request.len())
        });
        sent && sockets().all(|socket| {
            rustix::net::recv(socket, &mut room, RecvFlags::empty())
                .is_ok_and(|(_, len)| len == response.len())
        })
    };
    for (sockets, requests) in sockets.chunks_mut(TOGETHER).zip(requests.chunks(TOGETHER)) {
        for socket in sockets.iter_mut() {
            let Ok(made) = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None) else {
                return false;
            };
            if rustix::net::connect(&made, &address).is_err() {
                return false;
            }
            *socket = Some(made);
        }
        if !exchange(sockets, requests) {
            return false;
        }
    }
    let batches = sockets.chunks(TOGETHER).zip(requests.chunks(TOGETHER));
    batches
        .into_iter()
        .all(|(sockets, requests)| exchange(sockets, requests))
}

/// All clients live in another process: one alone may not open so many files.
pub(super) fn connections_10_000(observer: &mut Observer) -> Result<()> {
    raise_descriptors(CROWD)?;
    let lost_before = lost(observer);
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    // All of the same length.
    let requests: Vec<_> = (CROWD..2 * CROWD).map(get).collect();
    let response = ok(64);
    let child = sys::fork(|| be_the_crowd(address, &requests, &response))?;
    let mut servers = Vec::new();
    let serve = |server: &OwnedFd, len: usize| -> Result<Vec<u8>> {
        let request = receive_all(server, len, receive)?;
        send_all(server, &response, send)?;
        Ok(request)
    };
    for (number, request) in requests.iter().enumerate() {
        let (server, client) = listener.accept()?;
        let server = OwnedFd::from(server);
        // Asked before the first byte: kernels before 5.12 tell the programs only cookies that exist already.
        let id = cookie(&server)?;
        let request = serve(&server, request.len())?;
        servers.push((request, server, id, client.port()));
        if number % BATCH == 0 {
            observer.drain()?;
        }
    }
    // Where processors are busy, connections may be accepted in another order than they were made in.
    servers.sort_unstable_by(|(one, ..), (other, ..)| one.cmp(other));
    for (number, ((first, server, ..), request)) in servers.iter().zip(&requests).enumerate() {
        let second = serve(server, request.len())?;
        ensure!([first, &second] == [request; 2], "bytes");
        // The client's last segment is acknowledged at once, so its socket ends within its own call: not 40 ms later over
        // whoever runs then. One kernel (6.18, of a virtual machine) runs no program while process 1 is interrupted, and
        // counts none as left out.
        rustix::net::sockopt::set_tcp_quickack(server, true)?;
        if number % BATCH == 0 {
            observer.drain()?;
        }
    }
    let pid = child.pid();
    child.succeed()?;
    let mut ended = Vec::new();
    for (number, (_, server, id, port)) in servers.into_iter().enumerate() {
        ended.push((id, port));
        drop(server);
        if number % BATCH == 0 {
            observer.drain()?;
        }
    }
    let clients: HashMap<Address, SocketId> = observer
        .log()
        .values()
        .flat_map(|log| &log.opens)
        .filter(|open| open.process.pid == pid)
        .map(|open| (open.local.clone(), open.socket))
        .collect();
    for ((server, port), request) in ended.into_iter().zip(&requests) {
        let client = clients.get(&Address::Ip(address.ip(), port));
        let ids = Ids {
            client: *client.with_context(|| format!("the client of port {port} was not seen"))?,
            server,
            closes: true,
        };
        let mut story = Story::default();
        for _ in 0..2 {
            story.tell(Direction::Egress, request);
            story.tell(Direction::Ingress, &response);
        }
        story
            .verify_events(observer, ids)
            .with_context(|| losses(observer, lost_before))?;
    }
    Ok(())
}
