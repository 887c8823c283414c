//! Buffers of io_uring operations, noted before they run.
//!
//! Hooks: entry of `security_socket_sendmsg` and `security_socket_recvmsg`, which every send and receive passes with its
//! `struct msghdr`. Other tasks leave after one look at their flags. Only where the kernel allows fentry; elsewhere
//! io_uring operations are counted, not read.

use aya_ebpf::{macros::fentry, programs::FEntryContext};

use crate::{kernel::Sock, maps::Slot, operation::starting, programs::function_exit::sock_of};

/// `security_socket_sendmsg(struct socket *sock, struct msghdr *msg, int size)`
#[fentry(function = "security_socket_sendmsg")]
fn on_send_start(ctx: FEntryContext) -> i32 {
    start(&ctx);
    0
}

/// `security_socket_recvmsg(struct socket *sock, struct msghdr *msg, int size, int flags)`
#[fentry(function = "security_socket_recvmsg")]
fn on_receive_start(ctx: FEntryContext) -> i32 {
    start(&ctx);
    0
}

#[inline(always)]
fn start(ctx: &FEntryContext) {
    let sock: Sock = sock_of(ctx.arg(0));
    if !sock.is_null() {
        starting(Slot::Start, sock, ctx.arg(1));
    }
}
