//! Methods of Go's `crypto/tls.Conn`.
//!
//! Hooks: the entry of each method and every instruction that returns from it, at offsets that the agent found in the
//! executable. A method that finds its stack too small, or is to let others run, starts again: `Write`, which is told at its
//! start, is probed at the jump that decides that. For the others a second start says what the first did. No return probes:
//! they replace return addresses on the stack, which Go walks and moves.

use aya_ebpf::{macros::uprobe, programs::ProbeContext};

use crate::{
    go::{argument, goroutine, result, starts_again},
    tls::{CallKind, Caller, Returned, Transport, enter, forget, leave, write},
};

/// `Write(b []byte) (n int, err error)`, at the jump that looks after its stack.
#[uprobe]
fn on_go_write(ctx: ProbeContext) -> u32 {
    if starts_again(&ctx) {
        return 0;
    }
    write::<true>(
        caller(&ctx),
        argument(&ctx, 0),
        argument(&ctx, 1),
        argument(&ctx, 2),
    );
    0
}

/// The same for kernels without `bpf_loop`.
#[uprobe]
fn on_go_write_no_loop(ctx: ProbeContext) -> u32 {
    if starts_again(&ctx) {
        return 0;
    }
    write::<false>(
        caller(&ctx),
        argument(&ctx, 0),
        argument(&ctx, 1),
        argument(&ctx, 2),
    );
    0
}

/// `Close() error`: the next session may have this one's address.
#[uprobe]
fn on_go_close(ctx: ProbeContext) -> u32 {
    forget(argument(&ctx, 0));
    0
}

/// `Read(b []byte) (n int, err error)`
#[uprobe]
fn on_go_read(ctx: ProbeContext) -> u32 {
    call(&ctx, CallKind::Read)
}

/// `handshakeContext(ctx context.Context) error`: moves no plaintext, names the socket.
#[uprobe]
fn on_go_handshake(ctx: ProbeContext) -> u32 {
    call(&ctx, CallKind::Handshake)
}

#[uprobe]
fn on_go_return(ctx: ProbeContext) -> u32 {
    leave::<true>(caller(&ctx), result(&ctx), Returned::Moved);
    0
}

/// The same for kernels without `bpf_loop`.
#[uprobe]
fn on_go_return_no_loop(ctx: ProbeContext) -> u32 {
    leave::<false>(caller(&ctx), result(&ctx), Returned::Moved);
    0
}

/// Of `Write`.
#[uprobe]
fn on_go_write_return(ctx: ProbeContext) -> u32 {
    leave::<true>(caller(&ctx), result(&ctx), Returned::Told);
    0
}

/// The same for kernels without `bpf_loop`.
#[uprobe]
fn on_go_write_return_no_loop(ctx: ProbeContext) -> u32 {
    leave::<false>(caller(&ctx), result(&ctx), Returned::Told);
    0
}

#[uprobe]
fn on_go_handshake_return(ctx: ProbeContext) -> u32 {
    leave::<true>(caller(&ctx), 0, Returned::Handshake);
    0
}

/// The same for kernels without `bpf_loop`.
#[uprobe]
fn on_go_handshake_return_no_loop(ctx: ProbeContext) -> u32 {
    leave::<false>(caller(&ctx), 0, Returned::Handshake);
    0
}

#[inline(always)]
fn caller(ctx: &ProbeContext) -> Caller {
    Caller::goroutine(goroutine(ctx))
}

#[inline(always)]
fn call(ctx: &ProbeContext, kind: CallKind) -> u32 {
    let (connection, buffer) = (argument(ctx, 0), argument(ctx, 1));
    enter(caller(ctx), kind, Transport::Session, connection, buffer, 0);
    0
}
