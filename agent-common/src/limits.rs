//! Bounds that both sides of the ring rely on. Each names its overflow policy.

/// Payload bytes that one event can carry. An operation with more is split over several events, up to
/// [`MAX_CHUNKS`]. A power of two, because the kernel programs mask offsets with `CHUNK_BYTES - 1`.
pub const CHUNK_BYTES: usize = 8 * 1024;

/// Events that one socket operation may produce at the most. Overflow policy: the rest of the operation is
/// not copied, the position advances, and [`crate::counter::Counter::BudgetBytes`] counts it.
pub const MAX_CHUNKS: usize = 8;

/// Largest budget per message and direction, in bytes.
pub const MAX_BUDGET_BYTES: u32 = (CHUNK_BYTES * MAX_CHUNKS) as u32;

/// Budget per message and direction when nothing is configured, in bytes: the head and the first part of
/// the body.
pub const DEFAULT_BUDGET_BYTES: u32 = 8 * 1024;

/// Iovec elements of one operation that are looked at. Linux allows 1,024 (`UIO_MAXIOV`), so none is missed
/// where `bpf_loop` exists; older kernels look at [`MAX_IOVECS_UNROLLED`].
pub const MAX_IOVECS: u32 = 1024;

/// Iovec elements looked at on kernels without `bpf_loop` (before 5.17). Overflow policy: as a budget that
/// is used up.
pub const MAX_IOVECS_UNROLLED: u32 = 16;

/// First bytes of a direction that are kept for sniffing when a peer sends them in small pieces.
pub const PREFIX_BYTES: usize = 32;

/// Bytes read at the end of an operation that exceeds its budget, to see the end of a chunked body.
pub const TAIL_BYTES: usize = 8;

/// Message starts without any known protocol after which a socket is muted for good.
pub const MAX_UNKNOWN_MESSAGES: u8 = 6;

/// Operations without any known protocol after which a socket is muted for good.
pub const MAX_UNKNOWN_OPERATIONS: u16 = 64;

/// Longest unix socket path (`sun_path`).
pub const UNIX_PATH_BYTES: usize = 108;

/// Rings that the object declares. The agent uses as many as it has shards and shrinks the rest to a page.
pub const MAX_RINGS: usize = 4;

/// Sockets that the agent has told the programs to leave out, as the other end tells the same. Overflow policy: the ones that
/// have not been asked for longest are forgotten, and those of them that have not been muted yet go on being copied.
pub const MAX_TOLD: u32 = 4096;

/// Bytes of ciphertext copied at the start of a TLS connection: the ClientHello, in whatever pieces it comes.
pub const TLS_HELLO_BYTES: u64 = 4096;

/// Bytes of ciphertext copied of the answer to a ClientHello: the ServerHello, for its version (RFC 8446 §4.1.3).
pub const TLS_ANSWER_BYTES: u32 = 192;

/// Bytes of the header of a TLS record (RFC 8446 §5.1), which many libraries read before the rest.
pub const TLS_RECORD_BYTES: u64 = 5;
