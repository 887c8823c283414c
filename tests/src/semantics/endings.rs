//! How connections end, and how they were before anyone looked.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use apiarist::event::Direction;
use apiarist_common::counter::Counter;
use rustix::{
    io::Errno,
    net::{RecvFlags, Shutdown, sockopt},
};

use super::{
    observer::Observer,
    pair::{Pair, Transport, receive, receive_all, send, send_all},
    skip,
    story::{Story, carry, get, ok, ok_head, reconcile},
    sys,
};

/// The client stops sending, the server reads to the end and answers without a length, then closes.
pub(super) fn half_close(observer: &mut Observer) -> Result<()> {
    let request = get(1);
    let response = b"HTTP/1.0 200 OK\r\n\r\nuntil the end";
    let pair = Pair::connect(Transport::Tcp4)?;
    carry(&pair, Direction::Egress, &request, send, receive)?;
    rustix::net::shutdown(&pair.client, Shutdown::Write)?;
    ensure!(
        receive(&pair.server, &mut [0; 10])? == 0,
        "the stream did not end"
    );
    send_all(&pair.server, response, send)?;
    let Pair { client, server, ids } = pair;
    drop(server);
    ensure!(
        receive_all(&client, response.len(), receive)? == response,
        "bytes"
    );
    ensure!(receive(&client, &mut [0; 10])? == 0, "the stream did not end");
    drop(client);
    let mut story = Story::default();
    story.tell(Direction::Egress, &request);
    story.tell(Direction::Ingress, response);
    story.verify(observer, ids)?;
    for (id, sends, receives) in [
        (ids.client, request.len(), response.len()),
        (ids.server, response.len(), request.len()),
    ] {
        for (direction, len) in [(Direction::Egress, sends), (Direction::Ingress, receives)] {
            let stream = observer.socket(id)?.stream(direction)?;
            ensure!(
                stream.eof == Some(len as u64),
                "{direction:?} of {len} bytes ends at {:?}",
                stream.eof
            );
        }
    }
    Ok(())
}

/// The server breaks off within a response.
pub(super) fn reset(observer: &mut Observer) -> Result<()> {
    let pair = Pair::connect(Transport::Tcp4)?;
    let partial = [ok_head(1_000), b"a part".to_vec()].concat();
    carry(&pair, Direction::Egress, &get(1), send, receive)?;
    carry(&pair, Direction::Ingress, &partial, send, receive)?;
    sockopt::set_socket_linger(&pair.server, Some(Duration::ZERO))?;
    let Pair { client, server, ids } = pair;
    drop(server);
    let outcome = rustix::net::recv(&client, &mut [0; 10], RecvFlags::empty());
    ensure!(outcome == Err(Errno::CONNRESET), "no reset: {outcome:?}");
    drop(client);
    let mut story = Story::default();
    story.tell(Direction::Egress, &get(1));
    story.tell(Direction::Ingress, &partial);
    story.wait(observer, ids)?;
    story.compare(observer, ids.client, Direction::Egress)?;
    story.compare(observer, ids.server, Direction::Ingress)?;
    reconcile(observer.socket(ids.client)?.close()?)?;
    let server = observer.socket(ids.server)?;
    ensure!(
        server.stream(Direction::Egress)?.eof.is_none(),
        "a reset was told as an orderly end"
    );
    // Who resets a connection forgets what it counted.
    ensure!(
        server.close()?.kernel_bytes.is_none(),
        "counts after a reset: {:?}",
        server.close()?
    );
    Ok(())
}

/// A connection older than the programs is joined where it is.
pub(super) fn joined_late(_: &mut Observer) -> Result<()> {
    let pair = Pair::connect(Transport::Tcp4)?;
    let (mut sent, mut received) = (0, 0);
    for number in 0..5 {
        carry(&pair, Direction::Egress, &get(number), send, receive)?;
        carry(&pair, Direction::Ingress, &ok(20_000), send, receive)?;
        sent += get(number).len() as u64;
        received += ok(20_000).len() as u64;
    }
    let mut observer = Observer::attach()?;
    let mut story = Story::default();
    for (direction, bytes) in [(Direction::Egress, get(9)), (Direction::Ingress, ok(90))] {
        carry(&pair, direction, &bytes, send, receive)?;
        story.tell(direction, &bytes);
    }
    let ids = pair.close();
    story.wait(&mut observer, ids)?;
    for (id, positions, messages) in [
        (ids.client, [sent, received], [get(9), ok(90)]),
        (ids.server, [received, sent], [ok(90), get(9)]),
    ] {
        let log = observer.socket(id)?;
        let open = log.open()?;
        ensure!(open.joined_late, "not marked as joined late");
        ensure!(
            open.positions == positions,
            "joined at {:?}, should be at {positions:?}",
            open.positions
        );
        for (direction, bytes) in [Direction::Egress, Direction::Ingress].into_iter().zip(&messages) {
            let stream = log.stream(direction)?;
            ensure!(
                stream.parts.missing() == 0,
                "{direction:?} has gaps: {:?}",
                stream.parts
            );
            stream.parts.agree_with(bytes)?;
        }
        reconcile(log.close()?)?;
    }
    Ok(())
}

/// Unix sockets count nothing: that they are older than the programs is known from who had them open.
pub(super) fn joined_late_unix(_: &mut Observer) -> Result<()> {
    let pair = Pair::connect(Transport::UnixPair)?;
    carry(&pair, Direction::Egress, &get(1), send, receive)?;
    carry(&pair, Direction::Ingress, &ok(500), send, receive)?;
    let mut observer = Observer::attach()?;
    let fresh = Pair::connect(Transport::UnixPair)?;
    for pair in [&pair, &fresh] {
        carry(pair, Direction::Egress, &get(2), send, receive)?;
        carry(pair, Direction::Ingress, &ok(90), send, receive)?;
    }
    observer.drain()?;
    for (pair, late) in [(&pair, true), (&fresh, false)] {
        for id in [pair.ids.client, pair.ids.server] {
            let open = observer.socket(id)?.open()?;
            ensure!(
                open.joined_late == late,
                "of a socket that is {}, told was the contrary",
                if late { "older" } else { "new" }
            );
        }
    }
    Ok(())
}

/// A 32-bit program's system calls have other numbers: its bytes are counted, never misread.
pub(super) fn compat_task(observer: &mut Observer) -> Result<()> {
    let pair = Pair::connect(Transport::Tcp4)?;
    let before = observer.counter(Counter::CompatOperations);
    let (request, response) = (get(1), ok(10));
    let child = sys::fork(|| {
        sys::write_compat(&pair.client, &request).is_none_or(|sent| sent == request.len() as i32)
    })?;
    if let Some(signal) = child.ended_by_signal()? {
        return Err(skip(format!(
            "this kernel runs no 32-bit system calls (signal {signal})"
        )));
    }
    if rustix::net::recv(&pair.server, &mut [0; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT).is_err() {
        return Err(skip("this machine has no 32-bit system calls"));
    }
    ensure!(
        receive_all(&pair.server, request.len(), receive)? == request,
        "bytes"
    );
    carry(&pair, Direction::Ingress, &response, send, receive)?;
    let ids = pair.close();
    let mut story = Story::default();
    story.tell(Direction::Egress, &request);
    story.tell(Direction::Ingress, &response);
    story.wait(observer, ids)?;
    story
        .compare(observer, ids.server, Direction::Ingress)
        .context("at the server, which is an ordinary program")?;
    let client = observer.socket(ids.client)?;
    let stream = client.stream(Direction::Egress)?;
    ensure!(
        stream.parts.captured() == 0 && stream.end() == request.len() as u64,
        "the 32-bit program's request is {:?} from {}",
        stream.parts,
        stream.start
    );
    reconcile(client.close()?)?;
    let counted = observer.counter(Counter::CompatOperations) - before;
    ensure!(counted >= 1, "no operation of a 32-bit program was counted");
    Ok(())
}
