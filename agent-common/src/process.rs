//! Events of processes: who starts from whom, as which program, and when it ends.
//!
//! They travel in a ring of their own, so that the identity of a process outlives it: by the time an exchange is complete,
//! its process may be gone from /proc. Layout as in [`crate::event`]: host byte order, no implicit padding.

/// A process was made by another one, of which it is a copy.
pub const PROCESS_FORK: u32 = 1;
/// A process runs another program from now on: [`ProcessExec`] follows from the header on.
pub const PROCESS_EXEC: u32 = 2;
/// A process ended.
pub const PROCESS_EXIT: u32 = 3;

/// Bytes kept of a path: names from the last to the first, each ended by NUL. Overflow policy: a longer path is not told
/// ([`PROCESS_PATH_UNKNOWN`]).
pub const PROCESS_PATH_BYTES: usize = 256;

/// Length of a path that could not be read. (Zero is the root.)
pub const PROCESS_PATH_UNKNOWN: u32 = u32::MAX;

/// Bytes kept of the argument vector. Overflow policy: the rest is not looked at.
pub const PROCESS_ARGUMENTS_BYTES: usize = 512;

/// Starts every event. 56 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct ProcessHeader {
    /// One of the `PROCESS_` kinds.
    pub kind: u32,
    /// The process (thread group), in the initial pid namespace.
    pub pid: u32,
    /// Start of the process since boot, nanoseconds; 0 if this kernel does not tell.
    pub start_ns: u64,
    /// Start of the parent, as above.
    pub parent_start_ns: u64,
    /// Control group (v2).
    pub cgroup: u64,
    /// Who made it.
    pub parent: u32,
    /// Zero.
    pub reserved: u32,
    /// Name of the task.
    pub comm: [u8; 16],
}

const _: () = assert!(size_of::<ProcessHeader>() == 56);

/// A `PROCESS_EXEC` event. The record ends after `arguments_len` bytes of `arguments`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct ProcessExec {
    /// What all events have.
    pub header: ProcessHeader,
    /// Bytes of `executable` in use, or [`PROCESS_PATH_UNKNOWN`].
    pub executable_len: u32,
    /// Bytes of `directory` in use, as above.
    pub directory_len: u32,
    /// Bytes of `arguments` in use.
    pub arguments_len: u32,
    /// Zero.
    pub reserved: u32,
    /// Path of the executable.
    pub executable: [u8; PROCESS_PATH_BYTES],
    /// Working directory.
    pub directory: [u8; PROCESS_PATH_BYTES],
    /// Arguments, each ended by NUL.
    pub arguments: [u8; PROCESS_ARGUMENTS_BYTES],
}

const _: () = assert!(size_of::<ProcessExec>() == 56 + 16 + 2 * PROCESS_PATH_BYTES + PROCESS_ARGUMENTS_BYTES);
