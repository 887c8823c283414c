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

/// How a server asks io_uring to receive and to send.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    /// As `recv` and `send`.
    Socket,
    /// As `read` and `write`.
    File,
    /// As `recvmsg` and `sendmsg`.
    Message,
    /// Into and from memory that was registered.
    Registered,
}

/// The operation on `buffer`, to which `message` refers.
fn operation(
    way: Way,
    socket: types::Fd,
    buffer: &mut [u8],
    message: &mut libc::msghdr,
    receives: bool,
) -> squeue::Entry {
    let (at, len) = (buffer.as_mut_ptr(), buffer.len() as u32);
    match (way, receives) {
        (Way::Socket, true) => opcode::Recv::new(socket, at, len).build(),
        (Way::Socket, false) => opcode::Send::new(socket, at, len).build(),
        (Way::File, true) => opcode::Read::new(socket, at, len).build(),
        (Way::File, false) => opcode::Write::new(socket, at, len).build(),
        (Way::Message, true) => opcode::RecvMsg::new(socket, message).build(),
        (Way::Message, false) => opcode::SendMsg::new(socket, message).build(),
        (Way::Registered, true) => opcode::ReadFixed::new(socket, at, len, 0).build(),
        (Way::Registered, false) => opcode::WriteFixed::new(socket, at, len, 0).build(),
    }
}

/// Receives into, or sends, `buffer`.
fn act(ring: &mut IoUring, way: Way, socket: types::Fd, buffer: &mut [u8], receives: bool) -> Result<usize> {
    let mut element = libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    };
    // SAFETY: all zero is an empty header.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut element;
    message.msg_iovlen = 1;
    perform(ring, &operation(way, socket, buffer, &mut message, receives))
}

/// Servers that receive and send through io_uring: either their bytes are read right, or they are counted.
pub(super) fn io_uring_echo(observer: &mut Observer) -> Result<()> {
    echo(observer, Way::Socket)
}

pub(super) fn io_uring_read_write(observer: &mut Observer) -> Result<()> {
    echo(observer, Way::File)
}

pub(super) fn io_uring_messages(observer: &mut Observer) -> Result<()> {
    echo(observer, Way::Message)
}

/// What lies in registered memory is known by its length.
pub(super) fn io_uring_registered(observer: &mut Observer) -> Result<()> {
    echo(observer, Way::Registered)
}

fn echo(observer: &mut Observer, way: Way) -> Result<()> {
    let mut ring = IoUring::new(8).map_err(|error| skip(format!("no io_uring here: {error}")))?;
    let counters = [
        [Counter::IoUringOperations, Counter::BufferlessOperations],
        [Counter::IoUringBytes, Counter::BufferlessBytes],
    ];
    let count = |observer: &Observer, index: usize| -> u64 {
        counters[index]
            .map(|counter| observer.counter(counter))
            .iter()
            .sum()
    };
    let before = [0, 1].map(|index| count(observer, index));
    let pair = Pair::connect(Transport::Tcp4)?;
    let socket = types::Fd(pair.server.as_raw_fd());
    let mut memory = vec![0; 2_048];
    let registered = [libc::iovec {
        iov_base: memory.as_mut_ptr().cast(),
        iov_len: memory.len(),
    }];
    if way == Way::Registered {
        // SAFETY: the memory outlives its use by the ring, which waits for each operation.
        unsafe { ring.submitter().register_buffers(&registered) }
            .map_err(|error| skip(format!("no memory can be registered: {error}")))?;
    }
    let mut story = Story::default();
    let mut told: [Vec<u8>; 2] = Default::default();
    for number in 0..10 {
        let (request, response) = (get(number), ok(100 * number));
        send_all(&pair.client, &request, send)?;
        let taken = act(&mut ring, way, socket, &mut memory, true)?;
        ensure!(memory[..taken] == request, "other bytes arrived than were sent");
        memory[..response.len()].copy_from_slice(&response);
        let sent = act(&mut ring, way, socket, &mut memory[..response.len()], false)?;
        ensure!(sent == response.len(), "short");
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
    let counted = [0, 1].map(|index| count(observer, index) - before[index]);
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
