//! Programs that start, so that their TLS library is found before they use it.
//!
//! Hook: `sched_process_exec`, after the new program is in place. Out: the process id, nothing else. A full ring loses it:
//! the process is noticed by its first connection.

use aya_ebpf::{
    bindings::BPF_RB_FORCE_WAKEUP,
    helpers::generated::{bpf_get_current_pid_tgid, bpf_ringbuf_output},
    macros::btf_tracepoint,
    programs::BtfTracePointContext,
};

use crate::maps::EXECS;

/// `sched_process_exec(struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm)`
#[btf_tracepoint(function = "sched_process_exec")]
fn on_exec(_ctx: BtfTracePointContext) -> i32 {
    // SAFETY: no arguments; a ring map and a word on the stack.
    unsafe {
        let mut tgid = (bpf_get_current_pid_tgid() >> 32) as u32;
        bpf_ringbuf_output(
            (&raw const EXECS).cast_mut().cast(),
            (&raw mut tgid).cast(),
            size_of::<u32>() as u64,
            u64::from(BPF_RB_FORCE_WAKEUP),
        );
    }
    0
}
