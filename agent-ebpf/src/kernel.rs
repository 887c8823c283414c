//! Reading kernel memory at offsets that the agent resolved from BTF.
//!
//! A field that this kernel does not have reads as `None`; the feature that wanted it does without.

use core::{ffi::c_void, mem::MaybeUninit};

use apiarist_common::offsets::ABSENT;
use aya_ebpf::{
    EbpfContext,
    helpers::generated::{bpf_get_current_task, bpf_get_current_task_btf, bpf_probe_read_kernel},
};

use crate::maps::constant;

/// A `struct sock *` from a program argument: the helpers take it as it is.
pub(crate) type Sock = *mut c_void;

/// Hides a value from the optimiser in a register, so that what is compared afterwards is what is used: the verifier
/// follows registers, not what the compiler proved about them.
#[inline(always)]
pub(crate) fn opaque(mut value: u64) -> u64 {
    // SAFETY: a register copied onto itself. (Without an instruction, the line information of two statements would
    // name the same one, which the kernel refuses.)
    unsafe { core::arch::asm!("{0} = {0}", inout(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

/// Tells the compiler that whoever is called may change what is behind a reference: a callback of a helper finds the same
/// memory by itself, which Rust takes to be impossible.
#[inline(always)]
pub(crate) fn shared<T>(value: &mut T) -> &mut T {
    let mut pointer: *mut T = value;
    // SAFETY: a register copied onto itself. It may read and write memory, as far as the compiler knows.
    unsafe {
        core::arch::asm!("{0} = {0}", inout(reg) pointer, options(nostack, preserves_flags));
        &mut *pointer
    }
}

/// Whether a helper succeeded. Kept apart from the value it delivers: kernels up to 6.7 may prune a branch on a mixed
/// `Result` wrongly.
#[inline(always)]
pub(crate) fn succeeded(status: i64) -> bool {
    opaque(status as u64) == 0
}

/// Reads a `T` at `base + offset`.
#[inline(always)]
pub(crate) fn read<T: Copy>(base: *const c_void, offset: u32) -> Option<T> {
    if offset == ABSENT {
        return None;
    }
    let mut value = MaybeUninit::<T>::uninit();
    // SAFETY: the helper checks the source, and the destination is `T`-sized stack memory.
    let status = unsafe {
        bpf_probe_read_kernel(
            value.as_mut_ptr().cast(),
            size_of::<T>() as u32,
            base.cast::<u8>().wrapping_add(offset as usize).cast(),
        )
    };
    if !succeeded(status) {
        return None;
    }
    // SAFETY: the helper filled it.
    Some(unsafe { value.assume_init() })
}

/// Loads a `T` straight from a pointer that the verifier knows as a kernel structure: cheaper than [`read`],
/// only within that structure.
///
/// # Safety
/// `base` comes from a program argument or from a helper that returns a typed kernel pointer.
#[inline(always)]
pub(crate) unsafe fn load<T: Copy>(base: *const c_void, offset: u32) -> Option<T> {
    if offset == ABSENT {
        return None;
    }
    // SAFETY: the verifier checks offset and size against the structure's BTF; a fault reads as zero.
    Some(unsafe { core::ptr::read_volatile(base.cast::<u8>().add(offset as usize).cast::<T>()) })
}

/// The task that runs now. Asked for once by whoever wants several fields: each call of a helper costs.
#[derive(Clone, Copy)]
pub(crate) struct Task(*const c_void);

impl Task {
    #[inline(always)]
    pub(crate) fn current() -> Self {
        Self(if constant!(SETTINGS.has_task_btf) != 0 {
            current_task()
        } else {
            // SAFETY: no arguments.
            unsafe { bpf_get_current_task() as *const c_void }
        })
    }

    /// Reads a field.
    #[inline(always)]
    pub(crate) fn field<T: Copy>(self, offset: u32) -> Option<T> {
        if constant!(SETTINGS.has_task_btf) != 0 {
            // SAFETY: a typed kernel pointer.
            unsafe { load(self.0, offset) }
        } else {
            read(self.0, offset)
        }
    }

    /// As a typed kernel pointer, which it is where `has_task_btf`.
    #[inline(always)]
    pub(crate) fn pointer(self) -> *const c_void {
        self.0
    }
}

/// Reads a field of the task that runs now.
#[inline(always)]
pub(crate) fn task_field<T: Copy>(offset: u32) -> Option<T> {
    Task::current().field(offset)
}

/// The task that runs now, as a typed kernel pointer (5.11 and later).
#[inline(always)]
pub(crate) fn current_task() -> *const c_void {
    // SAFETY: no arguments.
    unsafe { bpf_get_current_task_btf() }.cast_const().cast()
}

/// A register of the task that came to a probe, by its offset within `struct pt_regs`.
#[inline(always)]
pub(crate) fn register(ctx: &impl EbpfContext, offset: usize) -> u64 {
    // SAFETY: the verifier checks the offset.
    unsafe {
        ctx.as_ptr()
            .cast::<u8>()
            .add(offset)
            .cast::<u64>()
            .read_volatile()
    }
}
