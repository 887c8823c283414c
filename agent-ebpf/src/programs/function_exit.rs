//! Sends and receives, tiers 2 and 3: kernels before 6.3.
//!
//! Hooks: exit of the protocol families' own send and receive functions. `sock_sendmsg` would be one place for all, but
//! it is inlined into its callers there and never fires. `inet_sendpage` carries `sendfile` until 6.4. Each program
//! exists twice: kernels before 5.17 refuse one that mentions a `bpf_loop` callback.

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

/// (sock, msg, size) → int
#[inline(always)]
fn sent<const LOOP: bool>(ctx: &FExitContext, slot: Slot) {
    let sock = sock_of(ctx.arg(0));
    if !sock.is_null() {
        finished::<LOOP>(slot, sock, ctx.arg(3), EGRESS, 0);
    }
}

/// (sock, msg, size, flags) → int
#[inline(always)]
fn received<const LOOP: bool>(ctx: &FExitContext, slot: Slot) {
    let sock = sock_of(ctx.arg(0));
    if !sock.is_null() {
        finished::<LOOP>(slot, sock, ctx.arg(4), INGRESS, ctx.arg(3));
    }
}

/// (sock, page, offset, size, flags) → ssize_t
#[inline(always)]
fn sent_page<const LOOP: bool>(ctx: &FExitContext, slot: Slot) {
    let sock = sock_of(ctx.arg(0));
    if !sock.is_null() {
        finished_without_buffer::<LOOP>(slot, sock, ctx.arg(5), EGRESS);
    }
}

macro_rules! programs {
    ($($function:literal: $work:ident, $slot:ident, $with_loop:ident, $without_loop:ident;)+) => {
        $(
            #[fexit(function = $function)]
            fn $with_loop(ctx: FExitContext) -> i32 {
                $work::<true>(&ctx, Slot::$slot);
                0
            }

            #[fexit(function = $function)]
            fn $without_loop(ctx: FExitContext) -> i32 {
                $work::<false>(&ctx, Slot::$slot);
                0
            }
        )+
    };
}

programs! {
    "inet_sendmsg": sent, Send, on_inet_send, on_inet_send_no_loop;
    "inet6_sendmsg": sent, SendInet6, on_inet6_send, on_inet6_send_no_loop;
    "unix_stream_sendmsg": sent, SendUnix, on_unix_send, on_unix_send_no_loop;
    "unix_seqpacket_sendmsg": sent, SendSeqpacket, on_seqpacket_send, on_seqpacket_send_no_loop;
    "inet_sendpage": sent_page, SendPage, on_inet_sendpage, on_inet_sendpage_no_loop;
    "inet_recvmsg": received, Receive, on_inet_receive, on_inet_receive_no_loop;
    "inet6_recvmsg": received, ReceiveInet6, on_inet6_receive, on_inet6_receive_no_loop;
    "unix_stream_recvmsg": received, ReceiveUnix, on_unix_receive, on_unix_receive_no_loop;
    "unix_seqpacket_recvmsg": received, ReceiveSeqpacket, on_seqpacket_receive, on_seqpacket_receive_no_loop;
}
