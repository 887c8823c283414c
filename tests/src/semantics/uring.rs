//! io_uring: the buffer is not in the registers of a system call.

use std::os::fd::AsRawFd as _;

use anyhow::{Context as _, Result, ensure};
use apiarist::event::Direction;
use apiarist_common::counter::Counter;
use io_uring::{IoUring, opcode, squeue, types};

use super::{
    observer::Observer,
    pair::{Pair, Transport, receive, receive_all, send, send_all},
    skip,
    story::{Story, get, ok, reconcile},
};

/// Submits one operation and waits for its result.
fn perform(ring: &mut IoUring, operation: &squeue::Entry) -> Result<usize> {
    // SAFETY: the caller keeps the operation's buffer until this returns, when it has completed.
    unsafe { ring.submission().push(operation)? };
    ring.submit_and_wait(1)?;
    let completed = ring.completion().next().context("nothing completed")?;
    usize::try_from(completed.result())
        .map_err(|_| std::io::Error::from_raw_os_error(-completed.result()).into())
}

/// A server that receives and sends through io_uring: either its bytes are read right, or they are counted.
pub(super) fn io_uring_echo(observer: &mut Observer) -> Result<()> {
    let mut ring = IoUring::new(8).map_err(|error| skip(format!("no io_uring here: {error}")))?;
    let counters = [Counter::IoUringOperations, Counter::IoUringBytes];
    let before = counters.map(|counter| observer.counter(counter));
    let pair = Pair::connect(Transport::Tcp4)?;
    let socket = types::Fd(pair.server.as_raw_fd());
    let mut story = Story::default();
    let mut told: [Vec<u8>; 2] = Default::default();
    for number in 0..10 {
        let (request, response) = (get(number), ok(100 * number));
        send_all(&pair.client, &request, send)?;
        let mut room = vec![0; 1_024];
        let entry = opcode::Recv::new(socket, room.as_mut_ptr(), room.len() as u32).build();
        let taken = perform(&mut ring, &entry)?;
        ensure!(room[..taken] == request, "other bytes arrived than were sent");
        let entry = opcode::Send::new(socket, response.as_ptr(), response.len() as u32).build();
        ensure!(perform(&mut ring, &entry)? == response.len(), "short");
        ensure!(
            receive_all(&pair.client, response.len(), receive)? == response,
            "bytes"
        );
        story.tell(Direction::Egress, &request);
        story.tell(Direction::Ingress, &response);
        told[Direction::Egress.index()].extend(response);
        told[Direction::Ingress.index()].extend(request);
    }
    let ids = pair.close();
    story
        .compare_client(observer, ids)
        .context("at the client, which uses ordinary calls")?;
    let counted = [0, 1].map(|index| observer.counter(counters[index]) - before[index]);
    let all = told[0].len() + told[1].len();
    let Ok(server) = observer.socket(ids.server) else {
        ensure!(
            counted[0] >= 20 && counted[1] >= all as u64,
            "{counted:?} operations and bytes were counted, there were 20 and {all}"
        );
        return Ok(());
    };
    let mut missing = 0;
    for direction in [Direction::Egress, Direction::Ingress] {
        let stream = server.stream(direction)?;
        let told = &told[direction.index()][stream.start as usize..];
        stream
            .parts
            .agree_with(told)
            .with_context(|| format!("{direction:?}"))?;
        missing += stream.start + stream.parts.missing();
    }
    reconcile(server.close()?)?;
    ensure!(
        counted[1] >= missing,
        "{missing} bytes were not read, {} were counted",
        counted[1]
    );
    Ok(())
}
