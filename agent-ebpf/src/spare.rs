//! Spare copies of the programs that see sends and receives.
//!
//! The kernel leaves a program out that is active on the processor already. From 7.0 on, tracepoints can be preempted:
//! a task that loses the processor within the program takes it out for everybody who runs there until it is back. A
//! second copy then does the work, and a third one when the second is stuck as well. A copy that ran leaves the thread's
//! number with the socket, for the next one to see that all is done.

use aya_ebpf::helpers::generated::bpf_get_current_pid_tgid;

use crate::{
    connection::{Connection, STATE_MUTED, existing},
    identity::{AF_INET, AF_INET6, AF_UNIX, family},
    kernel::Sock,
    maps::{Slot, constant, counters},
    operation::finished,
};

/// Notes that this thread's operation is dealt with.
#[inline(always)]
pub(crate) fn sign(connection: &mut Connection, direction: u8) {
    if constant!(SETTINGS.has_spares) != 0 {
        connection.signed_by[usize::from(direction & 1)] = thread();
    }
}

/// As [`finished`], by the second copy: nothing if the first one has done it.
#[inline(always)]
pub(crate) fn second(slot: Slot, sock: Sock, result: i32, direction: u8, flags: i32) {
    if !matches!(family(sock), AF_INET | AF_INET6 | AF_UNIX) {
        return;
    }
    let index = usize::from(direction & 1);
    if let Some(connection) = existing(sock) {
        if connection.is(STATE_MUTED) {
            return;
        }
        if connection.signed_by[index] == thread() {
            connection.signed_by[index] = 0;
            return;
        }
    }
    set_busy(slot, 1);
    finished::<true>(slot, sock, result, direction, flags);
    set_busy(slot, 0);
    if let Some(connection) = existing(sock) {
        connection.signed_by[index] = 0;
    }
}

/// As [`second`], by the third copy: only if the second one is at work for another task on this processor.
#[inline(always)]
pub(crate) fn third(slot: Slot, before: Slot, sock: Sock, result: i32, direction: u8, flags: i32) {
    if is_busy(before) {
        second(slot, sock, result, direction, flags);
    }
}

/// Its thread id: never zero, as idle tasks send nothing.
#[inline(always)]
fn thread() -> u32 {
    // SAFETY: no arguments.
    (unsafe { bpf_get_current_pid_tgid() }) as u32
}

#[inline(always)]
fn set_busy(slot: Slot, busy: u64) {
    if let Some(counters) = counters(slot) {
        // SAFETY: a field of a per-CPU value. Volatile: others read it while this program is stopped in between.
        unsafe { (&raw mut counters.busy).write_volatile(busy) };
    }
}

#[inline(always)]
fn is_busy(slot: Slot) -> bool {
    // SAFETY: as above.
    counters(slot).is_some_and(|counters| unsafe { (&raw const counters.busy).read_volatile() } != 0)
}
