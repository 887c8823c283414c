//! Bytes that never were in a buffer of the process.

use std::{
    io::Write as _,
    os::fd::{AsFd, OwnedFd},
};

use anyhow::{Context as _, Result, ensure};
use apiarist::event::Direction;
use apiarist_common::counter::Counter;
use rustix::{
    fs::MemfdFlags,
    pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice},
};

use super::{
    observer::Observer,
    pair::{Pair, Transport, receive, receive_all, receive_whole, send, send_all},
    story::{
        Story, body, carry, differences, gap, get, ok, ok_head, post, post_head, sequence, whole,
        within_budget,
    },
    sys,
};

/// Longer than a budget.
const BODY: usize = 60_000;

fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
    fcntl_setpipe_size(&write, 1 << 18)?;
    Ok((read, write))
}

fn splice_all(from: impl AsFd, to: impl AsFd, len: usize) -> Result<()> {
    let mut moved = 0;
    while moved < len {
        let some =
            splice(&from, None, &to, None, len - moved, SpliceFlags::empty()).context("cannot splice")?;
        ensure!(some > 0, "the splice ended after {moved} of {len} bytes");
        moved += some;
    }
    Ok(())
}

/// Two responses whose bodies `send_body` sends without a buffer: the head is captured, the body is a gap.
fn bodies_without_buffer(
    observer: &mut Observer,
    send_body: fn(&OwnedFd, &[u8]) -> Result<()>,
) -> Result<()> {
    let pair = Pair::connect(Transport::Tcp4)?;
    let before = observer.counter(Counter::BufferlessBytes);
    let mut story = Story::default();
    // Lives until it was received: what vmsplice moved are the very pages.
    let body = body(BODY);
    for number in 0..2 {
        carry(&pair, Direction::Egress, &get(number), send, receive)?;
        story.tell(Direction::Egress, &get(number));
        let response = ok(BODY);
        let head = ok_head(BODY);
        send_all(&pair.server, &head, send)?;
        send_body(&pair.server, &body)?;
        let arrived = receive_all(&pair.client, response.len(), receive_whole)?;
        ensure!(arrived == response, "other bytes arrived than were sent");
        let sent = sequence(&[whole(&head), gap(BODY)]);
        // Seen by index of the direction in each end's view: the server's egress, the client's ingress.
        story.tell_as(Direction::Ingress, sent, within_budget(&response));
    }
    story.verify(observer, pair.close())?;
    let counted = observer.counter(Counter::BufferlessBytes) - before;
    ensure!(
        counted >= 2 * BODY as u64,
        "{counted} bytes without a buffer were counted"
    );
    Ok(())
}

pub(super) fn sendfile(observer: &mut Observer) -> Result<()> {
    bodies_without_buffer(observer, |socket, body| {
        let mut file = std::fs::File::from(rustix::fs::memfd_create("body", MemfdFlags::CLOEXEC)?);
        file.write_all(body)?;
        let mut offset = 0;
        while (offset as usize) < body.len() {
            let left = body.len() - offset as usize;
            rustix::fs::sendfile(socket, &file, Some(&mut offset), left)?;
        }
        Ok(())
    })
}

pub(super) fn splice_to_socket(observer: &mut Observer) -> Result<()> {
    bodies_without_buffer(observer, |socket, body| {
        let (read, write) = pipe()?;
        ensure!(
            rustix::io::write(&write, body)? == body.len(),
            "the pipe is too small"
        );
        splice_all(read, socket, body.len())
    })
}

pub(super) fn vmsplice_to_socket(observer: &mut Observer) -> Result<()> {
    bodies_without_buffer(observer, |socket, body| {
        let (read, write) = pipe()?;
        ensure!(
            sys::vmsplice(&write, body)? == body.len(),
            "the pipe is too small"
        );
        splice_all(read, socket, body.len())
    })
}

/// `splice` from a TCP socket passes no hook of tier 1: its length shows in the position of the next operation, or in the
/// comparison at the end.
pub(super) fn splice_from_socket(observer: &mut Observer) -> Result<()> {
    let pair = Pair::connect(Transport::Tcp4)?;
    let mut client = Story::default();
    for number in 0..2 {
        send_all(&pair.client, &post(number, BODY), send)?;
        client.tell(Direction::Egress, &post(number, BODY));
        receive_all(&pair.server, post_head(number, BODY).len(), receive)?;
        let (read, write) = pipe()?;
        splice_all(&pair.server, &write, BODY)?;
        ensure!(
            receive_all(&read, BODY, |pipe, bytes| Ok(rustix::io::read(pipe, bytes)?))? == body(BODY),
            "bytes"
        );
        carry(&pair, Direction::Ingress, &ok(10), send, receive)?;
        client.tell(Direction::Ingress, &ok(10));
    }
    let ids = pair.close();
    observer.collect_until("the end of both sockets", |log| {
        [ids.client, ids.server]
            .iter()
            .all(|id| log.get(id).is_some_and(|log| !log.closes.is_empty()))
    })?;
    client.compare(observer, ids.client, Direction::Egress)?;
    let server = observer.socket(ids.server)?;
    let stream = server.stream(Direction::Ingress)?;
    let [_, missing] = differences(server.close()?)?;
    let told = stream.parts.missing();
    let spliced = 2 * BODY as u64;
    ensure!(
        told + missing.unsigned_abs() as u64 == spliced,
        "of {spliced} spliced bytes {told} are gaps and {missing} differ at the end"
    );
    let wanted = sequence(&[
        whole(&post_head(0, BODY)),
        gap(BODY),
        whole(&post_head(1, BODY)),
        gap(told as usize - BODY),
    ]);
    stream.parts.equal(&wanted)?;
    Ok(())
}
