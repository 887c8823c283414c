//! Sends and receives, tiers 2 and 3: kernels before 6.3.
//!
//! Hooks: exit of the protocol families' own send and receive functions. `sock_sendmsg` would be one place for all, but
//! it is inlined into its callers there and never fires. `inet_sendpage` carries `sendfile` until 6.4.

use core::ffi::c_void;

use apiarist_common::event::{EGRESS, INGRESS};
use aya_ebpf::{macros::fexit, programs::FExitContext};

use crate::{
    kernel::{Sock, load},
    maps::{Slot, constant},
    operation::{finished, finished_without_buffer},
};

/// The `struct sock *` of a `struct socket *` from a program argument.
#[inline(always)]
pub(crate) fn sock_of(socket: *const c_void) -> Sock {
    // SAFETY: a typed kernel pointer; the result is one too.
    unsafe { load(socket, constant!(OFFSETS.socket_sk)) }.unwrap_or(core::ptr::null_mut())
}

#[inline(always)]
fn sent(ctx: &FExitContext, slot: Slot) {
    let sock = sock_of(ctx.arg(0));
    if !sock.is_null() {
        // (sock, msg, size) → int
        finished(slot, sock, ctx.arg(3), EGRESS, 0);
    }
}

#[inline(always)]
fn received(ctx: &FExitContext, slot: Slot) {
    let sock = sock_of(ctx.arg(0));
    if !sock.is_null() {
        // (sock, msg, size, flags) → int
        finished(slot, sock, ctx.arg(4), INGRESS, ctx.arg(3));
    }
}

#[fexit(function = "inet_sendmsg")]
fn on_inet_send(ctx: FExitContext) -> i32 {
    sent(&ctx, Slot::Send);
    0
}

#[fexit(function = "inet6_sendmsg")]
fn on_inet6_send(ctx: FExitContext) -> i32 {
    sent(&ctx, Slot::SendInet6);
    0
}

#[fexit(function = "unix_stream_sendmsg")]
fn on_unix_send(ctx: FExitContext) -> i32 {
    sent(&ctx, Slot::SendUnix);
    0
}

#[fexit(function = "inet_recvmsg")]
fn on_inet_receive(ctx: FExitContext) -> i32 {
    received(&ctx, Slot::Receive);
    0
}

#[fexit(function = "inet6_recvmsg")]
fn on_inet6_receive(ctx: FExitContext) -> i32 {
    received(&ctx, Slot::ReceiveInet6);
    0
}

#[fexit(function = "unix_stream_recvmsg")]
fn on_unix_receive(ctx: FExitContext) -> i32 {
    received(&ctx, Slot::ReceiveUnix);
    0
}

#[fexit(function = "unix_seqpacket_recvmsg")]
fn on_seqpacket_receive(ctx: FExitContext) -> i32 {
    received(&ctx, Slot::ReceiveSeqpacket);
    0
}

/// `inet_sendpage(struct socket *sock, struct page *page, int offset, size_t size, int flags)` → `ssize_t`
#[fexit(function = "inet_sendpage")]
fn on_inet_sendpage(ctx: FExitContext) -> i32 {
    let sock = sock_of(ctx.arg(0));
    if !sock.is_null() {
        finished_without_buffer(Slot::SendPage, sock, ctx.arg(5), EGRESS);
    }
    0
}
