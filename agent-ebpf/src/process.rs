//! Who runs as what: the program, directory and arguments of a process, read as long as it has them.
//!
//! In: a task. Out: events into a ring of their own. Paths are put together as the kernel does it (`prepend_path`), name by
//! name from the last one to the root of the process's own mounts. Forks and exits wake nobody; a program that starts
//! does, so that its TLS library is found before it is used. A ring without room loses the event, which is counted.

use core::ffi::c_void;

use apiarist_common::{
    counter::Counter,
    offsets::ABSENT,
    process::{
        PROCESS_ARGUMENTS_BYTES, PROCESS_EXEC, PROCESS_EXIT, PROCESS_FORK, PROCESS_PATH_BYTES,
        PROCESS_PATH_UNKNOWN, ProcessExec, ProcessHeader,
    },
};
use aya_ebpf::{
    bindings::{BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP},
    helpers::generated::{
        bpf_get_current_cgroup_id, bpf_get_current_comm, bpf_get_current_pid_tgid, bpf_probe_read_kernel_str,
        bpf_probe_read_user, bpf_ringbuf_output,
    },
    macros::map,
    maps::{PerCpuArray, RingBuf},
};

use crate::{
    identity::process_start,
    kernel::{opaque, read, succeeded, task_field},
    maps::{RING_BYTES, Slot, constant, counters},
};

/// Names and mounts between a file and its root. Overflow policy: a deeper path is unknown.
const MAX_STEPS: u32 = 32;

/// Processes that start, become another program, and end.
#[map]
static PROCESSES: RingBuf = RingBuf::with_byte_size(RING_BYTES, 0);

/// An event under construction, and the walk along a path.
#[repr(C)]
struct Scratch {
    dentry: u64,
    mount: u64,
    /// Bytes of the path so far.
    len: u64,
    event: ProcessExec,
}

#[map]
static PROCESS_SCRATCH: PerCpuArray<Scratch> = PerCpuArray::with_max_entries(1, 0);

/// The current process was copied to `child`.
#[inline(always)]
pub(crate) fn forked(child: *const c_void) {
    let pid: u32 = read(child, constant!(OFFSETS.task_pid)).unwrap_or(0);
    let tgid: u32 = read(child, constant!(OFFSETS.task_tgid)).unwrap_or(0);
    // A thread is no process.
    if pid != tgid || tgid == 0 {
        return;
    }
    let mut header = ProcessHeader {
        kind: PROCESS_FORK,
        pid: tgid,
        start_ns: read(child, constant!(OFFSETS.task_start_boottime)).unwrap_or(0),
        parent_start_ns: process_start(),
        cgroup: cgroup(),
        parent: current().1,
        reserved: 0,
        comm: read(child, constant!(OFFSETS.task_comm)).unwrap_or([0; 16]),
    };
    tell(
        (&raw mut header).cast(),
        size_of::<ProcessHeader>() as u64,
        BPF_RB_NO_WAKEUP,
    );
}

/// A task of the current process ended.
#[inline(always)]
pub(crate) fn exited() {
    let (pid, tgid) = current();
    if pid != tgid {
        return;
    }
    let mut header = own_header(PROCESS_EXIT);
    tell(
        (&raw mut header).cast(),
        size_of::<ProcessHeader>() as u64,
        BPF_RB_NO_WAKEUP,
    );
}

/// The current process became another program.
#[inline(always)]
pub(crate) fn executed() {
    let Some(scratch) = PROCESS_SCRATCH.get_ptr_mut(0) else {
        return;
    };
    // SAFETY: this program's alone, on this processor.
    let scratch = unsafe { &mut *scratch };
    scratch.event.header = own_header(PROCESS_EXEC);
    scratch.event.reserved = 0;
    let memory: *const c_void = task_field(constant!(OFFSETS.task_mm)).unwrap_or(core::ptr::null());
    let file: *const c_void = read(memory, constant!(OFFSETS.mm_exe_file)).unwrap_or(core::ptr::null());
    let begun = begin(scratch, file, constant!(OFFSETS.file_path));
    scratch.event.executable_len = walk::<false>(scratch, begun);
    let place: *const c_void = task_field(constant!(OFFSETS.task_fs)).unwrap_or(core::ptr::null());
    let begun = begin(scratch, place, constant!(OFFSETS.fs_pwd));
    scratch.event.directory_len = walk::<true>(scratch, begun);
    let len = arguments(scratch, memory);
    scratch.event.arguments_len = len;
    let size = opaque(u64::from(len));
    let size = if size > PROCESS_ARGUMENTS_BYTES as u64 {
        PROCESS_ARGUMENTS_BYTES as u64
    } else {
        size
    };
    let fixed = (size_of::<ProcessExec>() - PROCESS_ARGUMENTS_BYTES) as u64;
    tell((&raw mut scratch.event).cast(), fixed + size, BPF_RB_FORCE_WAKEUP);
}

/// Copies the argument vector; returns its length.
#[inline(always)]
fn arguments(scratch: &mut Scratch, memory: *const c_void) -> u32 {
    let start: u64 = read(memory, constant!(OFFSETS.mm_arg_start)).unwrap_or(0);
    let end: u64 = read(memory, constant!(OFFSETS.mm_arg_end)).unwrap_or(0);
    let len = opaque(end.wrapping_sub(start));
    let len = if len > PROCESS_ARGUMENTS_BYTES as u64 {
        PROCESS_ARGUMENTS_BYTES as u64
    } else {
        len
    };
    // SAFETY: the destination holds as many; the helper checks the source.
    let status = unsafe {
        bpf_probe_read_user(
            scratch.event.arguments.as_mut_ptr().cast(),
            len as u32,
            start as *const c_void,
        )
    };
    if succeeded(status) { len as u32 } else { 0 }
}

/// Starts a walk from the `struct path` at `base + offset`.
#[inline(always)]
fn begin(scratch: &mut Scratch, base: *const c_void, offset: u32) -> bool {
    if base.is_null() || offset == ABSENT || constant!(OFFSETS.mount_mnt) == ABSENT {
        return false;
    }
    let path = base.wrapping_byte_add(offset as usize);
    scratch.len = 0;
    scratch.dentry = read(path, constant!(OFFSETS.path_dentry)).unwrap_or(0);
    scratch.mount = read(path, constant!(OFFSETS.path_mnt)).unwrap_or(0);
    scratch.dentry != 0 && scratch.mount != 0
}

/// What became of a step.
#[derive(PartialEq, Eq)]
enum Step {
    On,
    Root,
    Lost,
}

/// Walks to the root; returns the length of the path, or that it is unknown. Where it is written depends on `DIRECTORY`.
#[inline(always)]
fn walk<const DIRECTORY: bool>(scratch: &mut Scratch, begun: bool) -> u32 {
    if !begun {
        return PROCESS_PATH_UNKNOWN;
    }
    let mut steps = 0;
    while steps < MAX_STEPS {
        match step::<DIRECTORY>(scratch) {
            Step::On => {}
            Step::Root => return scratch.len as u32,
            Step::Lost => return PROCESS_PATH_UNKNOWN,
        }
        steps += 1;
    }
    PROCESS_PATH_UNKNOWN
}

/// One name, or the way from a mount to where it is mounted. All state is in memory, so that each step looks the same to the
/// verifier.
#[inline(always)]
fn step<const DIRECTORY: bool>(scratch: &mut Scratch) -> Step {
    let dentry = scratch.dentry as *const c_void;
    let mount = scratch.mount as *const c_void;
    let parent: u64 = read(dentry, constant!(OFFSETS.dentry_parent)).unwrap_or(0);
    let root: u64 = read(mount, constant!(OFFSETS.mount_root)).unwrap_or(0);
    if root == scratch.dentry {
        let inside = u64::from(constant!(OFFSETS.mount_mnt));
        let outer = scratch.mount.wrapping_sub(inside);
        let above: u64 = read(outer as *const c_void, constant!(OFFSETS.mount_parent)).unwrap_or(0);
        if above == outer {
            return Step::Root;
        }
        scratch.dentry = read(outer as *const c_void, constant!(OFFSETS.mount_point)).unwrap_or(0);
        scratch.mount = above.wrapping_add(inside);
        return Step::On;
    }
    // What hangs nowhere (a file in memory) has no path.
    if parent == 0 || parent == scratch.dentry {
        return Step::Lost;
    }
    let name: u64 = read(dentry, constant!(OFFSETS.dentry_name)).unwrap_or(0);
    let at = opaque(scratch.len) & (PROCESS_PATH_BYTES as u64 - 1);
    let room = PROCESS_PATH_BYTES as u64 - at;
    let path = if DIRECTORY {
        scratch.event.directory.as_mut_ptr()
    } else {
        scratch.event.executable.as_mut_ptr()
    };
    // SAFETY: at most to the end of the buffer, which other fields follow; the helper checks the source.
    let copied = unsafe {
        bpf_probe_read_kernel_str(path.add(at as usize).cast(), room as u32, name as *const c_void)
    };
    let copied = opaque(copied as u64);
    // A name that reaches the end may have been cut.
    if copied as i64 <= 1 || copied >= room {
        return Step::Lost;
    }
    scratch.len = at + copied;
    scratch.dentry = parent;
    Step::On
}

/// What events of the current process have.
#[inline(always)]
fn own_header(kind: u32) -> ProcessHeader {
    let parent: *const c_void = task_field(constant!(OFFSETS.task_real_parent)).unwrap_or(core::ptr::null());
    let mut comm = [0; 16];
    // SAFETY: a 16-byte destination.
    let named = unsafe { bpf_get_current_comm(comm.as_mut_ptr().cast(), 16) };
    if !succeeded(named) {
        comm = [0; 16];
    }
    ProcessHeader {
        kind,
        pid: current().1,
        start_ns: process_start(),
        parent_start_ns: 0,
        cgroup: cgroup(),
        parent: read(parent, constant!(OFFSETS.task_tgid)).unwrap_or(0),
        reserved: 0,
        comm,
    }
}

/// The thread and the process.
#[inline(always)]
fn current() -> (u32, u32) {
    // SAFETY: no arguments.
    let ids = unsafe { bpf_get_current_pid_tgid() };
    (ids as u32, (ids >> 32) as u32)
}

#[inline(always)]
fn cgroup() -> u64 {
    // SAFETY: no arguments.
    unsafe { bpf_get_current_cgroup_id() }
}

#[inline(always)]
fn tell(event: *mut c_void, size: u64, wake: u32) {
    let ring = (&raw const PROCESSES).cast_mut().cast();
    // SAFETY: a ring map, and memory of at least this size.
    let status = unsafe { bpf_ringbuf_output(ring, event, size, u64::from(wake)) };
    if !succeeded(status)
        && let Some(counters) = counters(Slot::State)
    {
        // No other program adds to this counter, so that of another may be interrupted.
        counters.add(Counter::ProcessEvents, 1);
    }
}
