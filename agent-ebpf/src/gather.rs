//! Copying a range of an operation's bytes out of the user's buffers.
//!
//! `skip` and `want` address the operation as one run of bytes, whatever the buffers look like. Returns how many
//! bytes were copied; fewer than wanted means that user memory faulted, which the caller counts.

use core::mem::MaybeUninit;

use apiarist_common::limits::{CHUNK_BYTES, MAX_IOVECS, MAX_IOVECS_UNROLLED};
use aya_ebpf::helpers::generated::{bpf_loop, bpf_probe_read_kernel, bpf_probe_read_user};

use crate::{
    kernel::{opaque, shared, succeeded},
    maps::{Scratch, Slot, scratch},
    syscall::SourceKind,
};

/// Elements that are read at once, before the walk is left to `bpf_loop`: a head and a body are what most servers write, and a
/// direct call is cheaper.
const FIRST_ELEMENTS: u32 = 2;

/// A `struct iovec`: address and length.
type Element = [u64; 2];

/// Progress through an iovec array.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Walk {
    /// Next `struct iovec`.
    iov: u64,
    /// Elements left.
    left: u64,
    /// Bytes still to skip.
    skip: u32,
    /// Bytes still to copy.
    want: u32,
    /// Bytes copied.
    filled: u32,
    slot: Slot,
}

/// Copies up to `want` bytes (at most a chunk) that start `skip` bytes into the operation to the scratch data.
#[inline(never)]
pub(crate) fn gather<const LOOP: bool>(scratch: &mut Scratch, skip: u32, want: u32) -> u32 {
    let source = scratch.source;
    match source.kind {
        SourceKind::Unreadable => 0,
        SourceKind::Flat => {
            let want = bounded(want);
            if copy(scratch.data.as_mut_ptr(), want, source.address + u64::from(skip)) {
                want
            } else {
                0
            }
        }
        SourceKind::Vector | SourceKind::KernelVector => {
            let slot = scratch.operation.slot;
            scratch.walk = Walk {
                iov: source.address,
                left: source.elements,
                skip,
                want,
                filled: 0,
                slot,
            };
            vector::<LOOP>(shared(scratch));
            shared(scratch).walk.filled
        }
    }
}

/// The least of `want` and a chunk, in a way that the verifier sees too.
#[inline(always)]
fn bounded(want: u32) -> u32 {
    let want = opaque(u64::from(want)) as u32;
    if want > CHUNK_BYTES as u32 {
        CHUNK_BYTES as u32
    } else {
        want
    }
}

#[inline(always)]
fn copy(destination: *mut u8, len: u32, address: u64) -> bool {
    // SAFETY: the callers bound `len` to the room behind `destination`; the helper checks the source.
    let status = unsafe { bpf_probe_read_user(destination.cast(), len, address as *const _) };
    succeeded(status)
}

#[inline(always)]
fn vector<const LOOP: bool>(scratch: &mut Scratch) {
    let unrolled = if LOOP { FIRST_ELEMENTS } else { MAX_IOVECS_UNROLLED };
    let mut i = 0;
    if LOOP && scratch.source.kind == SourceKind::Vector && scratch.walk.left >= u64::from(FIRST_ELEMENTS) {
        let mut elements = MaybeUninit::<[Element; FIRST_ELEMENTS as usize]>::uninit();
        // SAFETY: the destination is on the stack with this size; the helper checks the source.
        let status = unsafe {
            bpf_probe_read_user(
                elements.as_mut_ptr().cast(),
                size_of_val(&elements) as u32,
                scratch.walk.iov as *const _,
            )
        };
        if succeeded(status) {
            // SAFETY: the helper filled them.
            let [first, second] = unsafe { elements.assume_init() };
            if take(scratch, first) != 0 || take(scratch, second) != 0 {
                return;
            }
            i = FIRST_ELEMENTS;
        }
    }
    while i < MAX_IOVECS_UNROLLED && i < unrolled {
        if step(scratch) != 0 {
            return;
        }
        i += 1;
    }
    // Most operations end here: the call and its callback are not free.
    if LOOP && scratch.walk.left != 0 && scratch.walk.want != 0 {
        let mut slot = scratch.walk.slot;
        // SAFETY: the callback has the signature the helper calls, and `slot` outlives the call.
        unsafe {
            bpf_loop(MAX_IOVECS, on_element as *mut _, (&raw mut slot).cast(), 0);
        }
    }
}

/// Called by `bpf_loop` for each further element. A pointer to the scratch would not survive the trip through the
/// helper on every kernel, so it is looked up again.
extern "C" fn on_element(_index: u32, slot: *mut core::ffi::c_void) -> i64 {
    // SAFETY: `vector` passes its own slot.
    match scratch(unsafe { *slot.cast::<Slot>() }) {
        Some(scratch) => step(scratch),
        None => 1,
    }
}

/// Handles one element; non-zero ends the walk.
#[inline(always)]
fn step(scratch: &mut Scratch) -> i64 {
    let walk = &mut scratch.walk;
    if walk.left == 0 || walk.want == 0 {
        return 1;
    }
    // Zeroing would be a loop of its own for the verifier; the helper fills it, or the walk ends.
    let mut element = MaybeUninit::<Element>::uninit();
    // SAFETY: the destination is on the stack with this size; the helper checks the source.
    let status = unsafe {
        if scratch.source.kind == SourceKind::KernelVector {
            bpf_probe_read_kernel(element.as_mut_ptr().cast(), 16, walk.iov as *const _)
        } else {
            bpf_probe_read_user(element.as_mut_ptr().cast(), 16, walk.iov as *const _)
        }
    };
    if !succeeded(status) {
        return 1;
    }
    // SAFETY: the helper filled it.
    take(scratch, unsafe { element.assume_init() })
}

/// Copies of one element what is wanted of it; non-zero ends the walk.
#[inline(always)]
fn take(scratch: &mut Scratch, [base, len]: Element) -> i64 {
    let walk = &mut scratch.walk;
    if walk.want == 0 {
        return 1;
    }
    walk.iov += 16;
    walk.left -= 1;
    let skip = u64::from(walk.skip);
    if len <= skip {
        walk.skip -= len as u32;
        return 0;
    }
    let len = len - skip;
    let base = base + skip;
    walk.skip = 0;
    let want = if len < u64::from(walk.want) {
        len as u32
    } else {
        walk.want
    };
    let want = bounded(want);
    let filled = opaque(u64::from(walk.filled)) as usize & (CHUNK_BYTES - 1);
    // SAFETY: `filled` is below a chunk and `want` at most a chunk; the scratch holds two.
    let destination = unsafe { scratch.data.as_mut_ptr().add(filled) };
    if !copy(destination, want, base) {
        return 1;
    }
    scratch.walk.filled += want;
    scratch.walk.want -= want;
    0
}
