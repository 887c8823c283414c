//! Functions of rustls that take and give plaintext.
//!
//! Hooks: entries, and the return of those that may take a part only, at offsets that the agent found in the executable.
//! They are compiled by Rust's own conventions, which agree with those of C for what is read here: pointers and lengths in
//! registers, larger values by their address. Nothing is written to the process.

use aya_ebpf::{
    macros::{uprobe, uretprobe},
    programs::{ProbeContext, RetProbeContext},
};

use crate::{
    kernel::register,
    rustls::{encrypts, keyed, received, writes, wrote},
};

/// Offset of the first register of a result within `struct pt_regs`.
#[cfg(bpf_target_arch = "x86_64")]
const RESULT: usize = 80;
#[cfg(bpf_target_arch = "aarch64")]
const RESULT: usize = 0;

/// The argument that is `self` where a result is returned by its address: that is an argument before it, or has a register
/// of its own.
#[cfg(bpf_target_arch = "x86_64")]
const SELF: usize = 1;
#[cfg(bpf_target_arch = "aarch64")]
const SELF: usize = 0;

/// `CommonState::buffer_plaintext(&mut self, payload: OutboundChunks, ..) -> usize`
#[uprobe]
fn on_rustls_write(ctx: ProbeContext) -> u32 {
    writes(ctx.arg(0).unwrap_or(0), ctx.arg(1).unwrap_or(0));
    0
}

/// It returns how many bytes it took.
#[uretprobe]
fn on_rustls_write_return(ctx: RetProbeContext) -> u32 {
    wrote::<true>(register(&ctx, RESULT));
    0
}

/// The same for kernels without `bpf_loop`.
#[uretprobe]
fn on_rustls_write_return_no_loop(ctx: RetProbeContext) -> u32 {
    wrote::<false>(register(&ctx, RESULT));
    0
}

/// `MessageEncrypter::encrypt(&self, ..)`, whose result is returned by its address.
#[uprobe]
fn on_rustls_encrypt(ctx: ProbeContext) -> u32 {
    encrypts(ctx.arg(SELF).unwrap_or(0));
    0
}

/// `CommonState::take_received_plaintext(&mut self, bytes: Payload)`
#[uprobe]
fn on_rustls_received(ctx: ProbeContext) -> u32 {
    received::<true>(ctx.arg(0).unwrap_or(0), ctx.arg(1).unwrap_or(0));
    0
}

/// The same for kernels without `bpf_loop`.
#[uprobe]
fn on_rustls_received_no_loop(ctx: ProbeContext) -> u32 {
    received::<false>(ctx.arg(0).unwrap_or(0), ctx.arg(1).unwrap_or(0));
    0
}

/// `Tls12AeadAlgorithm::encrypter` and `Tls13AeadAlgorithm::encrypter`, which return `Box<dyn MessageEncrypter>`.
#[uretprobe]
fn on_rustls_encrypter_return(ctx: RetProbeContext) -> u32 {
    keyed::<true>(register(&ctx, RESULT));
    0
}

/// The same for kernels without `bpf_loop`.
#[uretprobe]
fn on_rustls_encrypter_return_no_loop(ctx: RetProbeContext) -> u32 {
    keyed::<false>(register(&ctx, RESULT));
    0
}
