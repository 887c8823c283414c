//! One socket in several hands: descriptors copied, inherited and passed on.

use std::{
    io::{IoSlice, IoSliceMut},
    mem::MaybeUninit,
    net::{SocketAddr, TcpStream},
    os::fd::{AsFd as _, OwnedFd},
};

use anyhow::{Context as _, Result, ensure};
use apiarist::event::{Address, Direction, SocketId};
use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
        SendAncillaryMessage, SendFlags, Shutdown, SocketFlags, SocketType, sockopt,
    },
};

use super::{
    observer::Observer,
    pair::{Ids, Pair, Transport, cookie, receive, receive_all, send, send_all},
    story::{Story, carry, get, ok},
    sys,
};

pub(super) fn dup_and_dup2(observer: &mut Observer) -> Result<()> {
    let pair = Pair::connect(Transport::Tcp4)?;
    let client = rustix::io::dup(&pair.client)?;
    let mut server = rustix::io::dup(std::io::stdin())?;
    rustix::io::dup2(&pair.server, &mut server)?;
    let copy = Pair::of(client, server, true)?;
    ensure!(copy.ids.client == pair.ids.client, "another cookie after dup");
    let mut story = Story::default();
    let mut exchange = |pair: &Pair, number| -> Result<()> {
        for (direction, bytes) in [(Direction::Egress, get(number)), (Direction::Ingress, ok(100))] {
            carry(pair, direction, &bytes, send, receive)?;
            story.tell(direction, &bytes);
        }
        Ok(())
    };
    exchange(&pair, 0)?;
    exchange(&copy, 1)?;
    exchange(&pair, 2)?;
    pair.close();
    exchange(&copy, 3)?;
    story.verify(observer, copy.close())
}

/// Takes a request of `len` bytes and answers. Without allocation, for forked processes.
fn answer(socket: &OwnedFd, len: usize, response: &[u8]) -> bool {
    let mut room = [0; 1_024];
    let mut taken = 0;
    while taken < len {
        match rustix::net::recv(socket, &mut room, RecvFlags::empty()) {
            Ok((_, some)) if some > 0 => taken += some,
            _ => return false,
        }
    }
    rustix::net::send(socket, response, SendFlags::NOSIGNAL) == Ok(response.len())
}

/// Processes that sent on a socket, in order.
fn senders(observer: &Observer, id: SocketId) -> Result<Vec<u32>> {
    let chunks = &observer.socket(id)?.chunks;
    let sent = chunks
        .iter()
        .filter(|chunk| chunk.direction == Direction::Egress && !chunk.bytes.is_empty());
    Ok(sent.map(|chunk| chunk.pid).collect())
}

/// The parent answers, then a child that inherited the connection, then the parent again.
pub(super) fn fork(observer: &mut Observer) -> Result<()> {
    let pair = Pair::connect(Transport::Tcp4)?;
    let own = std::process::id();
    let mut pids = Vec::new();
    let mut story = Story::default();
    for number in 0..3 {
        let (request, response) = (get(number), ok(100 * number));
        if number == 1 {
            let child = sys::fork(|| answer(&pair.server, request.len(), &response))?;
            pids.push(child.pid());
            send_all(&pair.client, &request, send)?;
            child.succeed()?;
            ensure!(
                receive_all(&pair.client, response.len(), receive)? == response,
                "bytes"
            );
        } else {
            pids.push(own);
            carry(&pair, Direction::Egress, &request, send, receive)?;
            carry(&pair, Direction::Ingress, &response, send, receive)?;
        }
        story.tell(Direction::Egress, &request);
        story.tell(Direction::Ingress, &response);
    }
    let ids = pair.close();
    story.verify(observer, ids)?;
    let seen = senders(observer, ids.server)?;
    ensure!(seen == pids, "the senders were {pids:?}, seen were {seen:?}");
    Ok(())
}

/// A process gets a connection that it never inherited.
pub(super) fn scm_rights(observer: &mut Observer) -> Result<()> {
    let channel = Pair::connect(Transport::UnixPair)?;
    let (request, response) = (get(7), ok(200));
    let child = sys::fork(|| {
        let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut room);
        let mut byte = [0];
        let buffers = &mut [IoSliceMut::new(&mut byte)];
        if rustix::net::recvmsg(&channel.server, buffers, &mut control, RecvFlags::CMSG_CLOEXEC).is_err() {
            return false;
        }
        control.drain().any(|message| match message {
            RecvAncillaryMessage::ScmRights(mut sockets) => sockets
                .next()
                .is_some_and(|socket| answer(&socket, request.len(), &response)),
            _ => false,
        })
    })?;
    let pair = Pair::connect(Transport::Tcp4)?;
    let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut room);
    let passed = [pair.server.as_fd()];
    ensure!(
        control.push(SendAncillaryMessage::ScmRights(&passed)),
        "no room for a descriptor"
    );
    rustix::net::sendmsg(
        &channel.client,
        &[IoSlice::new(b"x")],
        &mut control,
        SendFlags::NOSIGNAL,
    )?;
    let Pair { client, server, ids } = pair;
    drop(server);
    send_all(&client, &request, send)?;
    ensure!(
        receive_all(&client, response.len(), receive)? == response,
        "bytes"
    );
    let pid = child.pid();
    child.succeed()?;
    drop(client);
    let mut story = Story::default();
    story.tell(Direction::Egress, &request);
    story.tell(Direction::Ingress, &response);
    story.verify(observer, ids)?;
    let open = observer.socket(ids.server)?.open()?;
    ensure!(
        open.process.pid == pid,
        "the server is {:?}, not {pid}",
        open.process
    );
    Ok(())
}

/// A listener that shares its port with others.
fn shared_listener(address: SocketAddr) -> Result<OwnedFd> {
    let listener = rustix::net::socket_with(
        AddressFamily::INET,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    sockopt::set_socket_reuseport(&listener, true)?;
    rustix::net::bind(&listener, &address)?;
    rustix::net::listen(&listener, 64)?;
    Ok(listener)
}

/// Two processes accept on one port: each connection belongs to the one that got it.
pub(super) fn reuseport(observer: &mut Observer) -> Result<()> {
    const CONNECTIONS: usize = 24;
    let first = shared_listener(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let address = SocketAddr::try_from(rustix::net::getsockname(&first)?)?;
    let listeners = [first, shared_listener(address)?];
    let (request, response) = (get(1), ok(50));
    let work = |listener: &OwnedFd| loop {
        match rustix::net::accept(listener) {
            Ok(socket) if !answer(&socket, request.len(), &response) => return false,
            Ok(_) | Err(Errno::INTR) => {}
            // The listener was shut down.
            Err(error) => return error == Errno::INVAL,
        }
    };
    let workers = [
        sys::fork(|| work(&listeners[0]))?,
        sys::fork(|| work(&listeners[1]))?,
    ];
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        let client = TcpStream::connect(address)?;
        let port = client.local_addr()?.port();
        let client = OwnedFd::from(client);
        connections.push((cookie(&client)?, port));
        send_all(&client, &request, send)?;
        ensure!(
            receive_all(&client, response.len(), receive)? == response,
            "bytes"
        );
    }
    for listener in &listeners {
        rustix::net::shutdown(listener, Shutdown::Both)?;
    }
    let pids = [workers[0].pid(), workers[1].pid()];
    workers.into_iter().try_for_each(sys::Child::succeed)?;
    let mut story = Story::default();
    story.tell(Direction::Egress, &request);
    story.tell(Direction::Ingress, &response);
    observer.drain()?;
    let mut served = [0; 2];
    for (client, port) in connections {
        let ends = [
            Address::Ip(address.ip(), address.port()),
            Address::Ip(address.ip(), port),
        ];
        let (&server, log) = observer
            .log()
            .iter()
            .find(|(_, log)| {
                log.opens
                    .iter()
                    .any(|open| open.local == ends[0] && open.remote == ends[1])
            })
            .with_context(|| format!("the server of port {port} was not seen"))?;
        let pid = log.open()?.process.pid;
        let worker = pids.iter().position(|known| *known == pid);
        served[worker.with_context(|| format!("process {pid} is none of {pids:?}"))?] += 1;
        let ids = Ids {
            client,
            server,
            closes: true,
        };
        story.verify(observer, ids)?;
    }
    ensure!(
        served.iter().all(|count| *count > 0),
        "the workers got {served:?}"
    );
    Ok(())
}
