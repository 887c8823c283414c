//! The end of a socket.
//!
//! Hooks: `inet_sock_set_state` tells that the owner finished sending (a close-delimited response ends there);
//! `tcp_destroy_sock` tells that the socket is gone, with its own byte counts for comparison; `unix_release_sock`, where
//! the kernel allows fentry, tells the same of a unix socket. Elsewhere the agent lets unix sockets go when they have
//! been idle.

use apiarist_common::{
    event::{Close, EGRESS, FLAG_TOLD, Header, KIND_CLOSE},
    sniff::Class,
};
use aya_ebpf::{
    helpers::generated::bpf_ktime_get_ns,
    macros::{btf_tracepoint, fentry},
    programs::{BtfTracePointContext, FEntryContext},
};

use crate::{
    connection::{STATE_ANNOUNCED, STATE_MUTED, STATE_SEQUENCED, existing, forget},
    emit::emit,
    kernel::Sock,
    maps::{Slot, constant, counters, scratch},
    operation::end_of_stream,
    rustls,
    sequence::own_counts,
};

/// TCP states (include/net/tcp_states.h).
const TCP_FIN_WAIT1: i32 = 4;
const TCP_LAST_ACK: i32 = 9;

/// `inet_sock_set_state(const struct sock *sk, const int oldstate, const int newstate)`
#[btf_tracepoint(function = "inet_sock_set_state")]
fn on_state(ctx: BtfTracePointContext) -> i32 {
    changed(&ctx, Slot::State);
    0
}

/// The same, for a socket whose state changes while the processor is within the first program: see [`on_destroy_spare`].
#[btf_tracepoint(function = "inet_sock_set_state")]
fn on_state_spare(ctx: BtfTracePointContext) -> i32 {
    changed(&ctx, Slot::StateSpare);
    0
}

#[inline(always)]
fn changed(ctx: &BtfTracePointContext, slot: Slot) {
    let state: i32 = ctx.arg(2);
    if state != TCP_FIN_WAIT1 && state != TCP_LAST_ACK {
        return;
    }
    let connection = existing(ctx.arg(0));
    if let Some(connection) = &connection
        && constant!(SETTINGS.tls) != 0
        && connection.class() == Class::Tls
    {
        rustls::finished(connection.cookie);
    }
    if let Some(connection) = connection
        && connection.is(STATE_ANNOUNCED)
        && !connection.is(STATE_MUTED)
        && connection.end_told == 0
    {
        // Told once.
        connection.end_told = 1;
        end_of_stream(slot, connection, EGRESS);
    }
}

/// `tcp_destroy_sock(struct sock *sk)`
#[btf_tracepoint(function = "tcp_destroy_sock")]
fn on_destroy(ctx: BtfTracePointContext) -> i32 {
    closed(ctx.arg(0), Slot::Destroy);
    0
}

/// The same, for a socket that goes while the processor is within the first program: its owner's last look at what arrived
/// may be interrupted (`release_sock`, with interrupts and, from 7.0 on, preemption allowed).
#[btf_tracepoint(function = "tcp_destroy_sock")]
fn on_destroy_spare(ctx: BtfTracePointContext) -> i32 {
    closed(ctx.arg(0), Slot::DestroySpare);
    0
}

/// `unix_release_sock(struct sock *sk, int embrion)`
#[fentry(function = "unix_release_sock")]
fn on_unix_release(ctx: FEntryContext) -> i32 {
    closed(ctx.arg(0), Slot::UnixRelease);
    0
}

/// The same, while the processor is within the first program.
#[fentry(function = "unix_release_sock")]
fn on_unix_release_spare(ctx: FEntryContext) -> i32 {
    closed(ctx.arg(0), Slot::UnixReleaseSpare);
    0
}

/// Tells the agent that a socket is gone, if it knows it, and forgets it.
#[inline(always)]
fn closed(sock: Sock, slot: Slot) {
    if constant!(SETTINGS.tls) != 0
        && let Some(connection) = existing(sock)
        && connection.class() == Class::Tls
    {
        rustls::closed(connection.cookie);
    }
    if let Some(connection) = existing(sock)
        && connection.is(STATE_ANNOUNCED)
        && let Some(scratch) = scratch(slot)
        && let Some(counters) = counters(slot)
    {
        let [egress, ingress] = connection.position;
        // SAFETY: scratch data is larger than a `Close` less its header, and lies right behind the header.
        let close = unsafe { &mut *(&raw mut scratch.header).cast::<Close>() };
        close.header = Header {
            kind: KIND_CLOSE,
            direction: 0,
            flags: if connection.told != 0 { FLAG_TOLD } else { 0 },
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
        let mut counts = match connection.told {
            0 => [u64::MAX; 2],
            _ => [0, 1].map(|index| connection.position[index].wrapping_add(connection.passed[index])),
        };
        let unknown = counts;
        // Positions of a muted socket stand still; those of one with an upper layer are not the socket's.
        // A TLS socket's, and those of one that was muted for the other end's sake, tell how much was not read.
        let is_followed = !connection.is(STATE_MUTED) || connection.told != 0;
        let comparable = connection.is(STATE_SEQUENCED) && is_followed || connection.class() == Class::Tls;
        if comparable && !own_counts(sock, &mut counts) {
            counts = unknown;
        }
        [close.bytes_acked, close.bytes_received] = counts;
        let len = size_of::<Close>() - size_of::<Header>();
        emit(scratch, counters, len as u32, connection.ring);
        // Told once.
        connection.state &= !STATE_ANNOUNCED;
    }
    forget(sock);
}
