//! What happens on every operation of a stream socket: the positions.
//!
//! In: the socket, the result, the direction. Out: nothing, one announcement, or up to `MAX_CHUNKS` data events.
//! Order of work: leave early (other families, errors, peeks), advance the position, decide the protocol while it
//! is unknown ([`crate::decide`]), then copy what the message's budget allows ([`crate::budget`]).

use core::ffi::c_void;

use apiarist_common::{
    counter::Counter,
    event::{EGRESS, FLAG_EOF, FLAG_TLS, FLAG_TLS_START, FLAG_TURN, INGRESS},
    offsets::ABSENT,
    sniff::Class,
};
use aya_ebpf::helpers::generated::{bpf_get_current_pid_tgid, bpf_ktime_get_ns};

use crate::{
    budget::{capture, next_budget, send},
    connection::{
        Connection, NO_DIRECTION, STATE_ANNOUNCED, STATE_INITIALISED, STATE_JOINED_LATE, STATE_KERNEL_TLS,
        STATE_MUTED, STATE_UNTOLD, cookie, create, existing,
    },
    decide::is_wanted,
    identity::{AF_INET, AF_INET6, AF_UNIX, announce, family, is_older, ring},
    kernel::{Sock, load},
    kernel_tls::{has_keys, take_over},
    maps::{Counters, Scratch, Slot, constant, counters, scratch},
    scope::in_scope,
    sequence::{NOTHING_NEW, follow, own_counts, unseen_before},
    spare::sign,
    syscall::{Source, by_io_uring, of_iter, operation_failed, source},
    tls,
    told::{leave_out, pass},
    unread,
};

/// `recv` flags (include/linux/socket.h) that return bytes which are not, or not yet, taken from the stream.
const MSG_OOB: i32 = 0x1;
const MSG_PEEK: i32 = 0x2;
const MSG_ERRQUEUE: i32 = 0x2000;
/// The bytes are dropped, not copied.
const MSG_TRUNC: i32 = 0x20;

const SOCK_STREAM: u16 = 1;
const SOCK_SEQPACKET: u16 = 5;

/// One finished operation, and how far it is dealt with.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Operation {
    /// Position of the first byte.
    pub(crate) position: u64,
    pub(crate) at_ns: u64,
    pub(crate) cookie: u64,
    /// Bytes moved.
    pub(crate) len: u32,
    pub(crate) slot: Slot,
    pub(crate) tgid: u32,
    /// Bytes to be copied.
    pub(crate) allowed: u32,
    /// Bytes copied.
    pub(crate) done: u32,
    pub(crate) direction: u8,
    /// Flags of the first event.
    pub(crate) turn: u8,
    pub(crate) class: u8,
    pub(crate) ring: u8,
    /// `FLAG_SPENT` or zero.
    pub(crate) spent: u8,
    /// `FLAG_TLS` or zero.
    pub(crate) layer: u8,
    reserved: [u8; 2],
}

impl Operation {
    #[inline(always)]
    fn new(slot: Slot, connection: &Connection, direction: u8, position: u64, len: u32) -> Self {
        Self {
            position,
            at_ns: now(),
            cookie: connection.cookie,
            len,
            slot,
            tgid: tgid(),
            allowed: 0,
            done: 0,
            direction,
            turn: 0,
            class: connection.class,
            ring: connection.ring,
            spent: 0,
            layer: 0,
            reserved: [0; 2],
        }
    }
}

/// Called after each send (`direction` EGRESS) or receive.
#[inline(always)]
pub(crate) fn finished<const LOOP: bool>(slot: Slot, sock: Sock, result: i32, direction: u8, flags: i32) {
    operation::<LOOP>(slot, sock, result, direction, flags & !NO_BUFFER);
}

/// Called after an operation that moved pages, not a user buffer.
#[inline(always)]
pub(crate) fn finished_without_buffer<const LOOP: bool>(slot: Slot, sock: Sock, result: i32, direction: u8) {
    operation::<LOOP>(slot, sock, result, direction, NO_BUFFER);
}

/// Among the flags: there is no user buffer. No flag of the kernel's has this bit.
const NO_BUFFER: i32 = 1 << 28;

/// Deals with a finished operation. `LOOP` is false for the programs of kernels without `bpf_loop`, which refuse any
/// program that mentions a callback.
#[inline(never)]
fn operation<const LOOP: bool>(slot: Slot, sock: Sock, result: i32, direction: u8, flags: i32) {
    if !watched(sock) {
        return;
    }
    if direction == INGRESS && flags & (MSG_PEEK | MSG_ERRQUEUE | MSG_OOB) != 0 {
        return;
    }
    if result <= 0 {
        if let Some(connection) = existing(sock) {
            sign(connection, direction);
            ended(slot, connection, result, direction);
        }
        return;
    }
    let Some(counters) = counters(slot) else { return };
    counters.add(Counter::Operations, 1);
    let Some(connection) = get(sock, slot, counters) else {
        return;
    };
    if connection.is(STATE_MUTED) {
        if connection.told != 0 {
            pass(connection, direction, result as u32);
            return counters.add(Counter::MutedOperations, 1);
        }
        if connection.class() != Class::Tls || !has_keys(sock, direction) {
            if connection.class() == Class::Tls {
                tls::moved(connection, direction);
                unread::count(connection, direction, result as u32, slot, counters);
            }
            return counters.add(Counter::MutedOperations, 1);
        }
        take_over(connection);
    }
    if connection.is(STATE_KERNEL_TLS) && !has_keys(sock, direction) {
        return counters.add(Counter::MutedOperations, 1);
    }
    sign(connection, direction);
    let len = result as u32;
    if !connection.is(STATE_INITIALISED) {
        first_sight(sock, connection, direction, len);
        if connection.is(STATE_MUTED) {
            return;
        }
    }
    if leave_out(connection, direction) {
        pass(connection, direction, len);
        counters.add(Counter::ToldSockets, 1);
        return counters.add(Counter::MutedOperations, 1);
    }
    let Some(scratch) = scratch(slot) else { return };
    let unseen = unseen_before(sock, connection, slot, direction, len, counters);
    if unseen == NOTHING_NEW {
        return;
    }
    begin(slot, connection, direction, unseen, len, scratch);
    let dropped = flags & MSG_TRUNC != 0 && direction == INGRESS;
    scratch.source = if flags & NO_BUFFER != 0 || dropped {
        Source::unreadable(Counter::BufferlessOperations)
    } else {
        source(connection, len)
    };
    let wanted = is_wanted::<LOOP>(connection, scratch, counters);
    if connection.class() == Class::Tls {
        tls::moved(connection, direction);
    } else if connection.class() == Class::Unknown
        && connection.has_record(direction, len)
        && is_of_tls(connection)
    {
        // In the middle of a TLS connection.
        connection.class = Class::Tls as u8;
        connection.state |= STATE_MUTED;
        counters.add(Counter::TlsSockets, 1);
        announce_once(sock, connection, scratch, counters);
        return tls::moved(connection, direction);
    }
    if wanted {
        scratch.operation.class = connection.class;
        announce_once(sock, connection, scratch, counters);
        capture::<LOOP>(connection, scratch, counters);
    }
}

/// Whether an operation that starts like a record of TLS is one: it happens inside a call of a library, or its connection is older
/// than the programs and has shown another. For those the programs of libraries may be on their way still, and a connection that is
/// given up is not bound afterwards.
#[inline(always)]
fn is_of_tls(connection: &mut Connection) -> bool {
    connection.records = connection.records.saturating_add(1);
    tls::is_inside() || connection.is(STATE_JOINED_LATE) && connection.records > 1
}

/// Deals with `len` bytes of plaintext at `address`, of the session that `connection` stands for.
#[inline(never)]
pub(crate) fn plaintext<const LOOP: bool>(
    connection: &mut Connection,
    scratch: &mut Scratch,
    counters: &mut Counters,
    slot: Slot,
    text: Plaintext,
) {
    begin(slot, connection, text.direction, 0, text.len, scratch);
    scratch.operation.layer = FLAG_TLS;
    scratch.source = if text.slices == 0 {
        Source::flat(text.address)
    } else {
        Source::vector(text.address, u64::from(text.slices))
    };
    if !is_wanted::<LOOP>(connection, scratch, counters) {
        return;
    }
    if connection.is(STATE_UNTOLD) {
        connection.state &= !STATE_UNTOLD;
        scratch.operation.turn |= FLAG_TLS_START;
    }
    scratch.operation.class = connection.class;
    capture::<LOOP>(connection, scratch, counters);
}

/// What a TLS library took or gave.
#[derive(Clone, Copy)]
pub(crate) struct Plaintext {
    pub(crate) address: u64,
    pub(crate) len: u32,
    /// Elements of the array of `struct iovec` at that address; zero when the bytes are there. Two bytes, as programs that
    /// bring this along have no room on their stacks for more.
    pub(crate) slices: u16,
    pub(crate) direction: u8,
}

/// Advances the position of a direction past what was not seen.
#[inline(always)]
pub(crate) fn pass_unseen(connection: &mut Connection, direction: u8, bytes: u64) {
    let index = usize::from(direction & 1);
    connection.framing[index].pass_unseen(if bytes < u64::from(u32::MAX) {
        bytes as u32
    } else {
        u32::MAX
    });
    connection.position[index] = connection.position[index].wrapping_add(bytes);
}

/// Advances the position of a direction past what was not seen and an operation, which becomes the one at hand.
#[inline(always)]
fn begin(
    slot: Slot,
    connection: &mut Connection,
    direction: u8,
    unseen: u64,
    len: u32,
    scratch: &mut Scratch,
) {
    let index = usize::from(direction & 1);
    if unseen > 0 {
        pass_unseen(connection, direction, unseen);
    }
    let turn = connection.last_direction != direction;
    if turn {
        connection.last_direction = direction;
        connection.budget[index] = next_budget(connection);
    }
    let position = connection.position[index];
    connection.position[index] = position.wrapping_add(u64::from(len));
    scratch.operation = Operation::new(slot, connection, direction, position, len);
    scratch.operation.turn = if turn { FLAG_TURN } else { 0 };
}

/// Tells the agent about a socket before its first bytes.
#[inline(always)]
fn announce_once(sock: Sock, connection: &mut Connection, scratch: &mut Scratch, counters: &mut Counters) {
    if connection.is(STATE_ANNOUNCED) {
        return;
    }
    let Operation {
        direction, position, ..
    } = scratch.operation;
    let [egress, ingress] = connection.position;
    // The announcement gives the positions before this operation.
    connection.position = if direction == EGRESS {
        [position, ingress]
    } else {
        [egress, position]
    };
    let told = announce(sock, connection, scratch, counters);
    connection.position = [egress, ingress];
    if told {
        connection.state |= STATE_ANNOUNCED;
    }
}

/// The state of a socket, made if needed; `None` is counted.
#[inline(always)]
fn get(sock: Sock, slot: Slot, counters: &mut Counters) -> Option<&'static mut Connection> {
    if let Some(connection) = existing(sock) {
        return Some(connection);
    }
    // SAFETY: null or the kernel's storage of this socket.
    let made = unsafe { create(sock, scratch(slot)?).as_mut() };
    if made.is_none() {
        counters.add(Counter::StorageFull, 1);
    }
    made
}

/// Called before a send or receive where the kernel allows it: notes the buffer of operations by io_uring, whose
/// registers will not tell it afterwards.
#[inline(always)]
pub(crate) fn starting(slot: Slot, sock: Sock, message: *const c_void) {
    if !by_io_uring() || !watched(sock) || constant!(OFFSETS.msghdr_iter) == ABSENT {
        return;
    }
    if let Some(counters) = counters(slot)
        && let Some(connection) = get(sock, slot, counters)
        && !connection.is(STATE_MUTED)
    {
        connection.noted = of_iter(message.wrapping_byte_add(constant!(OFFSETS.msghdr_iter) as usize));
    }
}

/// Marks a socket that existed before the programs were attached: its stream is joined in the middle.
#[inline(always)]
pub(crate) fn existed(slot: Slot, sock: Sock) {
    if !watched(sock) || existing(sock).is_some() {
        return;
    }
    if let Some(counters) = counters(slot)
        && let Some(connection) = get(sock, slot, counters)
    {
        connection.state |= STATE_JOINED_LATE;
    }
}

/// Whether this is a stream socket of a family we look at.
#[inline(always)]
fn watched(sock: Sock) -> bool {
    if !matches!(family(sock), AF_INET | AF_INET6 | AF_UNIX) {
        return false;
    }
    // SAFETY: within `struct sock`.
    let socket_type: u16 = unsafe { load(sock, constant!(OFFSETS.sock_type)) }.unwrap_or(SOCK_STREAM);
    socket_type == SOCK_STREAM || socket_type == SOCK_SEQPACKET
}

#[inline(always)]
fn now() -> u64 {
    // SAFETY: no arguments.
    unsafe { bpf_ktime_get_ns() }
}

#[inline(always)]
fn tgid() -> u32 {
    // SAFETY: no arguments.
    (unsafe { bpf_get_current_pid_tgid() } >> 32) as u32
}

/// An operation that moved nothing: the end of the stream, or an error.
#[inline(always)]
fn ended(slot: Slot, connection: &mut Connection, result: i32, direction: u8) {
    operation_failed(connection);
    if result != 0 || direction != INGRESS || !connection.is(STATE_ANNOUNCED) || connection.is(STATE_MUTED) {
        return;
    }
    end_of_stream(slot, connection, INGRESS);
}

/// Tells the agent that a direction ended. A `recv` of zero bytes asked for looks the same and does no harm: the
/// parser takes more bytes after it.
#[inline(always)]
pub(crate) fn end_of_stream(slot: Slot, connection: &mut Connection, direction: u8) {
    let (Some(scratch), Some(counters)) = (scratch(slot), counters(slot)) else {
        return;
    };
    let position = connection.position[usize::from(direction & 1)];
    scratch.operation = Operation::new(slot, connection, direction, position, 0);
    send(scratch, counters, 0, 0, FLAG_EOF);
}

#[inline(always)]
fn first_sight(sock: Sock, connection: &mut Connection, direction: u8, len: u32) {
    connection.cookie = cookie(sock);
    connection.last_direction = NO_DIRECTION;
    connection.state |= STATE_INITIALISED;
    connection.ring = ring(sock);
    if tgid() == constant!(SETTINGS.own_tgid) || !in_scope() {
        connection.state |= STATE_MUTED;
        return;
    }
    if own_counts(sock, &mut connection.position) {
        let position = &mut connection.position[usize::from(direction & 1)];
        *position = position.saturating_sub(u64::from(len));
        if connection.position != [0; 2] {
            connection.state |= STATE_JOINED_LATE;
        }
    }
    if is_older(sock) {
        connection.state |= STATE_JOINED_LATE;
    }
    if has_keys(sock, direction) {
        // Its own counts are those of records.
        connection.state |= STATE_KERNEL_TLS;
        return;
    }
    follow(sock, connection, direction, len);
}
