//! Events into rings.
//!
//! Waking the reader costs more than the event itself, so it is woken when a good part of the ring is full, or
//! when it has not been for a while; in between it looks by itself (see `capture::reader` in the agent). A ring
//! without room loses the event: it is counted, and the next event's position shows the gap.

use apiarist_common::{counter::Counter, event::Header, limits::CHUNK_BYTES};
use aya_ebpf::{
    bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP},
    helpers::generated::{bpf_ringbuf_output, bpf_ringbuf_query},
};

use crate::kernel::{opaque, succeeded};
use crate::maps::{Counters, RING_0, RING_1, RING_2, RING_3, Scratch, constant};

/// Shortest time between two wake-ups by one program on one CPU, nanoseconds, however full the ring is.
const WAKEUP_PAUSE_NS: u64 = 100_000;

/// Sends the header and the first `len` bytes of the scratch data (at most a chunk); true when it went out.
#[inline(never)]
pub(crate) fn emit(scratch: &mut Scratch, counters: &mut Counters, len: u32, ring: u8) -> bool {
    let len = opaque(u64::from(len)) as u32;
    let len = if len > CHUNK_BYTES as u32 {
        CHUNK_BYTES as u32
    } else {
        len
    };
    let size = u64::from(len) + size_of::<Header>() as u64;
    let data = (&raw mut scratch.header).cast();
    let ring = match ring & 3 {
        0 => (&raw const RING_0).cast_mut(),
        1 => (&raw const RING_1).cast_mut(),
        2 => (&raw const RING_2).cast_mut(),
        _ => (&raw const RING_3).cast_mut(),
    };
    // SAFETY: a ring map and scratch memory of at least `size` bytes.
    let (status, woken) = unsafe {
        let waiting = bpf_ringbuf_query(ring.cast(), u64::from(BPF_RB_AVAIL_DATA));
        let since = scratch.header.at_ns.wrapping_sub(scratch.woken_ns);
        let wake = since >= constant!(SETTINGS.wakeup_interval_ns)
            || (waiting >= u64::from(constant!(SETTINGS.wakeup_bytes)) && since >= WAKEUP_PAUSE_NS);
        let flags = if wake {
            BPF_RB_FORCE_WAKEUP
        } else {
            BPF_RB_NO_WAKEUP
        };
        (
            bpf_ringbuf_output(ring.cast(), data, size, u64::from(flags)),
            wake,
        )
    };
    if !succeeded(status) {
        counters.add(Counter::RingFullEvents, 1);
        counters.add(Counter::RingFullBytes, u64::from(len));
        return false;
    }
    if woken {
        scratch.woken_ns = scratch.header.at_ns;
        counters.add(Counter::Wakeups, 1);
    }
    counters.add(Counter::Events, 1);
    counters.add(Counter::PayloadBytes, u64::from(len));
    true
}
