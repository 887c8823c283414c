//! Go: where its register-based calls keep what matters.
//!
//! A goroutine may go on in another thread while it waits, so it, not the thread, is who makes a call. Its descriptor
//! stays in one register all the time, in system calls too: that is how a socket operation is told to belong to a call.
//!
//! Source: Go, `src/cmd/compile/abi-internal.md`; since Go 1.17 on x86-64, 1.18 on AArch64. `src/cmd/internal/obj/x86/obj6.go`
//! and its sibling for AArch64 (`stacksplit`).

use core::ffi::c_void;

use apiarist_common::offsets::ABSENT;
use aya_ebpf::{helpers::generated::bpf_task_pt_regs, programs::ProbeContext};

use crate::{
    kernel::{current_task, read, register, task_field},
    maps::constant,
};

/// Offsets within `struct pt_regs`.
#[cfg(bpf_target_arch = "x86_64")]
mod arch {
    pub(super) const ARGUMENTS: [usize; 3] = [80, 40, 88];
    pub(super) const RESULT: usize = 80;
    pub(super) const GOROUTINE: usize = 8;
    pub(super) const PT_REGS_BYTES: u64 = 168;
    pub(super) const FLAGS: usize = 144;

    /// `jbe`: the carry flag or the zero flag (Intel SDM, volume 2, `Jcc`).
    pub(super) fn is_not_above(flags: u64) -> bool {
        flags & 0x41 != 0
    }
}

#[cfg(bpf_target_arch = "aarch64")]
mod arch {
    pub(super) const ARGUMENTS: [usize; 3] = [0, 8, 16];
    pub(super) const RESULT: usize = 0;
    pub(super) const GOROUTINE: usize = 28 * 8;
    pub(super) const PT_REGS_BYTES: u64 = 336;
    pub(super) const FLAGS: usize = 264;

    /// `b.ls`: C clear or Z set (Arm Architecture Reference Manual, C1.2.4).
    pub(super) fn is_not_above(flags: u64) -> bool {
        flags & (1 << 29) == 0 || flags & (1 << 30) != 0
    }
}

/// At the jump that looks after the stack: whether it is taken. Then the stack grows, or another goroutine runs first, and
/// the function starts again, with the same arguments: this time nothing has happened yet.
#[inline(always)]
pub(crate) fn starts_again(ctx: &ProbeContext) -> bool {
    arch::is_not_above(register(ctx, arch::FLAGS))
}

/// An argument of the function that is entered: a word, or a part of one of several words.
#[inline(always)]
pub(crate) fn argument(ctx: &ProbeContext, index: usize) -> u64 {
    arch::ARGUMENTS
        .get(index)
        .map_or(0, |offset| register(ctx, *offset))
}

/// The first result of the function that is left.
#[inline(always)]
pub(crate) fn result(ctx: &ProbeContext) -> i32 {
    register(ctx, arch::RESULT) as i32
}

/// The goroutine at a probe.
#[inline(always)]
pub(crate) fn goroutine(ctx: &ProbeContext) -> u64 {
    register(ctx, arch::GOROUTINE)
}

/// What is in the register of the goroutine while this thread is in a system call: anything, if it is not one of Go's.
#[inline(always)]
pub(crate) fn calling_goroutine() -> Option<u64> {
    if constant!(SETTINGS.has_task_pt_regs) != 0 {
        // SAFETY: a typed kernel pointer; the result is one too, and the verifier checks the offset.
        return Some(unsafe {
            let base = bpf_task_pt_regs(current_task().cast_mut().cast()) as *const u8;
            base.add(arch::GOROUTINE).cast::<u64>().read_volatile()
        });
    }
    if constant!(OFFSETS.task_stack) == ABSENT {
        return None;
    }
    let stack: u64 = task_field(constant!(OFFSETS.task_stack))?;
    let base = stack + u64::from(constant!(SETTINGS.thread_size)) - arch::PT_REGS_BYTES;
    read(base as *const c_void, arch::GOROUTINE as u32)
}
