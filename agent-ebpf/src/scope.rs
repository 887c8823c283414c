//! Which processes are looked at, when one command alone is observed.
//!
//! In: the current process. Out: whether it is in the control group of the command, or in one below it. All others cost
//! one look at each of their sockets, and no room in the rings: they cannot crowd out what is observed.

use aya_ebpf::helpers::generated::{bpf_get_current_ancestor_cgroup_id, bpf_get_current_cgroup_id};

use crate::maps::constant;

/// Nesting of control groups that is looked at. Overflow policy: what is deeper is not observed.
const MAX_LEVELS: i32 = 24;

/// Whether the current process is looked at.
#[inline(always)]
pub(crate) fn in_scope() -> bool {
    let wanted = constant!(SETTINGS.scope_cgroup);
    wanted == 0 || is_member(wanted)
}

#[inline(never)]
fn is_member(wanted: u64) -> bool {
    // SAFETY: no arguments.
    if unsafe { bpf_get_current_cgroup_id() } == wanted {
        return true;
    }
    // Both came to tracing programs with 5.15; the verifier must not see the other call before.
    if constant!(SETTINGS.has_task_pt_regs) == 0 {
        return false;
    }
    let mut level = 1;
    while level < MAX_LEVELS {
        // SAFETY: a number; the kernel answers 0 for levels that there are not.
        if unsafe { bpf_get_current_ancestor_cgroup_id(level) } == wanted {
            return true;
        }
        level += 1;
    }
    false
}
