//! Functions of TLS libraries that take and give plaintext.
//!
//! Hooks: entry and return of each, at offsets that the agent found in the library's file; libraries with the same
//! shape of arguments share the programs. Nothing is written to the process.

use aya_ebpf::{
    macros::{uprobe, uretprobe},
    programs::{ProbeContext, RetProbeContext},
};

use crate::tls::{CallKind, Caller, Returned, Transport, enter, forget, leave};

/// `f(session, buffer, length)`: the bytes written are the result.
#[uprobe]
fn on_tls_write(ctx: ProbeContext) -> u32 {
    call(&ctx, CallKind::Write, 0)
}

/// `f(session, buffer, length)`: the bytes read are the result.
#[uprobe]
fn on_tls_read(ctx: ProbeContext) -> u32 {
    call(&ctx, CallKind::Read, 0)
}

/// `f(session, buffer, length, &written)`: 1 on success.
#[uprobe]
fn on_tls_write_ex(ctx: ProbeContext) -> u32 {
    call(&ctx, CallKind::Write, ctx.arg(3).unwrap_or(0))
}

/// `f(session, buffer, length, flags, &written)`: 1 on success.
#[uprobe]
fn on_tls_write_flags(ctx: ProbeContext) -> u32 {
    call(&ctx, CallKind::Write, ctx.arg(4).unwrap_or(0))
}

/// `f(session, buffer, length, &read)`: 1 on success.
#[uprobe]
fn on_tls_read_ex(ctx: ProbeContext) -> u32 {
    call(&ctx, CallKind::Read, ctx.arg(3).unwrap_or(0))
}

/// `f(file, buffer, length, ...)` of NSPR, whose files may be TLS: the bytes written are the result.
#[uprobe]
fn on_file_write(ctx: ProbeContext) -> u32 {
    file(&ctx, CallKind::Write)
}

/// `f(file, buffer, length, ...)` of NSPR: the bytes read are the result.
#[uprobe]
fn on_file_read(ctx: ProbeContext) -> u32 {
    file(&ctx, CallKind::Read)
}

/// `f(session)`: moves no plaintext, names the socket.
#[uprobe]
fn on_tls_handshake(ctx: ProbeContext) -> u32 {
    call(&ctx, CallKind::Handshake, 0)
}

/// `f(session)`: the session is freed.
#[uprobe]
fn on_tls_free(ctx: ProbeContext) -> u32 {
    if let Some(session) = ctx.arg(0) {
        forget(session);
    }
    0
}

#[uretprobe]
fn on_tls_return(ctx: RetProbeContext) -> u32 {
    leave::<true>(Caller::thread(), ctx.ret(), Returned::Moved);
    0
}

/// The same for kernels without `bpf_loop`.
#[uretprobe]
fn on_tls_return_no_loop(ctx: RetProbeContext) -> u32 {
    leave::<false>(Caller::thread(), ctx.ret(), Returned::Moved);
    0
}

#[uretprobe]
fn on_tls_handshake_return(ctx: RetProbeContext) -> u32 {
    leave::<true>(Caller::thread(), ctx.ret(), Returned::Handshake);
    0
}

/// The same for kernels without `bpf_loop`.
#[uretprobe]
fn on_tls_handshake_return_no_loop(ctx: RetProbeContext) -> u32 {
    leave::<false>(Caller::thread(), ctx.ret(), Returned::Handshake);
    0
}

#[inline(always)]
fn call(ctx: &ProbeContext, kind: CallKind, length_at: u64) -> u32 {
    if let Some(session) = ctx.arg(0) {
        let buffer = ctx.arg(1).unwrap_or(0);
        enter(
            Caller::thread(),
            kind,
            Transport::Session,
            session,
            buffer,
            length_at,
        );
    }
    0
}

#[inline(always)]
fn file(ctx: &ProbeContext, kind: CallKind) -> u32 {
    if let Some(file) = ctx.arg(0) {
        let buffer = ctx.arg(1).unwrap_or(0);
        enter(Caller::thread(), kind, Transport::File, file, buffer, 0);
    }
    0
}
