//! Giving memory back to the system.
//!
//! The C library keeps what was freed, for each thread apart, and the more of it the larger the blocks were: after the kernel's
//! types were parsed, up to 32 MiB of each thread. Bounded here, because what is parsed or written once in a while must not
//! stay resident.

/// Free memory at the end of a thread's heap that is kept. Less would cost page faults for batches of exchanges, which come and
/// go all the time.
#[cfg(target_env = "gnu")]
const KEPT_BYTES: libc::c_int = 1 << 20;

/// Blocks from this size on are the system's, and go back to it at once. Batches are smaller.
#[cfg(target_env = "gnu")]
const LARGE_BYTES: libc::c_int = 1 << 20;

/// Bounds what stays resident of freed memory. To be called before there are threads.
pub fn bound() {
    #[cfg(target_env = "gnu")]
    // SAFETY: sets two numbers of the C library, which locks its heap itself. What it refuses stays as it is.
    unsafe {
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT_BYTES);
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE_BYTES);
    }
}

/// Returns free heap pages, of all threads. To be called after the start, whose parsing of the kernel's types needs ten times
/// what the agent holds afterwards; once the programs for libraries are loaded; and after each write of the store, for
/// which all that changed is held twice.
pub fn release() {
    #[cfg(target_env = "gnu")]
    // SAFETY: no arguments that could be wrong; the C library locks its heap itself.
    unsafe {
        libc::malloc_trim(0);
    }
}
