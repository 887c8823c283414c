//! The end of a TCP socket.
//!
//! Hooks: `inet_sock_set_state` tells that the owner finished sending (a close-delimited response ends there);
//! `tcp_destroy_sock` tells that the socket is gone, with its own byte counts for comparison. Unix sockets have no
//! such hook: the agent lets them go when they have been idle.

use apiarist_common::{
    event::{Close, EGRESS, Header, KIND_CLOSE},
    offsets::ABSENT,
};
use aya_ebpf::{
    helpers::generated::bpf_ktime_get_ns, macros::btf_tracepoint, programs::BtfTracePointContext,
};

use crate::{
    connection::{STATE_ANNOUNCED, STATE_MUTED, existing},
    emit::emit,
    kernel::{Sock, read},
    maps::{Slot, constant, scratch},
    operation::end_of_stream,
};

/// TCP states (include/net/tcp_states.h).
const TCP_FIN_WAIT1: i32 = 4;
const TCP_LAST_ACK: i32 = 9;

/// `inet_sock_set_state(const struct sock *sk, const int oldstate, const int newstate)`
#[btf_tracepoint(function = "inet_sock_set_state")]
fn on_state(ctx: BtfTracePointContext) -> i32 {
    let state: i32 = ctx.arg(2);
    if state != TCP_FIN_WAIT1 && state != TCP_LAST_ACK {
        return 0;
    }
    let Some(connection) = existing(ctx.arg(0)) else {
        return 0;
    };
    if connection.is(STATE_ANNOUNCED) && !connection.is(STATE_MUTED) {
        end_of_stream(Slot::State, connection, EGRESS);
    }
    0
}

/// `tcp_destroy_sock(struct sock *sk)`
#[btf_tracepoint(function = "tcp_destroy_sock")]
fn on_destroy(ctx: BtfTracePointContext) -> i32 {
    let sock: Sock = ctx.arg(0);
    let Some(connection) = existing(sock) else {
        return 0;
    };
    if !connection.is(STATE_ANNOUNCED) {
        return 0;
    }
    let Some(scratch) = scratch(Slot::Destroy) else {
        return 0;
    };
    let [egress, ingress] = connection.position;
    // SAFETY: scratch data is larger than a `Close` less its header, and lies right behind the header.
    let close = unsafe { &mut *(&raw mut scratch.header).cast::<Close>() };
    close.header = Header {
        kind: KIND_CLOSE,
        direction: 0,
        flags: 0,
        class: connection.class,
        captured: 0,
        // SAFETY: no arguments.
        at_ns: unsafe { bpf_ktime_get_ns() },
        cookie: connection.cookie,
        position: egress,
        end: ingress,
        tgid: 0,
        reserved: 0,
    };
    // What the peer acknowledged, plus what is still in flight (a FIN counts as one byte, so does a client's SYN).
    let acked: Option<u64> = read(sock, constant!(OFFSETS.tcp_bytes_acked));
    let queued: u32 = read(sock, constant!(OFFSETS.tcp_write_seq)).unwrap_or(0);
    let unacked: u32 = read(sock, constant!(OFFSETS.tcp_snd_una)).unwrap_or(queued);
    close.bytes_acked = match acked {
        Some(acked) => acked.wrapping_add(u64::from(queued.wrapping_sub(unacked))),
        None => u64::MAX,
    };
    close.bytes_received = match read(sock, constant!(OFFSETS.tcp_bytes_received)) {
        Some(received) if constant!(OFFSETS.tcp_bytes_received) != ABSENT => received,
        _ => u64::MAX,
    };
    emit(
        scratch,
        (size_of::<Close>() - size_of::<Header>()) as u32,
        connection.ring,
    );
    0
}
