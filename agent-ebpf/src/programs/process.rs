//! Processes that start, become another program, and end.
//!
//! Hooks: `sched_process_fork`, in the parent, before the child runs; `sched_process_exec`, after the new program is in
//! place; `sched_process_exit`, while the process still has what it is known by.

use core::ffi::c_void;

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};

use crate::{
    process::{executed, exited, forked},
    tls,
};

/// `sched_process_fork(struct task_struct *parent, struct task_struct *child)`
#[btf_tracepoint(function = "sched_process_fork")]
fn on_fork(ctx: BtfTracePointContext) -> i32 {
    let child: *const c_void = ctx.arg(1);
    forked(child);
    tls::copied(child);
    0
}

/// `sched_process_exec(struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm)`
#[btf_tracepoint(function = "sched_process_exec")]
fn on_exec(_ctx: BtfTracePointContext) -> i32 {
    executed();
    0
}

/// `sched_process_exit(struct task_struct *p)`
#[btf_tracepoint(function = "sched_process_exit")]
fn on_exit(_ctx: BtfTracePointContext) -> i32 {
    exited();
    0
}
