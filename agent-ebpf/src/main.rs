//! The kernel programs of Apiarist.
//!
//! They watch stream sockets after each operation, decide in a few instructions whether a socket speaks HTTP or
//! TLS, and copy the head and the first part of each message into a ring buffer with its absolute position.
//! They never block, never write to user memory, never change what an operation returns, and keep state only
//! with the socket itself, which the kernel frees when the socket goes.
//!
//! | file | what |
//! |---|---|
//! | [`programs`] | the attach points, each a few lines |
//! | `operation` | what happens on every socket operation: positions |
//! | `decide` | which protocol a socket speaks, and whether its bytes are wanted |
//! | `budget` | how much of a message is copied |
//! | `connection` | state kept with each socket, classification, muting |
//! | `syscall` | where the user's buffer is: registers and system-call numbers |
//! | `tour` | the frames of an HTTP/2 operation: which of its bytes are copied |
//! | `gather` | copying from user buffers and iovec arrays |
//! | `emit` | events into rings, batched wake-ups |
//! | `identity` | the first event of a socket: addresses, process, namespace |
//! | `kernel` | reading kernel fields at offsets resolved by the agent |
//! | `own_stack` | programs whose stack is the task's own |
//! | `process` | processes that start, become another program, end |
//! | `scope` | which processes are looked at |
//! | `sequence` | positions of TCP streams, from the socket itself |
//! | `spare` | spare copies of programs, where tracepoints can be preempted |
//! | `kernel_tls` | sockets whose TLS the kernel does |
//! | `go` | registers of Go's calls |
//! | `rustls` | connections of rustls, which uses no socket itself |
//! | `tls` | sessions of TLS libraries, bound to their sockets |
//! | `told` | clients' sockets whose servers' ends tell the same |
//! | `maps` | maps and constants |
#![cfg_attr(target_arch = "bpf", no_std, no_main)]
#![cfg_attr(target_arch = "bpf", feature(asm_experimental_arch))]

#[cfg(target_arch = "bpf")]
mod budget;
#[cfg(target_arch = "bpf")]
mod connection;
#[cfg(target_arch = "bpf")]
mod decide;
#[cfg(target_arch = "bpf")]
mod emit;
#[cfg(target_arch = "bpf")]
mod gather;
#[cfg(target_arch = "bpf")]
mod go;
#[cfg(target_arch = "bpf")]
mod identity;
#[cfg(target_arch = "bpf")]
mod kernel;
#[cfg(target_arch = "bpf")]
mod kernel_tls;
#[cfg(target_arch = "bpf")]
mod maps;
#[cfg(target_arch = "bpf")]
mod operation;
#[cfg(target_arch = "bpf")]
mod own_stack;
#[cfg(target_arch = "bpf")]
mod process;
#[cfg(target_arch = "bpf")]
mod programs;
#[cfg(target_arch = "bpf")]
mod rustls;
#[cfg(target_arch = "bpf")]
mod scope;
#[cfg(target_arch = "bpf")]
mod sequence;
#[cfg(target_arch = "bpf")]
mod spare;
#[cfg(target_arch = "bpf")]
mod syscall;
#[cfg(target_arch = "bpf")]
mod tls;
#[cfg(target_arch = "bpf")]
mod told;
#[cfg(target_arch = "bpf")]
mod tour;
#[cfg(target_arch = "bpf")]
mod unread;

#[cfg(not(target_arch = "bpf"))]
fn main() {}

#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // The verifier refuses a program that can get here.
    loop {}
}

#[cfg(target_arch = "bpf")]
// SAFETY: the name and section are what the kernel's loader looks for; nothing else uses them.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
