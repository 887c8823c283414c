//! Copying of an HTTP/2 operation what its frames are worth: see [`apiarist_common::frames`].
//!
//! The bytes are taken into the scratch a window at a time, each once, and the frames in the window decide how much of it
//! is sent: the run from its start to the first byte that is left out. Then the next window starts behind what was left
//! out. An operation with more frames than [`MAX_STEPS`] allows loses the framing of its direction, which comes back
//! with an operation that starts with a frame. Kernels without `bpf_loop` (before 5.17) do without all this.

use core::ffi::c_void;

use apiarist_common::{
    counter::Counter,
    frames::{Budgets, FRAME_HEADER_BYTES, Framing, starts},
    limits::{CHUNK_BYTES, PREFIX_BYTES},
};
use aya_ebpf::helpers::generated::bpf_loop;

use crate::{
    budget::send,
    gather::gather,
    kernel::shared,
    maps::{Counters, Scratch, Slot, counters, scratch},
};

/// Windows of one operation. 64 KiB of the shortest frames that matter have fewer.
const MAX_WINDOWS: u32 = 1_024;

/// Frames of a window that are looked at. Overflow policy: the next window starts behind them.
const MAX_FRAMES: u32 = 12;

/// Window of a message whose budget is used up: a frame header and what is copied in any case, with room for the frames
/// around.
const SHORT_WINDOW: u32 = 2_048;

/// How far one operation is walked. Offsets are from its start.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Tour {
    framing: Framing,
    budgets: Budgets,
    /// Budget of a message that starts.
    fresh: u32,
    /// The window.
    base: u32,
    end: u32,
    /// Next byte to be looked at.
    at: u32,
    /// End of the run that starts with the window and is to be sent.
    keep: u32,
    /// Bytes sent.
    sent: u32,
    /// DATA was there.
    has_data: u32,
}

impl Tour {
    #[inline(always)]
    const fn of(framing: Framing, budgets: Budgets, fresh: u32) -> Self {
        Self {
            framing,
            budgets,
            fresh,
            base: 0,
            end: 0,
            at: 0,
            keep: 0,
            sent: 0,
            has_data: 0,
        }
    }
}

/// Whether it is known where the frames of this operation are, or can be found out.
#[inline(always)]
pub(crate) fn is_known(framing: &mut Framing, scratch: &mut Scratch, len: u32) -> bool {
    if !framing.is_lost() {
        return true;
    }
    let got = gather::<true>(scratch, 0, len.min(PREFIX_BYTES as u32));
    let Some(prefix) = scratch.data.first_chunk::<PREFIX_BYTES>() else {
        return false;
    };
    let found = starts(prefix, got);
    if found {
        *framing = Framing::START;
    }
    found
}

/// Sends what the frames of the operation are worth; true if DATA is among them.
#[inline(always)]
pub(crate) fn tour(
    framing: &mut Framing,
    budgets: &mut Budgets,
    fresh: u32,
    scratch: &mut Scratch,
    counters: &mut Counters,
    slot: Slot,
) -> bool {
    scratch.tour = Tour::of(*framing, *budgets, fresh);
    let scratch = shared(scratch);
    let counters = shared(counters);
    let mut slot = slot;
    // SAFETY: the callback has the signature the helper calls, and `slot` outlives the call.
    unsafe {
        bpf_loop(MAX_WINDOWS, on_window as *mut _, (&raw mut slot).cast(), 0);
    }
    let scratch = shared(scratch);
    let len = scratch.operation.len;
    if scratch.tour.at < len {
        scratch.tour.framing = Framing::LOST;
    }
    let sent = scratch.tour.sent;
    if sent < len {
        counters.add(Counter::BudgetBytes, u64::from(len - sent));
    }
    *framing = scratch.tour.framing;
    *budgets = scratch.tour.budgets;
    scratch.tour.has_data != 0
}

/// Called by `bpf_loop` for each window.
extern "C" fn on_window(_index: u32, slot: *mut c_void) -> i64 {
    // SAFETY: `tour` passes its own slot.
    let slot = unsafe { *slot.cast::<Slot>() };
    match (scratch(slot), counters(slot)) {
        (Some(scratch), Some(counters)) => window(scratch, counters),
        _ => 1,
    }
}

/// Takes the next window and sends what its frames are worth; non-zero ends the tour.
#[inline(always)]
fn window(scratch: &mut Scratch, counters: &mut Counters) -> i64 {
    let len = scratch.operation.len;
    let Tour { at, framing, .. } = scratch.tour;
    if at >= len {
        return 1;
    }
    let most = framing
        .wanted
        .saturating_add(SHORT_WINDOW)
        .min(CHUNK_BYTES as u32);
    let want = (len - at).min(most);
    let got = gather::<true>(scratch, at, want);
    if got < want {
        counters.add(Counter::FaultOperations, 1);
        return 1;
    }
    scratch.tour.base = at;
    scratch.tour.keep = at;
    scratch.tour.end = at + got;
    let mut frames = 0;
    while frames < MAX_FRAMES && frame(scratch) {
        frames += 1;
    }
    let sent = scratch.tour.keep - at;
    if sent > 0 {
        scratch.tour.sent += sent;
        send(scratch, counters, at, sent, 0);
    }
    0
}

/// Deals with one frame, or what the window has of it; true if there may be another in the window.
#[inline(never)]
fn frame(scratch: &mut Scratch) -> bool {
    let Tour { at, end, framing, .. } = scratch.tour;
    let need = framing.header_bytes();
    if at >= end || (at + need > end && end < scratch.operation.len) {
        return false;
    }
    if need > 0 {
        header(scratch, need, end - at);
    }
    payload(scratch)
}

/// Takes what is there of a frame header.
#[inline(always)]
fn header(scratch: &mut Scratch, need: u32, there: u32) {
    let available = if there < need { there } else { need };
    let offset = (scratch.tour.at - scratch.tour.base) as usize & (CHUNK_BYTES - 1);
    let mut low = 0;
    let mut place = 0;
    // The scratch is twice as large as a window.
    while place < 8 {
        low |= u64::from(scratch.data[offset + place]) << (8 * place);
        place += 1;
    }
    let ninth = scratch.data[offset + (need as usize - 1 & 15)];
    let fresh = scratch.tour.fresh;
    let Tour { framing, budgets, .. } = &mut scratch.tour;
    let is_data = framing.header(budgets, low, ninth, available, fresh);
    scratch.tour.has_data |= u32::from(is_data);
    scratch.tour.at += available;
    scratch.tour.keep = scratch.tour.at;
}

/// Takes what is wanted of a payload, and passes over the rest; true if there may be another frame in the window.
#[inline(always)]
fn payload(scratch: &mut Scratch) -> bool {
    let Tour {
        at, end, mut framing, ..
    } = scratch.tour;
    let taken = framing.wanted.min(end - at);
    framing.pass(taken);
    let at = at + taken;
    scratch.tour.keep = at;
    let passed = if framing.wanted == 0 {
        framing.remaining.min(scratch.operation.len - at)
    } else {
        0
    };
    framing.pass(passed);
    scratch.tour.at = at + passed;
    scratch.tour.framing = framing;
    passed == 0
}

const _: () = assert!(FRAME_HEADER_BYTES as usize <= 16);
