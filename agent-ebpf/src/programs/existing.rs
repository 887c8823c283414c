//! Sockets that were open before the start.
//!
//! Hook: the iterator over every file of every task, run once by the agent. TCP sockets tell by their own counts that
//! they were joined late; for unix sockets this is the only way to know.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::bpf_sock_from_file;

use crate::{
    kernel::{Sock, load},
    maps::{Slot, constant},
    operation::existed,
};

/// `struct bpf_iter__task_file` (kernel/bpf/task_iter.c): each pointer is 8-byte aligned.
#[repr(C)]
struct TaskFile {
    meta: *const c_void,
    task: *const c_void,
    descriptor: u64,
    file: *mut c_void,
}

// SAFETY: the name and section are what the loader looks for.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task_file")]
fn on_existing(ctx: *const TaskFile) -> i32 {
    // SAFETY: the kernel passes this structure; the pointer is null at the end of the walk.
    let file = unsafe { (&raw const (*ctx).file).read_volatile() };
    if file.is_null() {
        return 0;
    }
    // SAFETY: a typed kernel pointer; the result is one too, or null.
    let socket = unsafe { bpf_sock_from_file(file.cast()) };
    if socket.is_null() {
        return 0;
    }
    // SAFETY: as above.
    let sock: Sock = unsafe { load(socket.cast_const().cast(), constant!(OFFSETS.socket_sk)) }
        .unwrap_or(core::ptr::null_mut());
    if !sock.is_null() {
        existed(Slot::Existing, sock);
    }
    0
}
