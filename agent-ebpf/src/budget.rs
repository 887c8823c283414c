//! How much of a message is copied, and the copying.
//!
//! In: a wanted operation. Out: up to `MAX_CHUNKS` data events. A message has a budget: what is beyond it is known by
//! its length, and by the ending of a chunked body. HTTP/2 goes by frames, see [`crate::tour`].

use core::ffi::c_void;

use apiarist_common::{
    counter::Counter,
    event::{FLAG_CUT, FLAG_SPENT, FLAG_TAIL, FLAG_UNREADABLE, Header, KIND_DATA},
    limits::{CHUNK_BYTES, MAX_CHUNKS, PREFIX_BYTES, TAIL_BYTES},
    sniff::{Class, Verdict, sniff},
};
use aya_ebpf::helpers::generated::bpf_loop;

use crate::{
    connection::Connection,
    emit::emit,
    gather::gather,
    kernel::shared,
    maps::{Counters, Scratch, Slot, control, counters, scratch},
    operation::Operation,
    tour::{is_known, tour},
};

/// How a chunked body, and a trailer section, ends (RFC 9112 §7.1).
const ENDING: u32 = u32::from_le_bytes(*b"\r\n\r\n");

/// The budget of a message that starts: the whole one for sampled messages, enough for a head for the others.
#[inline(always)]
pub(crate) fn next_budget(connection: &mut Connection) -> u32 {
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
pub(crate) fn renew_budget<const LOOP: bool>(connection: &mut Connection, scratch: &mut Scratch) {
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
pub(crate) fn capture<const LOOP: bool>(
    connection: &mut Connection,
    scratch: &mut Scratch,
    counters: &mut Counters,
) {
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
        // Without the frames, all streams of an operation share one budget: cut short, it costs the heads of those behind.
        connection.budget[index] = if LOOP {
            fresh
        } else {
            fresh.saturating_mul(MAX_CHUNKS as u32)
        };
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
pub(crate) fn missed(scratch: &Scratch, counters: &mut Counters) {
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
