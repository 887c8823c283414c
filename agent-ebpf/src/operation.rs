//! What happens on every operation of a stream socket.
//!
//! In: the socket, the result, the direction. Out: nothing, one announcement, or up to `MAX_CHUNKS` data events.
//! Order of work: leave early (other families, errors, peeks), advance the position, decide the protocol while it
//! is unknown, then copy what the message's budget allows.

use apiarist_common::{
    counter::Counter,
    event::{EGRESS, FLAG_CUT, FLAG_EOF, FLAG_TAIL, FLAG_TURN, FLAG_UNREADABLE, Header, INGRESS, KIND_DATA},
    limits::{CHUNK_BYTES, MAX_CHUNKS, PREFIX_BYTES, TAIL_BYTES},
    sniff::{Class, Verdict, sniff},
};
use aya_ebpf::helpers::generated::{bpf_get_current_pid_tgid, bpf_ktime_get_ns};

use crate::{
    connection::{
        Connection, NO_DIRECTION, STATE_ANNOUNCED, STATE_INITIALISED, STATE_JOINED_LATE, STATE_MUTED, cookie,
        create, existing,
    },
    emit::emit,
    gather::gather,
    identity::{AF_INET, AF_INET6, AF_UNIX, announce, family, own_counts, ring},
    kernel::{Sock, load},
    maps::{Scratch, Slot, constant, count, scratch},
    syscall::{Source, operation_failed, source},
};

/// `recv` flags (include/linux/socket.h) that return bytes which are not, or not yet, taken from the stream.
const MSG_OOB: i32 = 0x1;
const MSG_PEEK: i32 = 0x2;
const MSG_ERRQUEUE: i32 = 0x2000;
/// The bytes are dropped, not copied.
const MSG_TRUNC: i32 = 0x20;

const SOCK_STREAM: u16 = 1;
const SOCK_SEQPACKET: u16 = 5;

/// One finished operation.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Operation {
    /// Position of the first byte.
    position: u64,
    at_ns: u64,
    /// Bytes moved.
    len: u32,
    pub(crate) slot: Slot,
    tgid: u32,
    direction: u8,
    /// `FLAG_TURN` or zero.
    turn: u8,
    reserved: [u8; 2],
}

/// Called after each send (`direction` EGRESS) or receive.
#[inline(always)]
pub(crate) fn finished(slot: Slot, sock: Sock, result: i32, direction: u8, flags: i32) {
    if !matches!(family(sock), AF_INET | AF_INET6 | AF_UNIX) {
        return;
    }
    // SAFETY: within `struct sock`.
    let socket_type: u16 = unsafe { load(sock, constant!(OFFSETS.sock_type)) }.unwrap_or(SOCK_STREAM);
    if socket_type != SOCK_STREAM && socket_type != SOCK_SEQPACKET {
        return;
    }
    if direction == INGRESS && flags & (MSG_PEEK | MSG_ERRQUEUE | MSG_OOB) != 0 {
        return;
    }
    if result <= 0 {
        if let Some(connection) = existing(sock) {
            ended(slot, connection, result, direction);
        }
        return;
    }
    count(Counter::Operations, 1);
    let connection = match existing(sock) {
        Some(connection) => connection,
        // SAFETY: null or the kernel's storage of this socket.
        None => match unsafe { create(sock).as_mut() } {
            Some(connection) => connection,
            None => return count(Counter::StorageFull, 1),
        },
    };
    if connection.is(STATE_MUTED) {
        return count(Counter::MutedOperations, 1);
    }
    let len = result as u32;
    if !connection.is(STATE_INITIALISED) {
        first_sight(sock, connection, direction, len);
        if connection.is(STATE_MUTED) {
            return;
        }
    }
    let Some(scratch) = scratch(slot) else { return };
    let index = usize::from(direction & 1);
    let turn = connection.last_direction != direction;
    if turn {
        connection.last_direction = direction;
        connection.budget[index] = constant!(SETTINGS.budget_bytes);
    }
    let position = connection.position[index];
    connection.position[index] = position.wrapping_add(u64::from(len));
    scratch.operation = Operation {
        position,
        at_ns: now(),
        len,
        slot,
        tgid: tgid(),
        direction,
        turn: if turn { FLAG_TURN } else { 0 },
        reserved: [0; 2],
    };
    scratch.source = if flags & MSG_TRUNC != 0 && direction == INGRESS {
        Source::unreadable(Counter::BufferlessOperations)
    } else {
        source(connection)
    };
    match connection.class() {
        Class::Unknown => undecided(sock, connection, scratch),
        Class::Http1 => message(sock, connection, scratch),
        Class::Http2 => {
            connection.budget[index] = constant!(SETTINGS.budget_bytes);
            capture(sock, connection, scratch);
        }
        Class::Tls => {}
    }
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
    let Some(scratch) = scratch(slot) else { return };
    let position = connection.position[usize::from(direction & 1)];
    scratch.operation = Operation {
        position,
        at_ns: now(),
        len: 0,
        slot,
        tgid: tgid(),
        direction,
        turn: 0,
        reserved: [0; 2],
    };
    send(connection, scratch, 0, 0, FLAG_EOF);
}

#[inline(always)]
fn first_sight(sock: Sock, connection: &mut Connection, direction: u8, len: u32) {
    connection.cookie = cookie(sock);
    connection.last_direction = NO_DIRECTION;
    connection.state = STATE_INITIALISED;
    connection.ring = ring(sock);
    if tgid() == constant!(SETTINGS.own_tgid) {
        connection.state |= STATE_MUTED;
        return;
    }
    let [mut egress, mut ingress] = own_counts(sock);
    if direction == EGRESS {
        egress = egress.saturating_sub(u64::from(len));
    } else {
        ingress = ingress.saturating_sub(u64::from(len));
    }
    // A client's own count of acknowledged bytes starts at one, for its SYN.
    if egress == 1 {
        egress = 0;
    }
    if egress | ingress != 0 {
        connection.state |= STATE_JOINED_LATE;
    }
    connection.position = [egress, ingress];
}

/// The protocol is not known yet: look at the first bytes.
#[inline(always)]
fn undecided(sock: Sock, connection: &mut Connection, scratch: &mut Scratch) {
    let Operation {
        direction, len, turn, ..
    } = scratch.operation;
    let turn = turn != 0;
    let got = gather(scratch, 0, len.min(PREFIX_BYTES as u32));
    if got == 0 {
        missed(scratch);
        if connection.gave_up(turn) {
            mute(connection);
        }
        return;
    }
    let verdict = connection.classify(direction, scratch, got);
    match verdict.class() {
        Some(class) => connection.class = class as u8,
        None if verdict == Verdict::Other => {
            connection.forget_prefix(direction);
            if connection.gave_up(turn) {
                mute(connection);
            }
            return;
        }
        None if verdict == Verdict::Preamble => connection.forget_prefix(direction),
        None => {}
    }
    capture(sock, connection, scratch);
    if connection.class() == Class::Tls {
        // The first record holds the ClientHello or ServerHello; what follows is ciphertext.
        count(Counter::TlsSockets, 1);
        connection.state |= STATE_MUTED;
    }
}

#[inline(always)]
fn mute(connection: &mut Connection) {
    connection.state |= STATE_MUTED;
    count(Counter::MutedSockets, 1);
}

/// HTTP/1: a message whose budget is used up gets a new one when the operation starts like a head, as pipelined
/// messages do that follow each other in one direction.
#[inline(always)]
fn message(sock: Sock, connection: &mut Connection, scratch: &mut Scratch) {
    let Operation { direction, len, .. } = scratch.operation;
    let index = usize::from(direction & 1);
    if connection.budget[index] == 0 {
        let got = gather(scratch, 0, len.min(PREFIX_BYTES as u32));
        if let Some(prefix) = scratch.data.first_chunk::<PREFIX_BYTES>()
            && starts_message(prefix, got)
        {
            connection.budget[index] = constant!(SETTINGS.budget_bytes);
        }
    }
    capture(sock, connection, scratch);
}

#[inline(never)]
fn starts_message(prefix: &[u8; PREFIX_BYTES], len: u32) -> bool {
    matches!(
        sniff(prefix, len as usize),
        Verdict::Http1Request | Verdict::Http1Response
    )
}

/// Copies what the budget allows and sends it.
#[inline(never)]
fn capture(sock: Sock, connection: &mut Connection, scratch: &mut Scratch) {
    let Operation {
        direction,
        len,
        position,
        ..
    } = scratch.operation;
    if !connection.is(STATE_ANNOUNCED) {
        let [egress, ingress] = connection.position;
        // The announcement gives the positions before this operation.
        connection.position = if direction == EGRESS {
            [position, ingress]
        } else {
            [egress, position]
        };
        let told = announce(sock, connection, scratch);
        connection.position = [egress, ingress];
        if told {
            connection.state |= STATE_ANNOUNCED;
        }
    }
    if scratch.source.is_unreadable() {
        missed(scratch);
        send(connection, scratch, 0, 0, FLAG_UNREADABLE);
        return;
    }
    let index = usize::from(direction & 1);
    let budget = connection.budget[index];
    let allowed = len.min(budget);
    let mut done = 0;
    let mut chunk = 0;
    while chunk < MAX_CHUNKS {
        let want = (allowed - done).min(CHUNK_BYTES as u32);
        if want == 0 {
            break;
        }
        let got = gather(scratch, done, want);
        send(
            connection,
            scratch,
            done,
            got,
            if got < want { FLAG_UNREADABLE } else { 0 },
        );
        done += got;
        if got < want {
            break;
        }
        chunk += 1;
    }
    connection.budget[index] = budget - allowed;
    if done < len {
        count(Counter::BudgetBytes, u64::from(len - done));
        tail(connection, scratch, done);
    }
}

/// The end of a chunked body beyond the budget: `0\r\n\r\n`, or trailers that end in an empty line. Without it the
/// agent would not know where the body ends before the next message.
#[inline(never)]
fn tail(connection: &mut Connection, scratch: &mut Scratch, done: u32) {
    let len = scratch.operation.len;
    let want = (len - done).min(TAIL_BYTES as u32);
    if want < 4 {
        return;
    }
    let got = gather(scratch, len - want, want);
    if got != want {
        return;
    }
    let end = want as usize;
    let mut ending = [0_u8; 4];
    let mut back = 0;
    while back < 4 {
        ending[back] = scratch.data[(end - 4 + back) & (CHUNK_BYTES - 1)];
        back += 1;
    }
    if ending == *b"\r\n\r\n" {
        send(connection, scratch, len - want, got, FLAG_TAIL);
    }
}

/// Sends `got` bytes of the scratch that start `skip` bytes into the operation.
#[inline(always)]
fn send(connection: &Connection, scratch: &mut Scratch, skip: u32, got: u32, flags: u8) {
    let operation = &scratch.operation;
    let end = operation.position.wrapping_add(u64::from(operation.len));
    let position = operation.position.wrapping_add(u64::from(skip));
    let turn = if skip == 0 { operation.turn } else { 0 };
    let cut = if position.wrapping_add(u64::from(got)) < end {
        FLAG_CUT
    } else {
        0
    };
    scratch.header = Header {
        kind: KIND_DATA,
        direction: operation.direction,
        flags: flags | turn | cut,
        class: connection.class,
        captured: got,
        at_ns: operation.at_ns,
        cookie: connection.cookie,
        position,
        end,
        tgid: operation.tgid,
        reserved: 0,
    };
    emit(scratch, got, connection.ring);
}

/// Counts bytes that cannot be read, under their reason.
#[inline(always)]
fn missed(scratch: &Scratch) {
    if !scratch.source.is_unreadable() {
        return;
    }
    let reason = scratch.source.reason;
    count(reason, 1);
    let bytes = match reason {
        Counter::BufferlessOperations => Counter::BufferlessBytes,
        Counter::IoUringOperations => Counter::IoUringBytes,
        Counter::UnknownSyscallOperations => Counter::UnknownSyscallBytes,
        _ => return,
    };
    count(bytes, u64::from(scratch.operation.len));
}
