//! The system calls that move bytes, and how they can end.

use std::{
    io::{IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::OwnedFd,
};

use anyhow::{Result, ensure};
use apiarist::event::Direction;
use apiarist_common::{counter::Counter, limits::MAX_IOVECS_UNROLLED};
use rustix::{
    io::{Errno, ioctl_fionbio},
    net::{RecvAncillaryBuffer, RecvFlags, SendAncillaryBuffer, SendFlags, sockopt},
};

use super::{
    observer::Observer,
    pair::{Pair, ReceiveCall, SendCall, Transport, receive, receive_all, receive_whole, send, send_all},
    story::{Story, carry, converse, gap, get, ok, post, post_head, sequence, whole, within_budget},
    sys,
};

fn write(socket: &OwnedFd, bytes: &[u8]) -> Result<usize> {
    Ok(rustix::io::write(socket, bytes)?)
}

fn read(socket: &OwnedFd, bytes: &mut [u8]) -> Result<usize> {
    Ok(rustix::io::read(socket, bytes)?)
}

/// Cuts bytes where no boundary of a message lies.
fn slices(bytes: &[u8]) -> Vec<IoSlice<'_>> {
    let (first, rest) = bytes.split_at(bytes.len().min(3));
    let (second, third) = rest.split_at(rest.len() / 2);
    [first, second, &[], third].map(IoSlice::new).to_vec()
}

fn slices_mut(bytes: &mut [u8]) -> Vec<IoSliceMut<'_>> {
    let (first, rest) = bytes.split_at_mut(bytes.len().min(5));
    let (second, third) = rest.split_at_mut(rest.len() / 3);
    [first, second, third].map(IoSliceMut::new).into()
}

fn writev(socket: &OwnedFd, bytes: &[u8]) -> Result<usize> {
    Ok(rustix::io::writev(socket, &slices(bytes))?)
}

fn readv(socket: &OwnedFd, bytes: &mut [u8]) -> Result<usize> {
    Ok(rustix::io::readv(socket, &mut slices_mut(bytes))?)
}

fn sendmsg(socket: &OwnedFd, bytes: &[u8]) -> Result<usize> {
    let mut control = SendAncillaryBuffer::default();
    Ok(rustix::net::sendmsg(
        socket,
        &slices(bytes),
        &mut control,
        SendFlags::NOSIGNAL,
    )?)
}

fn recvmsg(socket: &OwnedFd, bytes: &mut [u8]) -> Result<usize> {
    let mut room = [MaybeUninit::uninit(); 64];
    let mut control = RecvAncillaryBuffer::new(&mut room);
    let received = rustix::net::recvmsg(socket, &mut slices_mut(bytes), &mut control, RecvFlags::empty())?;
    Ok(received.bytes)
}

fn over_tcp(observer: &mut Observer, send: SendCall, receive: ReceiveCall) -> Result<()> {
    converse(observer, Pair::connect(Transport::Tcp4)?, send, receive)
}

pub(super) fn read_write(observer: &mut Observer) -> Result<()> {
    over_tcp(observer, write, read)
}

pub(super) fn readv_writev(observer: &mut Observer) -> Result<()> {
    over_tcp(observer, writev, readv)
}

pub(super) fn recvfrom_sendto(observer: &mut Observer) -> Result<()> {
    over_tcp(observer, send, receive)
}

pub(super) fn recvmsg_sendmsg(observer: &mut Observer) -> Result<()> {
    over_tcp(observer, sendmsg, recvmsg)
}

/// Looks twice before it takes.
fn peek_then_receive(socket: &OwnedFd, bytes: &mut [u8]) -> Result<usize> {
    let mut looked = vec![0; bytes.len()];
    rustix::net::recv(socket, &mut looked[..1], RecvFlags::PEEK)?;
    rustix::net::recv(socket, &mut looked, RecvFlags::PEEK)?;
    let mut room = [MaybeUninit::uninit(); 64];
    let mut control = RecvAncillaryBuffer::new(&mut room);
    rustix::net::recvmsg(
        socket,
        &mut slices_mut(&mut looked),
        &mut control,
        RecvFlags::PEEK,
    )?;
    receive(socket, bytes)
}

pub(super) fn peek(observer: &mut Observer) -> Result<()> {
    over_tcp(observer, send, peek_then_receive)
}

/// Less than the kernel gives: the smallest send buffer, `SOCK_MIN_SNDBUF`.
const SMALLEST_BUFFER: usize = 1;

/// Sends as much as fits, and drains the other end whenever nothing does.
fn squeeze(pair: &Pair, bytes: &[u8]) -> Result<[usize; 2]> {
    let (mut sent, mut taken) = (0, 0);
    let (mut short, mut refused) = (0, 0);
    let mut arrived = Vec::new();
    ioctl_fionbio(&pair.client, true)?;
    ioctl_fionbio(&pair.server, true)?;
    let mut room = vec![0; 50_000];
    while taken < bytes.len() {
        if sent < bytes.len() {
            match rustix::net::send(&pair.client, &bytes[sent..], SendFlags::NOSIGNAL) {
                Ok(some) => {
                    short += usize::from(some < bytes.len() - sent);
                    sent += some;
                    continue;
                }
                Err(Errno::AGAIN) => refused += 1,
                Err(error) => return Err(error.into()),
            }
        }
        match rustix::net::recv(&pair.server, &mut room, RecvFlags::empty()) {
            Ok((_, some)) => {
                arrived.extend_from_slice(&room[..some]);
                taken += some;
            }
            Err(Errno::AGAIN) => std::thread::yield_now(),
            Err(error) => return Err(error.into()),
        }
    }
    ensure!(arrived == bytes, "other bytes arrived than were sent");
    ioctl_fionbio(&pair.client, false)?;
    ioctl_fionbio(&pair.server, false)?;
    Ok([short, refused])
}

pub(super) fn short_writes(observer: &mut Observer) -> Result<()> {
    // A unix socket's small buffer cuts within the budget, a TCP socket's beyond it.
    for (transport, len) in [(Transport::UnixPair, 7_000), (Transport::Tcp4, 600_000)] {
        let pair = Pair::connect(transport)?;
        sockopt::set_socket_send_buffer_size(&pair.client, SMALLEST_BUFFER)?;
        let mut story = Story::default();
        for number in 0..2 {
            let request = post(number, len);
            let [short, refused] = squeeze(&pair, &request)?;
            ensure!(
                short > 0 && refused > 0,
                "{transport:?}: {short} short writes, {refused} refusals: the test tested nothing"
            );
            story.tell(Direction::Egress, &request);
            carry(&pair, Direction::Ingress, &ok(10), send, receive)?;
            story.tell(Direction::Ingress, &ok(10));
        }
        story.verify(observer, pair.close())?;
    }
    Ok(())
}

pub(super) fn eagain_retry(observer: &mut Observer) -> Result<()> {
    let pair = Pair::connect(Transport::Tcp4)?;
    let mut story = Story::default();
    let mut room = [0; 100];
    for number in 0..3 {
        for (direction, bytes) in [(Direction::Egress, get(number)), (Direction::Ingress, ok(300))] {
            for socket in [&pair.client, &pair.server] {
                for flags in [RecvFlags::DONTWAIT, RecvFlags::DONTWAIT | RecvFlags::PEEK] {
                    let outcome = rustix::net::recv(socket, &mut room, flags);
                    ensure!(outcome == Err(Errno::AGAIN), "there was something to receive");
                }
            }
            carry(&pair, direction, &bytes, send, receive)?;
            story.tell(direction, &bytes);
        }
    }
    story.verify(observer, pair.close())
}

/// One byte at a time.
fn send_byte(socket: &OwnedFd, bytes: &[u8]) -> Result<usize> {
    send(socket, &bytes[..1])
}

fn receive_byte(socket: &OwnedFd, bytes: &mut [u8]) -> Result<usize> {
    receive(socket, &mut bytes[..1])
}

pub(super) fn dribble(observer: &mut Observer) -> Result<()> {
    over_tcp(observer, send_byte, receive_byte)
}

pub(super) fn iovecs_1024(observer: &mut Observer) -> Result<()> {
    const ELEMENTS: usize = 1_024;
    const ELEMENT: usize = 7;
    let pair = Pair::connect(Transport::Tcp4)?;
    let head = post_head(1, ELEMENTS * ELEMENT).len();
    let request = post(1, ELEMENTS * ELEMENT - head);
    let request = [request, vec![b' '; ELEMENT]].concat()[..ELEMENTS * ELEMENT].to_vec();
    let elements: Vec<_> = request.chunks(ELEMENT).map(IoSlice::new).collect();
    ensure!(elements.len() == ELEMENTS, "{} elements", elements.len());
    let sent = rustix::io::writev(&pair.client, &elements)?;
    let mut arrived = vec![0; ELEMENTS * ELEMENT];
    let mut room: Vec<_> = arrived.chunks_mut(ELEMENT).map(IoSliceMut::new).collect();
    let received = rustix::io::readv(&pair.server, &mut room)?;
    ensure!(
        sent == request.len() && received == sent && arrived == request,
        "short"
    );
    let seen = if observer.features().bpf_loop {
        whole(&request)
    } else {
        let looked_at = MAX_IOVECS_UNROLLED as usize * ELEMENT;
        sequence(&[whole(&request[..looked_at]), gap(request.len() - looked_at)])
    };
    let mut story = Story::default();
    story.tell_as(Direction::Egress, seen.clone(), seen);
    carry(&pair, Direction::Ingress, &ok(10), send, receive)?;
    story.tell(Direction::Ingress, &ok(10));
    story.verify(observer, pair.close())
}

pub(super) fn mmsg(observer: &mut Observer) -> Result<()> {
    let pair = Pair::connect(Transport::Tcp4)?;
    let mut story = Story::default();
    // Twice, so that the second call's array may lie where the first one's did.
    for number in 0..2 {
        let requests: Vec<_> = (0..5).map(|i| post(10 * number + i, 40 * i)).collect();
        let messages: Vec<_> = requests.iter().map(Vec::as_slice).collect();
        let sent = sys::sendmmsg(&pair.client, &messages, 0)?;
        let lengths: Vec<_> = requests.iter().map(Vec::len).collect();
        ensure!(sent == lengths, "{sent:?} were sent of {lengths:?}");
        // The array has room for more messages than there are: the call ends early.
        let all = requests.concat();
        let mut arrived = Vec::new();
        while arrived.len() < all.len() {
            let mut buffers = vec![vec![0; 150]; 64];
            let filled = sys::recvmmsg(&pair.server, &mut buffers, libc::MSG_WAITFORONE)?;
            for (buffer, filled) in buffers.iter().zip(filled) {
                arrived.extend_from_slice(&buffer[..filled]);
            }
        }
        ensure!(arrived == all, "other bytes arrived than were sent");
        story.tell(Direction::Egress, &all);
        carry(&pair, Direction::Ingress, &ok(10), send, receive)?;
        story.tell(Direction::Ingress, &ok(10));
    }
    // Five requests and one answer: that is not for pairing.
    story.verify_events(observer, pair.close())
}

/// A `sendmmsg` that a full buffer ends within an element goes on at the right place, from the same array.
pub(super) fn mmsg_cut_short(observer: &mut Observer) -> Result<()> {
    let pair = Pair::connect(Transport::UnixPair)?;
    sockopt::set_socket_send_buffer_size(&pair.client, SMALLEST_BUFFER)?;
    let request = post(1, 7_400);
    let mut sent = 0;
    let mut arrived = Vec::new();
    let mut cut = 0;
    while sent < request.len() {
        // The first is too long for the buffer.
        let (first, rest) = request[sent..].split_at(if sent == 0 {
            4_600
        } else {
            300.min(request.len() - sent)
        });
        let messages: Vec<_> = [first].into_iter().chain(rest.chunks(300)).collect();
        let handled = sys::sendmmsg(&pair.client, &messages, libc::MSG_DONTWAIT)?;
        cut += usize::from(
            handled
                .iter()
                .zip(&messages)
                .any(|(sent, message)| *sent < message.len()),
        );
        sent += handled.iter().sum::<usize>();
        arrived.extend(receive_all(&pair.server, sent - arrived.len(), receive)?);
    }
    ensure!(arrived == request, "other bytes arrived than were sent");
    ensure!(cut > 0, "no message was cut short: the test tested nothing");
    let mut story = Story::default();
    story.tell(Direction::Egress, &request);
    carry(&pair, Direction::Ingress, &ok(10), send, receive)?;
    story.tell(Direction::Ingress, &ok(10));
    story.verify(observer, pair.close())
}

/// `MSG_TRUNC` throws bytes of a TCP stream away: nothing to read, position exact.
pub(super) fn trunc_receive(observer: &mut Observer) -> Result<()> {
    let pair = Pair::connect(Transport::Tcp4)?;
    let before = observer.counter(Counter::BufferlessBytes);
    let mut story = Story::default();
    for number in 0..2 {
        let request = post(number, 700);
        let head = post_head(number, 700);
        send_all(&pair.client, &request, send)?;
        receive_all(&pair.server, head.len(), receive)?;
        let (_, dropped) = rustix::net::recv(
            &pair.server,
            &mut vec![0; 700],
            RecvFlags::TRUNC | RecvFlags::WAITALL,
        )?;
        ensure!(dropped == 700, "{dropped} bytes were dropped");
        story.tell_as(
            Direction::Egress,
            within_budget(&request),
            sequence(&[whole(&head), gap(700)]),
        );
        carry(&pair, Direction::Ingress, &ok(10), send, receive_whole)?;
        story.tell(Direction::Ingress, &ok(10));
    }
    story.verify(observer, pair.close())?;
    let counted = observer.counter(Counter::BufferlessBytes) - before;
    ensure!(counted >= 1_400, "{counted} bytes without a buffer were counted");
    Ok(())
}
