//! Maps and load-time constants.

use apiarist_common::{
    control::{Control, MAX_QUOTA_GROUPS},
    counter::Counter,
    event::Header,
    limits::{CHUNK_BYTES, MAX_TOLD},
    offsets::{Offsets, Settings},
};
use aya_ebpf::{
    bindings::BPF_F_NO_PREALLOC,
    btf_maps::SkStorage,
    macros::{btf_map, map},
    maps::{Array, HashMap, LruHashMap, LruPerCpuHashMap, PerCpuArray, RingBuf},
};

use crate::{connection::Connection, gather::Walk, operation::Operation, syscall::Source, tour::Tour};

/// Size of a ring before the agent sets it: one page, the least the kernel takes.
pub(crate) const RING_BYTES: u32 = 4096;

#[map]
pub(crate) static RING_0: RingBuf = RingBuf::with_byte_size(RING_BYTES, 0);
#[map]
pub(crate) static RING_1: RingBuf = RingBuf::with_byte_size(RING_BYTES, 0);
#[map]
pub(crate) static RING_2: RingBuf = RingBuf::with_byte_size(RING_BYTES, 0);
#[map]
pub(crate) static RING_3: RingBuf = RingBuf::with_byte_size(RING_BYTES, 0);

/// State kept with each socket. Created on first use, freed by the kernel with the socket.
#[btf_map]
pub(crate) static CONNECTIONS: SkStorage<Connection> = SkStorage::new();

/// The same on kernels where tracing programs have no socket storage, by the address of the socket. Removed when the
/// socket is destroyed; the oldest give way when it is full. One entry elsewhere.
#[map]
pub(crate) static SOCKETS: LruHashMap<u64, Connection> = LruHashMap::with_max_entries(1, 0);

/// Inodes of sockets that were open before the programs were attached, where no iterator tells: filled by the agent, which
/// also sets its size. One entry elsewhere.
#[map]
pub(crate) static OLDER: HashMap<u64, u8> = HashMap::with_max_entries(1, BPF_F_NO_PREALLOC);

/// Cookies of clients' sockets that need not be copied, because the servers' ends, on this host, tell the same: filled by the
/// agent.
#[map]
pub(crate) static TOLD: LruHashMap<u64, u8> = LruHashMap::with_max_entries(MAX_TOLD, 0);

/// What each program counts on each CPU: one value per slot, so that a program finds all its counters with one look-up
/// and two programs on one CPU do not disturb each other.
#[map]
static COUNTERS: PerCpuArray<Counters> = PerCpuArray::with_max_entries(Slot::COUNT, 0);

/// What the agent may change while the programs run.
#[map]
static CONTROL: Array<Control> = Array::with_max_entries(1, 0);

/// Bytes of one control group on one processor in the present window.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Usage {
    pub(crate) window: u64,
    pub(crate) bytes: u64,
}

#[map]
pub(crate) static USAGE: LruPerCpuHashMap<u64, Usage> =
    LruPerCpuHashMap::with_max_entries(MAX_QUOTA_GROUPS, 0);

/// Where an event is put together. One slot per program, because a sleepable or preempted program on the same
/// CPU may run between two instructions of another; the kernel never runs the same program twice at once on one
/// CPU.
#[map]
static SCRATCH: PerCpuArray<Scratch> = PerCpuArray::with_max_entries(Slot::COUNT, 0);

/// Which program is running.
#[derive(Clone, Copy)]
#[repr(u32)]
pub(crate) enum Slot {
    Send = 0,
    Receive,
    State,
    Destroy,
    UnixRelease,
    Start,
    Existing,
    DestroySpare,
    StateSpare,
    UnixReleaseSpare,
    SendSpare,
    ReceiveSpare,
    SendThird,
    ReceiveThird,
    SendInet6,
    SendUnix,
    SendPage,
    ReceiveInet6,
    ReceiveUnix,
    ReceiveSeqpacket,
    SendSeqpacket,
    /// The first of [`TLS_SLOTS`] that programs at user-space functions share: the kernel runs them preemptibly, so a slot
    /// is theirs only once they have claimed it.
    Tls,
    TlsSecond,
    TlsThird,
    TlsFourth,
}

impl Slot {
    const COUNT: u32 = 25;

    /// Whether this is a program of [`crate::spare`].
    #[inline(always)]
    pub(crate) fn is_spare(self) -> bool {
        matches!(
            self,
            Self::SendSpare | Self::ReceiveSpare | Self::SendThird | Self::ReceiveThird
        )
    }
}

/// An event under construction, and what would not fit the 512 bytes of stack. The second half of `data` is never sent:
/// it gives the verifier room, which knows bounds of an offset and of a length, not of their sum.
#[repr(C)]
pub(crate) struct Scratch {
    /// Non-zero while a program at a user-space function has it.
    pub(crate) claimed: u64,
    /// Last forced wake-up by this program on this CPU, nanoseconds.
    pub(crate) woken_ns: u64,
    /// The operation at hand.
    pub(crate) operation: Operation,
    /// Where its bytes are.
    pub(crate) source: Source,
    pub(crate) walk: Walk,
    pub(crate) tour: Tour,
    pub(crate) header: Header,
    pub(crate) data: [u8; 2 * CHUNK_BYTES],
}

#[inline(always)]
pub(crate) fn scratch(slot: Slot) -> Option<&'static mut Scratch> {
    let pointer = SCRATCH.get_ptr_mut(slot as u32)?;
    // SAFETY: the slot belongs to this program and CPU alone for the time it runs.
    Some(unsafe { &mut *pointer })
}

/// Values by [`Counter`] index.
#[repr(C)]
pub(crate) struct Counters {
    values: [u64; Counter::COUNT as usize],
    /// Non-zero while the program is at work, for those that look after it.
    pub(crate) busy: u64,
}

impl Counters {
    #[inline(always)]
    pub(crate) fn add(&mut self, counter: Counter, amount: u64) {
        if let Some(value) = self.values.get_mut(counter as usize) {
            *value = value.wrapping_add(amount);
        }
    }
}

#[inline(always)]
pub(crate) fn counters(slot: Slot) -> Option<&'static mut Counters> {
    let pointer = COUNTERS.get_ptr_mut(slot as u32)?;
    // SAFETY: the slot belongs to this program and CPU alone for the time it runs.
    Some(unsafe { &mut *pointer })
}

#[inline(always)]
pub(crate) fn control() -> Option<&'static Control> {
    CONTROL.get(0)
}

// SAFETY: unique names, set by the loader by name.
#[unsafe(no_mangle)]
pub(crate) static OFFSETS: Offsets = Offsets::NONE;
#[unsafe(no_mangle)]
pub(crate) static SETTINGS: Settings = Settings {
    own_tgid: 0,
    rings: 1,
    wakeup_bytes: 0,
    wakeup_interval_ns: 0,
    scope_cgroup: 0,
    has_task_pt_regs: 1,
    has_sk_storage: 1,
    has_task_btf: 1,
    has_socket_cookie: 1,
    has_spares: 1,
    thread_size: 16384,
    tls: 1,
    has_older: 1,
    never: 0,
};

/// Reads one field of a constant that the loader has set.
macro_rules! constant {
    ($static:ident . $field:ident) => {
        $crate::maps::load_time(&raw const $crate::maps::$static.$field)
    };
}
pub(crate) use constant;

/// Reads a load-time constant. Volatile, or the compiler would use the initial value.
#[inline(always)]
pub(crate) fn load_time<T: Copy>(constant: *const T) -> T {
    // SAFETY: `constant!` passes a field of a static; the loader wrote it before the program was verified.
    unsafe { core::ptr::read_volatile(constant) }
}
