//! Sends and receives, tier 1.
//!
//! Hooks: the tracepoints `sock_send_length` and `sock_recv_length` (kernel commit 6e6eda44b939, 6.3), which the
//! kernel calls after every send and receive, whatever the system call or io_uring request behind it, and which
//! cost nothing to a system call that touches no socket. They cannot see `splice` *from* a TCP socket; its length shows in
//! the position of the next operation. The spare copies are attached from 7.0 on.

use apiarist_common::event::{EGRESS, INGRESS};
use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};

use crate::{
    maps::Slot,
    operation::finished,
    spare::{second, third},
};

/// `sock_send_length(struct sock *sk, int ret, int flags)`
#[btf_tracepoint(function = "sock_send_length")]
fn on_send(ctx: BtfTracePointContext) -> i32 {
    finished::<true>(Slot::Send, ctx.arg(0), ctx.arg(1), EGRESS, 0);
    0
}

/// `sock_recv_length(struct sock *sk, int ret, int flags)`
#[btf_tracepoint(function = "sock_recv_length")]
fn on_receive(ctx: BtfTracePointContext) -> i32 {
    finished::<true>(Slot::Receive, ctx.arg(0), ctx.arg(1), INGRESS, ctx.arg(2));
    0
}

#[btf_tracepoint(function = "sock_send_length")]
fn on_send_spare(ctx: BtfTracePointContext) -> i32 {
    second(Slot::SendSpare, ctx.arg(0), ctx.arg(1), EGRESS, 0);
    0
}

#[btf_tracepoint(function = "sock_recv_length")]
fn on_receive_spare(ctx: BtfTracePointContext) -> i32 {
    second(Slot::ReceiveSpare, ctx.arg(0), ctx.arg(1), INGRESS, ctx.arg(2));
    0
}

#[btf_tracepoint(function = "sock_send_length")]
fn on_send_third(ctx: BtfTracePointContext) -> i32 {
    third(
        Slot::SendThird,
        Slot::SendSpare,
        ctx.arg(0),
        ctx.arg(1),
        EGRESS,
        0,
    );
    0
}

#[btf_tracepoint(function = "sock_recv_length")]
fn on_receive_third(ctx: BtfTracePointContext) -> i32 {
    third(
        Slot::ReceiveThird,
        Slot::ReceiveSpare,
        ctx.arg(0),
        ctx.arg(1),
        INGRESS,
        ctx.arg(2),
    );
    0
}
