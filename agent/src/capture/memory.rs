//! Giving memory back to the system.

/// Returns free heap pages. To be called after the start, whose parsing of the kernel's types needs ten times what the
/// agent holds afterwards.
pub fn release() {
    #[cfg(target_env = "gnu")]
    // SAFETY: no arguments that could be wrong; the C library locks its heap itself.
    unsafe {
        libc::malloc_trim(0);
    }
}
