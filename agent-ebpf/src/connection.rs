//! State kept with each socket.

use apiarist_common::{
    counter::Counter,
    frames::{Budgets, Framing},
    limits::{MAX_UNKNOWN_MESSAGES, MAX_UNKNOWN_OPERATIONS, PREFIX_BYTES},
    sniff::{Class, Verdict, sniff, starts_tls_record},
};
use aya_ebpf::{
    bindings::BPF_SK_STORAGE_GET_F_CREATE,
    helpers::generated::{
        bpf_get_smp_processor_id, bpf_get_socket_cookie, bpf_ktime_get_ns, bpf_probe_read_kernel,
        bpf_sk_storage_get,
    },
};

use crate::{
    kernel::{Sock, opaque, read, succeeded},
    maps::{CONNECTIONS, SOCKETS, Scratch, constant},
    syscall::Source,
};

/// No direction was active yet.
pub(crate) const NO_DIRECTION: u8 = 2;

/// What is known of one socket. All zero when new, but for `initialised`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Connection {
    pub(crate) cookie: u64,
    /// Bytes that went through each direction since the connection was made.
    pub(crate) position: [u64; 2],
    /// Bytes of the present message that may still be copied.
    pub(crate) budget: [u32; 2],
    /// TCP: the socket's sequence numbers at `position`, see [`crate::sequence`].
    pub(crate) sequence: [u32; 2],
    /// Threads whose operation is dealt with, see [`crate::spare`].
    pub(crate) signed_by: [u32; 2],
    /// HTTP/2: where each direction is in its frames.
    pub(crate) framing: [Framing; 2],
    /// HTTP/2: what may still be copied of each direction's streams.
    pub(crate) budgets: [Budgets; 2],
    /// `*mmsg`: thread, array and next element.
    pub(crate) vector_address: u64,
    pub(crate) vector_thread: u32,
    pub(crate) vector_index: u32,
    /// rustls: where the connection has read last, and what encrypts for it. See [`crate::rustls`].
    pub(crate) place: u64,
    pub(crate) encrypter: u64,
    /// Buffer of the io_uring operation at hand, noted when it started.
    pub(crate) noted: Source,
    /// [`Class`] as a number.
    pub(crate) class: u8,
    /// `STATE_` bits.
    pub(crate) state: u8,
    /// Direction of the last operation, or [`NO_DIRECTION`].
    pub(crate) last_direction: u8,
    pub(crate) unknown_messages: u8,
    pub(crate) unknown_operations: u16,
    /// Which ring this socket's events go to.
    pub(crate) ring: u8,
    /// Messages so far, in both directions, modulo 256.
    pub(crate) messages: u8,
    /// Bytes in `prefix`, per direction.
    pub(crate) prefix_len: [u8; 2],
    /// Operations that the sequence numbers do not explain.
    pub(crate) surprises: u8,
    /// Non-zero once the agent was told that the owner sends no more.
    pub(crate) end_told: u8,
    /// Non-zero when the owner was seen to send requests.
    pub(crate) calls: u8,
    /// Non-zero when it was muted because the other end tells the same, see [`crate::told`].
    pub(crate) told: u8,
    /// Operations so far that start like records of TLS, of a protocol that is not known.
    pub(crate) records: u8,
    pub(crate) reserved: u8,
    /// Bytes of each direction since then.
    pub(crate) passed: [u64; 2],
    /// First bytes of each direction while they do not suffice to tell the protocol. The second half is room for the
    /// verifier.
    pub(crate) prefix: [[u8; 2 * PREFIX_BYTES]; 2],
}

/// Set up.
pub(crate) const STATE_INITIALISED: u8 = 1;
/// Not looked at any more.
pub(crate) const STATE_MUTED: u8 = 1 << 1;
/// The agent was told about this socket.
pub(crate) const STATE_ANNOUNCED: u8 = 1 << 2;
/// Bytes had gone through before it was first seen.
pub(crate) const STATE_JOINED_LATE: u8 = 1 << 3;
/// Positions follow the socket's sequence numbers.
pub(crate) const STATE_SEQUENCED: u8 = 1 << 4;
/// The kernel does the TLS of this connection, and what passes the socket is plaintext.
pub(crate) const STATE_KERNEL_TLS: u8 = 1 << 5;
/// Of this session of a TLS library, nothing was told yet.
pub(crate) const STATE_UNTOLD: u8 = 1 << 7;
/// The session's socket was named by an operation inside a call of the library, not inferred.
pub(crate) const STATE_DIRECT: u8 = 1 << 6;

/// The state of a socket that was seen before.
#[inline(always)]
pub(crate) fn existing(sock: Sock) -> Option<&'static mut Connection> {
    let pointer = if constant!(SETTINGS.has_sk_storage) != 0 {
        // SAFETY: a socket from a program argument and our own map.
        unsafe {
            bpf_sk_storage_get(
                (&raw const CONNECTIONS).cast_mut().cast(),
                sock,
                core::ptr::null_mut(),
                0,
            )
            .cast::<Connection>()
        }
    } else {
        SOCKETS
            .get_ptr_mut(&(sock as u64))
            .unwrap_or(core::ptr::null_mut())
    };
    // SAFETY: null, or a value that lives as long as the program runs.
    unsafe { pointer.as_mut() }
}

/// The state of a socket, made if needed. Null when the kernel has no memory for it.
#[inline(never)]
pub(crate) fn create(sock: Sock, scratch: &mut Scratch) -> *mut Connection {
    if constant!(SETTINGS.has_sk_storage) != 0 {
        // SAFETY: as above; the kernel zeroes a new value.
        return unsafe {
            bpf_sk_storage_get(
                (&raw const CONNECTIONS).cast_mut().cast(),
                sock,
                core::ptr::null_mut(),
                u64::from(BPF_SK_STORAGE_GET_F_CREATE),
            )
            .cast::<Connection>()
        };
    }
    // SAFETY: scratch data is larger than a connection; its bytes are plain integers.
    let empty = unsafe { &mut *scratch.data.as_mut_ptr().cast::<Connection>() };
    *empty = Connection::EMPTY;
    let key = sock as u64;
    if SOCKETS.insert(&key, &*empty, 0).is_err() {
        return core::ptr::null_mut();
    }
    SOCKETS.get_ptr_mut(&key).unwrap_or(core::ptr::null_mut())
}

/// Forgets a socket that is going away, where the kernel does not do it itself.
#[inline(always)]
pub(crate) fn forget(sock: Sock) {
    if constant!(SETTINGS.has_sk_storage) == 0 {
        // A socket that was never seen is not an error.
        SOCKETS.remove(&(sock as u64)).unwrap_or(());
    }
}

/// A name for the socket, unique until the next boot: its cookie, or on kernels whose helper we cannot call the one that
/// somebody else asked for, or else the time and processor of its first operation, with the highest bit set.
#[inline(always)]
pub(crate) fn cookie(sock: Sock) -> u64 {
    if constant!(SETTINGS.has_socket_cookie) != 0 {
        // SAFETY: a socket from a program argument.
        return unsafe { bpf_get_socket_cookie(sock) };
    }
    let asked_for = read::<u64>(sock, constant!(OFFSETS.sock_cookie)).unwrap_or(0);
    if asked_for != 0 {
        return asked_for;
    }
    // SAFETY: no arguments.
    let (now, processor) = unsafe { (bpf_ktime_get_ns(), bpf_get_smp_processor_id()) };
    (1 << 63) | (now << 8) | u64::from(processor & 0xff)
}

impl Connection {
    pub(crate) const EMPTY: Self = Self {
        cookie: 0,
        position: [0; 2],
        budget: [0; 2],
        sequence: [0; 2],
        signed_by: [0; 2],
        framing: [Framing::START; 2],
        budgets: [Budgets::WHOLE; 2],
        vector_address: 0,
        place: 0,
        encrypter: 0,
        vector_thread: 0,
        vector_index: 0,
        noted: Source::unreadable(Counter::Operations),
        class: 0,
        state: 0,
        last_direction: 0,
        unknown_messages: 0,
        unknown_operations: 0,
        ring: 0,
        messages: 0,
        prefix_len: [0; 2],
        surprises: 0,
        end_told: 0,
        calls: 0,
        told: 0,
        records: 0,
        reserved: 0,
        passed: [0; 2],
        prefix: [[0; 2 * PREFIX_BYTES]; 2],
    };

    #[inline(always)]
    pub(crate) fn is(&self, state: u8) -> bool {
        self.state & state != 0
    }

    /// Adds the first `len` gathered bytes to what is kept of a direction, and says what they are.
    #[inline(never)]
    pub(crate) fn classify(&mut self, direction: u8, scratch: &Scratch, len: u32) -> Verdict {
        let direction = usize::from(direction & 1);
        let kept = self.prefix_len[direction];
        let offset = opaque(u64::from(kept)) as usize & (PREFIX_BYTES - 1);
        let len = opaque(u64::from(len)) as u32;
        let len = if len > PREFIX_BYTES as u32 {
            PREFIX_BYTES as u32
        } else {
            len
        };
        // SAFETY: `offset` is below, `len` at most, half of the destination; the helper checks the source. (A loop over
        // bytes would cost the verifier more than the helper costs us.)
        let status = unsafe {
            bpf_probe_read_kernel(
                self.prefix[direction].as_mut_ptr().add(offset).cast(),
                len,
                scratch.data.as_ptr().cast(),
            )
        };
        if !succeeded(status) {
            return Verdict::Other;
        }
        let kept = (u32::from(kept) + len).min(PREFIX_BYTES as u32 - 1);
        self.prefix_len[direction] = kept as u8;
        match self.prefix[direction].first_chunk::<PREFIX_BYTES>() {
            Some(prefix) => sniff(prefix, kept as usize),
            None => Verdict::Other,
        }
    }

    /// Whether an operation of `len` bytes that was just classified starts a TLS record.
    #[inline(never)]
    pub(crate) fn has_record(&self, direction: u8, len: u32) -> bool {
        match self.prefix[usize::from(direction & 1)].first_chunk::<PREFIX_BYTES>() {
            Some(prefix) => starts_tls_record(prefix, len as usize),
            None => false,
        }
    }

    /// Starts a new message in a direction whose bytes so far did not tell the protocol.
    #[inline(always)]
    pub(crate) fn forget_prefix(&mut self, direction: u8) {
        self.prefix_len[usize::from(direction & 1)] = 0;
    }

    /// Notes an operation that fits no known protocol; true when that was one too many.
    #[inline(always)]
    pub(crate) fn gave_up(&mut self, turn: bool) -> bool {
        self.unknown_operations = self.unknown_operations.saturating_add(1);
        if turn {
            self.unknown_messages = self.unknown_messages.saturating_add(1);
        }
        self.unknown_messages >= MAX_UNKNOWN_MESSAGES || self.unknown_operations >= MAX_UNKNOWN_OPERATIONS
    }

    #[inline(always)]
    pub(crate) fn class(&self) -> Class {
        Class::from_number(self.class)
    }
}
