//! How far a TCP socket says its directions have got.
//!
//! In: a socket. Out: its sequence numbers and byte counts. Positions of TCP streams follow these and not a sum of what
//! was seen: an operation that no program saw (the kernel left it out, or it passes no hook, like `splice` from a socket)
//! then leaves a gap of its exact length instead of shifting everything behind it. To be used by whoever has just
//! finished an operation on the socket: nobody else moves `write_seq` and `copied_seq`.

use core::ffi::c_void;

use apiarist_common::{
    counter::Counter,
    event::{EGRESS, INGRESS},
    offsets::ABSENT,
};
use aya_ebpf::helpers::generated::bpf_skc_to_tcp_sock;

use crate::{
    connection::{Connection, STATE_SEQUENCED},
    kernel::{Sock, load},
    maps::{Counters, Slot, constant},
};

/// Operations that moved less than they say before sequence numbers are not followed any more: somebody else feeds the
/// socket (a socket map, say).
const MAX_SURPRISES: u8 = 3;

/// Bit of `SOCK_DONE` in `skc_flags` (`enum sock_flags`): the peer's FIN has arrived.
const SOCK_DONE: u64 = 1 << 1;

/// Answer of [`unseen_before`]: nothing new happened.
pub(crate) const NOTHING_NEW: u64 = u64::MAX;

/// The socket as `struct tcp_sock *`; null if it is none.
#[inline(always)]
pub(crate) fn tcp(sock: Sock) -> *const c_void {
    // SAFETY: a socket from a program argument; the result is a typed kernel pointer or null.
    unsafe { bpf_skc_to_tcp_sock(sock) }.cast_const().cast()
}

/// The next byte to be sent by the process (`write_seq`), or read by it (`copied_seq`).
#[inline(always)]
fn sequence(tcp: *const c_void, direction: u8) -> u32 {
    // SAFETY: `tcp` is a `struct tcp_sock`, and the offsets lie within.
    let sequence = unsafe {
        if direction == EGRESS {
            load(tcp, constant!(OFFSETS.tcp_write_seq))
        } else {
            load(tcp, constant!(OFFSETS.tcp_copied_seq))
        }
    };
    sequence.unwrap_or(0)
}

/// Starts to follow the sequence numbers of a socket whose first operation moved `len` bytes.
#[inline(always)]
pub(crate) fn follow(sock: Sock, connection: &mut Connection, direction: u8, len: u32) {
    let tcp = tcp(sock);
    let known = constant!(OFFSETS.tcp_write_seq) != ABSENT && constant!(OFFSETS.tcp_copied_seq) != ABSENT;
    if tcp.is_null() || !known {
        return;
    }
    let [sent, read] = [sequence(tcp, EGRESS), sequence(tcp, INGRESS)];
    connection.sequence = if direction == EGRESS {
        [sent.wrapping_sub(len), read]
    } else {
        [sent, read.wrapping_sub(len)]
    };
    connection.state |= STATE_SEQUENCED;
}

/// Bytes that went through a direction unseen, before the operation that has just moved `len`; or [`NOTHING_NEW`] when the
/// socket says that this operation has been accounted for.
#[inline(always)]
pub(crate) fn unseen_before(
    sock: Sock,
    connection: &mut Connection,
    slot: Slot,
    direction: u8,
    len: u32,
    counters: &mut Counters,
) -> u64 {
    if !connection.is(STATE_SEQUENCED) {
        return 0;
    }
    let tcp = tcp(sock);
    if tcp.is_null() {
        return 0;
    }
    let index = usize::from(direction & 1);
    let now = sequence(tcp, direction);
    let moved = now.wrapping_sub(connection.sequence[index]);
    connection.sequence[index] = now;
    if moved == len {
        return 0;
    }
    let lengths = u64::from(moved) << 32 | u64::from(len);
    let place = u32::from(slot.is_spare()) << 1 | u32::from(direction & 1);
    disagreement(sock, connection, counters, lengths, place)
}

/// [`unseen_before`], when the socket `moved` another number of bytes than `len`. Arguments are packed: there may be five.
#[inline(never)]
fn disagreement(
    sock: Sock,
    connection: &mut Connection,
    counters: &mut Counters,
    lengths: u64,
    place: u32,
) -> u64 {
    let (moved, len) = ((lengths >> 32) as u32, lengths as u32);
    let (is_spare, direction) = (place & 2 != 0, (place & 1) as u8);
    let tcp = tcp(sock);
    if tcp.is_null() {
        return 0;
    }
    // Another's data under the same numbers (kernel TLS, and the like): what passes here is counted instead.
    if has_upper_layer(tcp) {
        connection.state &= !STATE_SEQUENCED;
        return 0;
    }
    let unseen = moved.wrapping_sub(len);
    if unseen <= i32::MAX as u32 {
        // A FIN takes a number too, and goes with the last bytes.
        if unseen == 1 && direction == INGRESS && fin_was_read(sock, tcp) {
            return 0;
        }
        counters.add(Counter::UnseenBytes, u64::from(unseen));
        return u64::from(unseen);
    }
    if moved == 0 && is_spare {
        return NOTHING_NEW;
    }
    connection.surprises = connection.surprises.saturating_add(1);
    if connection.surprises >= MAX_SURPRISES {
        connection.state &= !STATE_SEQUENCED;
        return 0;
    }
    // Two threads at once in one direction: which bytes came first cannot be told. The position stays right.
    if moved < len {
        let position = &mut connection.position[usize::from(direction)];
        *position = position.wrapping_add(u64::from(moved));
        counters.add(Counter::UnseenBytes, u64::from(moved));
    }
    NOTHING_NEW
}

/// Whether an upper-layer protocol sits on the socket.
#[inline(always)]
fn has_upper_layer(tcp: *const c_void) -> bool {
    // SAFETY: within `struct tcp_sock`.
    unsafe { load::<u64>(tcp, constant!(OFFSETS.tcp_ulp_ops)) }.unwrap_or(0) != 0
}

/// Whether the process has read all there is, with the peer's FIN.
#[inline(always)]
fn fin_was_read(sock: Sock, tcp: *const c_void) -> bool {
    // SAFETY: within `struct sock` and `struct tcp_sock`.
    let (flags, next, copied): (u64, u32, u32) = unsafe {
        (
            load(sock, constant!(OFFSETS.sock_flags)).unwrap_or(0),
            load(tcp, constant!(OFFSETS.tcp_rcv_nxt)).unwrap_or(0),
            load(tcp, constant!(OFFSETS.tcp_copied_seq)).unwrap_or(1),
        )
    };
    flags & SOCK_DONE != 0 && next == copied
}

/// Readings of counts that change together before they are taken as they are.
const READINGS: u32 = 4;

/// Payload bytes that the process has sent and read since the connection was made, without SYN and FIN, by the
/// socket's own counts, into `counts`; false for anything but TCP, and when it counts nothing, as after a reset
/// (`tcp_disconnect` clears the counts). A FIN that is queued but was never sent counts as one byte.
#[inline(never)]
pub(crate) fn own_counts(sock: Sock, counts: &mut [u64; 2]) -> bool {
    let tcp = tcp(sock);
    let known =
        constant!(OFFSETS.tcp_bytes_sent) != ABSENT && constant!(OFFSETS.tcp_bytes_received) != ABSENT;
    if tcp.is_null() || !known {
        return false;
    }
    // SAFETY: within `struct tcp_sock`.
    let count = |offset| unsafe { load::<u64>(tcp, offset) }.unwrap_or(0);
    // SAFETY: as above.
    let number = |offset| unsafe { load::<u32>(tcp, offset) }.unwrap_or(0);
    let sent = || {
        let all = count(constant!(OFFSETS.tcp_bytes_sent));
        let again = count(constant!(OFFSETS.tcp_bytes_retrans));
        (all.wrapping_sub(again), number(constant!(OFFSETS.tcp_snd_nxt)))
    };
    let received = || {
        let count = count(constant!(OFFSETS.tcp_bytes_received));
        (count, number(constant!(OFFSETS.tcp_rcv_nxt)))
    };
    let (sent, next_sent) = steady(sent);
    let (received, next_received) = steady(received);
    if sent | received == 0 {
        return false;
    }
    let queued = number(constant!(OFFSETS.tcp_write_seq)).wrapping_sub(next_sent);
    let unread = next_received.wrapping_sub(number(constant!(OFFSETS.tcp_copied_seq)));
    let fin = u64::from(fin_was_read(sock, tcp));
    *counts = [
        sent.wrapping_add(u64::from(queued)),
        received.wrapping_sub(u64::from(unread)).wrapping_sub(fin),
    ];
    true
}

/// A count and a number that change together: the socket is not locked, and segments come and go meanwhile, so both are
/// read until nothing changes.
#[inline(always)]
fn steady(read: impl Fn() -> (u64, u32)) -> (u64, u32) {
    let mut last = read();
    let mut reading = 1;
    while reading < READINGS {
        let now = read();
        if now == last {
            break;
        }
        last = now;
        reading += 1;
    }
    last
}
