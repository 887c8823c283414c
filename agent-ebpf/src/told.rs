//! Clients' sockets that are not copied any more, because the servers' ends, on this host, tell the same.
//!
//! In: the agent's word, by cookie. Out: a muted socket, from the start of a request on, so that its position stands at the
//! end of a message. The agent gives its word when it has seen both ends say the same for a while (`flow::told` there);
//! the programs ask for it now and then at sockets that send requests, and at no others. There is no way back: what the
//! agent does not read at one end it does not miss there.

use apiarist_common::{event::EGRESS, sniff::Class};

use crate::{
    connection::{Connection, STATE_KERNEL_TLS, STATE_MUTED},
    maps::TOLD,
};

/// Of how many requests one asks: a power of two.
const REQUESTS: u8 = 4;

/// Whether the operation at hand, and all that follow it, are left out; the socket is muted then.
#[inline(always)]
pub(crate) fn leave_out(connection: &mut Connection, direction: u8) -> bool {
    let starts_request = connection.calls != 0 && direction == EGRESS && connection.last_direction != EGRESS;
    // Messages of both directions are counted.
    if !starts_request || (connection.messages >> 1) & (REQUESTS - 1) != 0 {
        return false;
    }
    let is_plain =
        matches!(connection.class(), Class::Http1 | Class::Http2) && !connection.is(STATE_KERNEL_TLS);
    if !is_plain || TOLD.get_ptr(connection.cookie).is_none() {
        return false;
    }
    connection.state |= STATE_MUTED;
    connection.told = 1;
    true
}

/// Counts the bytes of an operation that is left out.
#[inline(always)]
pub(crate) fn pass(connection: &mut Connection, direction: u8, len: u32) {
    let passed = &mut connection.passed[usize::from(direction & 1)];
    *passed = passed.wrapping_add(u64::from(len));
}
