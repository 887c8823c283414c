//! Kinds of sockets: which are watched, which are not, and by what address they are known.

use std::{
    net::{TcpListener, UdpSocket},
    os::fd::OwnedFd,
};

use anyhow::{Result, ensure};
use apiarist::event::{Address, Direction, SocketId};
use apiarist_common::{counter::Counter, limits::TLS_ANSWER_BYTES};

use super::{
    observer::Observer,
    pair::{
        Ids, Pair, Transport, abstract_name, cookie, receive, receive_all, send, send_all, unix_path, v6,
    },
    story::{converse, get, ok},
};

/// Three exchanges, then the addresses by which the server is known at both ends.
fn known_as(observer: &mut Observer, transport: Transport, address: &str) -> Result<()> {
    let pair = Pair::connect(transport)?;
    let ids = pair.ids;
    converse(observer, pair, send, receive)?;
    let [server, client] = addresses(observer, ids)?;
    for (end, known) in [("server", server), ("client", client)] {
        ensure!(
            known.to_string().contains(address),
            "the {end} knows the server as {known}, not as {address}"
        );
    }
    Ok(())
}

/// The server's address as the server's socket and as the client's has it.
fn addresses(observer: &Observer, ids: Ids) -> Result<[Address; 2]> {
    let server = observer.socket(ids.server)?.open()?;
    let client = observer.socket(ids.client)?.open()?;
    ensure!(
        server.process.pid == std::process::id(),
        "the process is {:?}",
        server.process
    );
    ensure!(!server.joined_late && !client.joined_late, "joined late");
    Ok([server.local.clone(), client.remote.clone()])
}

pub(super) fn ipv4(observer: &mut Observer) -> Result<()> {
    known_as(observer, Transport::Tcp4, "127.0.0.1:")
}

pub(super) fn ipv6(observer: &mut Observer) -> Result<()> {
    known_as(observer, Transport::Tcp6, "[::1]:")
}

pub(super) fn v4_mapped(observer: &mut Observer) -> Result<()> {
    known_as(observer, Transport::Mapped, "127.0.0.1:")
}

pub(super) fn unix_stream(observer: &mut Observer) -> Result<()> {
    let path = unix_path();
    known_as(observer, Transport::UnixPath, &format!("unix:{}", path.display()))
}

pub(super) fn unix_abstract(observer: &mut Observer) -> Result<()> {
    known_as(
        observer,
        Transport::UnixAbstract,
        &format!("unix:@{}", abstract_name()),
    )
}

pub(super) fn socketpair(observer: &mut Observer) -> Result<()> {
    known_as(observer, Transport::UnixPair, "unix:")
}

pub(super) fn seqpacket(observer: &mut Observer) -> Result<()> {
    converse(observer, Pair::connect(Transport::UnixSeqPacket)?, send, receive)
}

/// The same port of IPv4 and IPv6 are two servers.
pub(super) fn one_port_two_families(observer: &mut Observer) -> Result<()> {
    let four = TcpListener::bind("127.0.0.1:0")?;
    let address = four.local_addr()?;
    let six = TcpListener::bind(v6(address.port()))?;
    for (listener, address) in [(&four, address), (&six, v6(address.port()))] {
        let pair = Pair::tcp(listener, None)?;
        let ids = pair.ids;
        converse(observer, pair, send, receive)?;
        let [server, client] = addresses(observer, ids)?;
        ensure!(
            server == client && server.to_string() == address.to_string(),
            "{server} {client}"
        );
    }
    Ok(())
}

/// Moves messages until a socket must be muted, and beyond.
fn chat(question: &[u8], answer: &[u8]) -> Result<Ids> {
    let pair = Pair::connect(Transport::Tcp4)?;
    for _ in 0..20 {
        send_all(&pair.client, question, send)?;
        receive_all(&pair.server, question.len(), receive)?;
        send_all(&pair.server, answer, send)?;
        receive_all(&pair.client, answer.len(), receive)?;
    }
    Ok(pair.close())
}

/// Nothing is told of sockets that speak something else, and after a few operations nothing is looked at.
pub(super) fn other_protocols(observer: &mut Observer) -> Result<()> {
    const REDIS: [&[u8]; 2] = [b"*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n", b"$5\r\nvalue\r\n"];
    const RANDOM: [&[u8]; 2] = [
        b"\x8f\x02\xc1\xff\x00\x91GET / HTTP/1.1\r\n\r\n",
        b"\x01\x02\x03\xf0",
    ];
    const POSTGRESQL: [&[u8]; 2] = [b"\0\0\0\x17\0\x03\0\0user\0semantics\0\0", b"R\0\0\0\x08\0\0\0\0"];
    const SMTP: [&[u8]; 2] = [b"EHLO client.test\r\n", b"250 server.test\r\n"];
    for [question, answer] in [REDIS, RANDOM, POSTGRESQL, SMTP] {
        let muted = observer.counter(Counter::MutedSockets);
        let ignored = observer.counter(Counter::MutedOperations);
        let ids = chat(question, answer)?;
        observer.drain()?;
        for id in [ids.client, ids.server] {
            ensure!(
                !observer.log().contains_key(&id),
                "something was told of {:?}: {:?}",
                String::from_utf8_lossy(question),
                observer.socket(id)
            );
        }
        let muted = observer.counter(Counter::MutedSockets) - muted;
        let ignored = observer.counter(Counter::MutedOperations) - ignored;
        ensure!(
            muted >= 2 && ignored >= 60,
            "{muted} sockets were muted, {ignored} of 80 operations ignored"
        );
    }
    Ok(())
}

/// The first message of a TLS connection and the beginning of the answer are captured; ciphertext is not.
pub(super) fn tls(observer: &mut Observer) -> Result<()> {
    let mut client_hello = vec![22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];
    client_hello.resize(517, 0x5a);
    // The answer, with the certificate behind it in the same operation.
    let server_hello = [&[22, 3, 3, 0, 100, 2][..], &[7; 1_500]].concat();
    let before = observer.counter(Counter::TlsSockets);
    let ids = chat(&client_hello, &server_hello)?;
    observer.collect_until("the end of both sockets", |log| {
        [ids.client, ids.server]
            .iter()
            .all(|id| log.get(id).is_some_and(|log| log.closes.len() == 1))
    })?;
    let answer = server_hello.get(..TLS_ANSWER_BYTES as usize).unwrap_or_default();
    for (id, direction) in [(ids.client, Direction::Egress), (ids.server, Direction::Ingress)] {
        let log = observer.socket(id)?;
        let [hello, first] = log.chunks.as_slice() else {
            anyhow::bail!("{} events, should be two", log.chunks.len());
        };
        ensure!(
            hello.direction == direction && hello.bytes == client_hello,
            "{direction:?}: {hello:?}"
        );
        ensure!(
            first.direction != direction && first.bytes == answer,
            "the answer to {direction:?}: {first:?}"
        );
        // Before its end, as often as the bytes have doubled, and never less than half of them.
        let all = 20 * (client_hello.len() + server_hello.len()) as u64;
        let told: Vec<u64> = log.counts.iter().map(|count| count.bytes.iter().sum()).collect();
        ensure!(
            told.len() == 2
                && told.is_sorted()
                && told.last().is_some_and(|last| (all / 2..=all).contains(last)),
            "told of {all} bytes: {told:?}"
        );
        ensure!(
            log.close()?
                .kernel_bytes
                .is_none_or(|[sent, received]| sent + received >= client_hello.len() as u64),
            "the socket's counts do not tell what was not followed"
        );
    }
    let muted = observer.counter(Counter::TlsSockets) - before;
    ensure!(muted >= 2, "{muted} TLS sockets were counted");
    Ok(())
}

/// Datagrams are none of our business.
pub(super) fn udp(observer: &mut Observer) -> Result<()> {
    let server = UdpSocket::bind("127.0.0.1:0")?;
    let client = UdpSocket::bind("127.0.0.1:0")?;
    client.connect(server.local_addr()?)?;
    server.connect(client.local_addr()?)?;
    let ids: [SocketId; 2] = [cookie(&client)?, cookie(&server)?];
    let sockets: [OwnedFd; 2] = [client.into(), server.into()];
    for number in 0..10 {
        for ([from, to], bytes) in [([0, 1], get(number)), ([1, 0], ok(10))] {
            send(&sockets[from], &bytes)?;
            receive(&sockets[to], &mut [0; 1_500])?;
        }
    }
    observer.drain()?;
    for id in ids {
        ensure!(!observer.log().contains_key(&id), "a datagram socket was told of");
    }
    Ok(())
}
