//! What happens on every operation of a stream socket.
//!
//! In: the socket, the result, the direction. Out: nothing, one announcement, or up to `MAX_CHUNKS` data events.
//! Order of work: leave early (other families, errors, peeks), advance the position, decide the protocol while it
//! is unknown, then copy what the message's budget allows.

use core::ffi::c_void;

use apiarist_common::{
    counter::Counter,
    event::{
        EGRESS, FLAG_CUT, FLAG_EOF, FLAG_SPENT, FLAG_TAIL, FLAG_TLS, FLAG_TLS_START, FLAG_TURN,
        FLAG_UNREADABLE, Header, INGRESS, KIND_DATA,
    },
    frames::{Framing, joins},
    limits::{CHUNK_BYTES, MAX_CHUNKS, PREFIX_BYTES, TAIL_BYTES, TLS_HELLO_BYTES},
    offsets::ABSENT,
    sniff::{Class, Verdict, sniff},
};
use aya_ebpf::helpers::generated::{bpf_get_current_pid_tgid, bpf_ktime_get_ns, bpf_loop};

use crate::{
    connection::{
        Connection, NO_DIRECTION, STATE_ANNOUNCED, STATE_INITIALISED, STATE_JOINED_LATE, STATE_KERNEL_TLS,
        STATE_MUTED, STATE_UNTOLD, cookie, create, existing,
    },
    emit::emit,
    gather::gather,
    identity::{AF_INET, AF_INET6, AF_UNIX, announce, family, ring},
    kernel::{Sock, load, shared},
    kernel_tls::{has_keys, take_over},
    maps::{Counters, Scratch, Slot, constant, control, counters, scratch},
    sequence::{NOTHING_NEW, follow, own_counts, unseen_before},
    spare::sign,
    syscall::{Source, by_io_uring, of_iter, operation_failed, source},
    tls,
    tour::{is_known, tour},
};

/// `recv` flags (include/linux/socket.h) that return bytes which are not, or not yet, taken from the stream.
const MSG_OOB: i32 = 0x1;
const MSG_PEEK: i32 = 0x2;
const MSG_ERRQUEUE: i32 = 0x2000;
/// The bytes are dropped, not copied.
const MSG_TRUNC: i32 = 0x20;

/// How a chunked body, and a trailer section, ends (RFC 9112 §7.1).
const ENDING: u32 = u32::from_le_bytes(*b"\r\n\r\n");

const SOCK_STREAM: u16 = 1;
const SOCK_SEQPACKET: u16 = 5;

/// One finished operation, and how far it is dealt with.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Operation {
    /// Position of the first byte.
    position: u64,
    at_ns: u64,
    cookie: u64,
    /// Bytes moved.
    len: u32,
    pub(crate) slot: Slot,
    tgid: u32,
    /// Bytes to be copied.
    allowed: u32,
    /// Bytes copied.
    done: u32,
    direction: u8,
    /// Flags of the first event.
    turn: u8,
    class: u8,
    ring: u8,
    /// `FLAG_SPENT` or zero.
    spent: u8,
    /// `FLAG_TLS` or zero.
    layer: u8,
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

    /// Bytes moved.
    #[inline(always)]
    pub(crate) fn len(&self) -> u32 {
        self.len
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
        if connection.class() != Class::Tls || !has_keys(sock, direction) {
            if connection.class() == Class::Tls {
                tls::moved(connection, direction);
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
        && tls::is_inside()
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
    scratch.source = Source::flat(text.address);
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
    pub(crate) direction: u8,
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
        connection.framing[index].pass_unseen(if unseen < u64::from(u32::MAX) {
            unseen as u32
        } else {
            u32::MAX
        });
    }
    let turn = connection.last_direction != direction;
    if turn {
        connection.last_direction = direction;
        connection.budget[index] = next_budget(connection);
    }
    let position = connection.position[index].wrapping_add(unseen);
    connection.position[index] = position.wrapping_add(u64::from(len));
    scratch.operation = Operation::new(slot, connection, direction, position, len);
    scratch.operation.turn = if turn { FLAG_TURN } else { 0 };
}

/// Whether the agent should have bytes of the operation at hand.
#[inline(always)]
fn is_wanted<const LOOP: bool>(
    connection: &mut Connection,
    scratch: &mut Scratch,
    counters: &mut Counters,
) -> bool {
    match connection.class() {
        Class::Unknown => undecided::<LOOP>(connection, scratch, counters),
        Class::Http1 => {
            renew_budget::<LOOP>(connection, scratch);
            true
        }
        Class::Http2 => true,
        // The client's first message may come in pieces; what follows the turn, or its usual length, is ciphertext.
        Class::Tls if scratch.operation.turn == 0 && scratch.operation.position < TLS_HELLO_BYTES => true,
        Class::Tls => {
            connection.state |= STATE_MUTED;
            false
        }
    }
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
    if tgid() == constant!(SETTINGS.own_tgid) {
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
    if has_keys(sock, direction) {
        // Its own counts are those of records.
        connection.state |= STATE_KERNEL_TLS;
        return;
    }
    follow(sock, connection, direction, len);
}

/// The protocol is not known yet: look at the first bytes. True when the agent should have them.
#[inline(always)]
fn undecided<const LOOP: bool>(
    connection: &mut Connection,
    scratch: &mut Scratch,
    counters: &mut Counters,
) -> bool {
    let Operation {
        direction, len, turn, ..
    } = scratch.operation;
    let got = gather::<LOOP>(scratch, 0, len.min(PREFIX_BYTES as u32));
    if got == 0 {
        // Says nothing about the protocol: the socket is not given up, and each such operation is counted.
        missed(scratch, counters);
        return false;
    }
    match connection.classify(direction, scratch, got) {
        Verdict::Http1Request | Verdict::Http1Response => connection.class = Class::Http1 as u8,
        Verdict::Http2 => {
            connection.class = Class::Http2 as u8;
            let seen = u32::from(connection.prefix_len[usize::from(direction & 1)]).saturating_sub(got);
            connection.framing[usize::from(direction & 1)] = Framing::preface(seen);
        }
        Verdict::Tls => {
            connection.class = Class::Tls as u8;
            counters.add(Counter::TlsSockets, 1);
        }
        Verdict::More => {}
        Verdict::Preamble => connection.forget_prefix(direction),
        Verdict::Other if connection.is(STATE_JOINED_LATE) && speaks_frames(scratch, got, len) => {
            connection.class = Class::Http2 as u8;
            connection.framing = [Framing::LOST; 2];
        }
        Verdict::Other => {
            connection.forget_prefix(direction);
            if connection.gave_up(turn != 0) {
                connection.state |= STATE_MUTED;
                counters.add(Counter::MutedSockets, 1);
            }
            return false;
        }
    }
    true
}

/// Whether an operation, whose first `got` bytes were gathered, belongs to an HTTP/2 connection whose start was not seen.
#[inline(always)]
fn speaks_frames(scratch: &Scratch, got: u32, len: u32) -> bool {
    match scratch.data.first_chunk::<PREFIX_BYTES>() {
        Some(prefix) => joins(prefix, got, len),
        None => false,
    }
}

/// The budget of a message that starts: the whole one for sampled messages, enough for a head for the others.
#[inline(always)]
fn next_budget(connection: &mut Connection) -> u32 {
    let Some(control) = control() else { return 0 };
    connection.messages = connection.messages.wrapping_add(1);
    if u32::from(connection.messages) & control.sample_mask == 0 {
        control.budget_bytes
    } else {
        control.floor_bytes
    }
}

/// HTTP/1: an operation for which the budget does not suffice gets a new one when it starts like a head, as pipelined
/// messages do that follow each other in one direction.
#[inline(always)]
fn renew_budget<const LOOP: bool>(connection: &mut Connection, scratch: &mut Scratch) {
    let Operation { direction, len, .. } = scratch.operation;
    let index = usize::from(direction & 1);
    if connection.budget[index] >= len {
        return;
    }
    let got = gather::<LOOP>(scratch, 0, len.min(PREFIX_BYTES as u32));
    if let Some(prefix) = scratch.data.first_chunk::<PREFIX_BYTES>()
        && starts_message(prefix, got)
    {
        connection.budget[index] = next_budget(connection);
    }
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
fn capture<const LOOP: bool>(connection: &mut Connection, scratch: &mut Scratch, counters: &mut Counters) {
    let Operation {
        direction, len, slot, ..
    } = scratch.operation;
    if scratch.source.is_unreadable() {
        missed(scratch, counters);
        connection.framing[usize::from(direction & 1)].pass_unseen(len);
        send(scratch, counters, 0, 0, FLAG_UNREADABLE);
        return;
    }
    let index = usize::from(direction & 1);
    if connection.class == Class::Http2 as u8 {
        let fresh = next_budget(connection);
        if LOOP && is_known(&mut connection.framing[index], scratch, len) {
            let Connection { framing, budgets, .. } = connection;
            if tour(
                &mut framing[index],
                &mut budgets[index],
                fresh,
                scratch,
                counters,
                slot,
            ) {
                budgets[index ^ 1].renew();
            }
            return;
        }
        connection.budget[index] = fresh;
    }
    let budget = connection.budget[index];
    let allowed = len.min(budget);
    connection.budget[index] = budget - allowed;
    scratch.operation.allowed = allowed;
    // The budget of other classes is not one of messages.
    if allowed == budget && connection.class() == Class::Http1 {
        scratch.operation.spent = FLAG_SPENT;
    }
    if next_chunk::<LOOP>(scratch, counters) == 0 {
        more_chunks::<LOOP>(shared(scratch), shared(counters), slot);
    }
    let scratch = shared(scratch);
    let done = scratch.operation.done;
    if done < len {
        counters.add(Counter::BudgetBytes, u64::from(len - done));
        tail::<LOOP>(scratch, counters);
    }
}

/// Copies what does not fit the first chunk.
#[inline(always)]
fn more_chunks<const LOOP: bool>(scratch: &mut Scratch, counters: &mut Counters, slot: Slot) {
    if LOOP {
        let mut slot = slot;
        // SAFETY: the callback has the signature the helper calls, and `slot` outlives the call.
        unsafe {
            bpf_loop(
                MAX_CHUNKS as u32 - 1,
                on_chunk as *mut _,
                (&raw mut slot).cast(),
                0,
            );
        }
        return;
    }
    let mut chunk = 1;
    while chunk < MAX_CHUNKS && next_chunk_called::<LOOP>(scratch, counters) == 0 {
        chunk += 1;
    }
}

/// [`next_chunk`], as a function of its own: the loop around it must not be copied out.
#[inline(never)]
fn next_chunk_called<const LOOP: bool>(scratch: &mut Scratch, counters: &mut Counters) -> i64 {
    next_chunk::<LOOP>(scratch, counters)
}

/// Called by `bpf_loop` for each further chunk.
extern "C" fn on_chunk(_index: u32, slot: *mut c_void) -> i64 {
    // SAFETY: `capture` passes its own slot.
    let slot = unsafe { *slot.cast::<Slot>() };
    match (scratch(slot), counters(slot)) {
        (Some(scratch), Some(counters)) => next_chunk::<true>(scratch, counters),
        _ => 1,
    }
}

/// Copies and sends the next chunk; non-zero when there is no other.
#[inline(always)]
fn next_chunk<const LOOP: bool>(scratch: &mut Scratch, counters: &mut Counters) -> i64 {
    let Operation { allowed, done, .. } = scratch.operation;
    if allowed <= done {
        return 1;
    }
    let want = (allowed - done).min(CHUNK_BYTES as u32);
    let got = gather::<LOOP>(scratch, done, want);
    scratch.operation.done = done + got;
    if got < want {
        counters.add(Counter::FaultOperations, 1);
        send(scratch, counters, done, got, FLAG_UNREADABLE);
        return 1;
    }
    let is_last = done + got == allowed;
    let spent = if is_last { scratch.operation.spent } else { 0 };
    send(scratch, counters, done, got, spent);
    i64::from(is_last)
}

/// The end of a chunked body beyond the budget: `0\r\n\r\n`, or trailers that end in an empty line. Without it the
/// agent would not know where the body ends before the next message.
#[inline(never)]
fn tail<const LOOP: bool>(scratch: &mut Scratch, counters: &mut Counters) {
    let Operation { len, done, .. } = scratch.operation;
    if len < done + size_of_val(&ENDING) as u32 {
        return;
    }
    let want = (len - done).min(TAIL_BYTES as u32);
    let got = gather::<LOOP>(scratch, len - want, want);
    if got != want {
        return;
    }
    let end = want as usize;
    let byte = |back: usize| u32::from(scratch.data[(end - back) & (CHUNK_BYTES - 1)]);
    let ending = byte(4) | byte(3) << 8 | byte(2) << 16 | byte(1) << 24;
    if ending == ENDING {
        send(scratch, counters, len - want, got, FLAG_TAIL);
    }
}

/// Sends `got` bytes of the scratch that start `skip` bytes into the operation.
#[inline(never)]
pub(crate) fn send(scratch: &mut Scratch, counters: &mut Counters, skip: u32, got: u32, flags: u8) {
    let operation = &scratch.operation;
    let end = operation.position.wrapping_add(u64::from(operation.len));
    let position = operation.position.wrapping_add(u64::from(skip));
    let turn = if skip == 0 { operation.turn } else { 0 };
    let cut = if position.wrapping_add(u64::from(got)) < end {
        FLAG_CUT
    } else {
        0
    };
    let ring = operation.ring;
    scratch.header = Header {
        kind: KIND_DATA,
        direction: operation.direction,
        flags: flags | turn | cut | operation.layer,
        class: operation.class,
        captured: got,
        at_ns: operation.at_ns,
        cookie: operation.cookie,
        position,
        end,
        tgid: operation.tgid,
        reserved: 0,
    };
    emit(scratch, counters, got, ring);
}

/// Counts bytes that cannot be read, under their reason.
#[inline(always)]
fn missed(scratch: &Scratch, counters: &mut Counters) {
    if !scratch.source.is_unreadable() {
        return counters.add(Counter::FaultOperations, 1);
    }
    let bytes = u64::from(scratch.operation.len);
    match scratch.source.reason {
        Counter::BufferlessOperations => {
            counters.add(Counter::BufferlessOperations, 1);
            counters.add(Counter::BufferlessBytes, bytes);
        }
        Counter::IoUringOperations => {
            counters.add(Counter::IoUringOperations, 1);
            counters.add(Counter::IoUringBytes, bytes);
        }
        Counter::CompatOperations => counters.add(Counter::CompatOperations, 1),
        Counter::FaultOperations => counters.add(Counter::FaultOperations, 1),
        _ => {
            counters.add(Counter::UnknownSyscallOperations, 1);
            counters.add(Counter::UnknownSyscallBytes, bytes);
        }
    }
}
