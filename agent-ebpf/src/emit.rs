//! Events into rings.
//!
//! Waking the reader costs more than the event itself, so it is woken when a good part of the ring is full, or
//! when it has not been for a while; in between it looks by itself (see `capture::reader` in the agent). A ring
//! without room loses the event: it is counted, and the next event's position shows the gap.

use apiarist_common::{
    control::QUOTA_WINDOW_SHIFT,
    counter::Counter,
    event::{Header, KIND_DATA},
    limits::CHUNK_BYTES,
};
use aya_ebpf::{
    bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP},
    helpers::generated::{bpf_get_current_cgroup_id, bpf_ringbuf_output, bpf_ringbuf_query},
};

use crate::kernel::{opaque, succeeded};
use crate::maps::{Counters, RING_0, RING_1, RING_2, RING_3, Scratch, USAGE, Usage, constant, control};

/// Shortest time between two wake-ups by one program on one CPU, nanoseconds, however full the ring is.
const WAKEUP_PAUSE_NS: u64 = 100_000;

/// From this fill on, in eighths, a ring takes only events of control groups within their quota: the rest of it is for those
/// that are not the noisy one. (`wakeup_bytes` is an eighth.)
const RESERVE_EIGHTHS: u64 = 6;

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
    // With one ring, as on small machines, the verifier knows which, and walks the rest of this once and not four times.
    let ring = match u32::from(ring & 3) & constant!(SETTINGS.rings).wrapping_sub(1) {
        0 => (&raw const RING_0).cast_mut(),
        1 => (&raw const RING_1).cast_mut(),
        2 => (&raw const RING_2).cast_mut(),
        _ => (&raw const RING_3).cast_mut(),
    };
    // SAFETY: a ring map.
    let waiting = unsafe { bpf_ringbuf_query(ring.cast(), u64::from(BPF_RB_AVAIL_DATA)) };
    let wakeup_bytes = u64::from(constant!(SETTINGS.wakeup_bytes));
    if waiting >= RESERVE_EIGHTHS * wakeup_bytes
        && is_over_quota(scratch.header.kind, scratch.header.at_ns, len, counters)
    {
        counters.add(Counter::QuotaEvents, 1);
        counters.add(Counter::QuotaBytes, u64::from(len));
        return false;
    }
    // SAFETY: a ring map and scratch memory of at least `size` bytes.
    let (status, woken) = unsafe {
        let since = scratch.header.at_ns.wrapping_sub(scratch.woken_ns);
        let wake = since >= constant!(SETTINGS.wakeup_interval_ns)
            || (waiting >= wakeup_bytes && since >= WAKEUP_PAUSE_NS);
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

/// Whether the control group of the present task has had its share of a ring that is nearly full. Only then is its use
/// counted at all, so that a quiet machine pays nothing. Announcements and closes are small and always pass.
#[inline(always)]
fn is_over_quota(kind: u8, at_ns: u64, len: u32, counters: &mut Counters) -> bool {
    let Some(control) = control() else { return false };
    if kind != KIND_DATA || control.quota_bytes == 0 {
        return false;
    }
    // SAFETY: no arguments.
    let group = unsafe { bpf_get_current_cgroup_id() };
    let window = at_ns >> QUOTA_WINDOW_SHIFT;
    let bytes = u64::from(len) + size_of::<Header>() as u64;
    let Some(usage) = USAGE.get_ptr_mut(&group) else {
        // For which the least active group is forgotten when the table is full.
        counters.add(Counter::QuotaGroups, 1);
        USAGE.insert(&group, &Usage { window, bytes }, 0).unwrap_or(());
        return false;
    };
    // SAFETY: a per-CPU value.
    let usage = unsafe { &mut *usage };
    if usage.window != window {
        *usage = Usage { window, bytes };
        return false;
    }
    usage.bytes = usage.bytes.wrapping_add(bytes);
    usage.bytes > u64::from(control.quota_bytes)
}
