//! Programs whose stack is the task's own.
//!
//! From 6.13 on the kernel gives a program of this kind a stack for each processor when it uses 64 bytes or more, because
//! "the same program does not run twice on one processor". At probes it does: there programs are preempted, and another task
//! takes the same one from its start, over the values that the first one keeps on its stack. A program that holds a tail
//! call gets no such stack (`check_max_stack_depth` in kernel/bpf/verifier.c), also if the call can never be reached.

use core::arch::asm;

use crate::maps::constant;

/// To be called in every program at a user-space function that keeps anything on its stack. Costs nothing: the verifier
/// removes it.
#[inline(always)]
pub(crate) fn own_stack() {
    if constant!(SETTINGS.never) != 0 {
        // SAFETY: never reached; `bpf_tail_call` would leave the program, or clobber what is named here.
        unsafe {
            asm!(
                "call 12",
                out("r0") _,
                out("r1") _,
                out("r2") _,
                out("r3") _,
                out("r4") _,
                out("r5") _,
            );
        }
    }
}
