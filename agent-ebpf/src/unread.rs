//! What goes through sockets whose TLS is not read here.
//!
//! In: operations on a muted socket. Out: now and then an event with the bytes so far, so that the agent need not wait for the end
//! of a connection that stays open for weeks to say how much of a workload it cannot read. An event comes when the bytes reach
//! another power of two, from [`FIRST_BYTES`] on: at most 50 for a connection, and at any time no more bytes are untold than told.

use apiarist_common::event::{Header, KIND_COUNT};
use aya_ebpf::helpers::generated::bpf_ktime_get_ns;

use crate::{
    connection::{Connection, STATE_ANNOUNCED},
    emit::emit,
    maps::{Counters, Slot, scratch},
    told::pass,
};

/// More than a handshake: most connections are told of by their end alone. A power of two.
const FIRST_BYTES: u64 = 1 << 14;

/// Counts an operation, and tells the sum when it has grown enough.
#[inline(never)]
pub(crate) fn count(
    connection: &mut Connection,
    direction: u8,
    len: u32,
    slot: Slot,
    counters: &mut Counters,
) {
    let [egress, ingress] = connection.passed;
    let before = egress.wrapping_add(ingress) | (FIRST_BYTES - 1);
    pass(connection, direction, len);
    let [egress, ingress] = connection.passed;
    let now = egress.wrapping_add(ingress) | (FIRST_BYTES - 1);
    // With another highest bit, what differs is more than what was.
    if before ^ now <= before || !connection.is(STATE_ANNOUNCED) {
        return;
    }
    let Some(scratch) = scratch(slot) else { return };
    let [sent, received] = connection.position;
    scratch.header = Header {
        kind: KIND_COUNT,
        direction: 0,
        flags: 0,
        class: connection.class,
        captured: 0,
        // SAFETY: no arguments.
        at_ns: unsafe { bpf_ktime_get_ns() },
        cookie: connection.cookie,
        position: sent.wrapping_add(egress),
        end: received.wrapping_add(ingress),
        tgid: 0,
        reserved: 0,
    };
    emit(scratch, counters, 0, connection.ring);
}
