//! Whether tests that need the kernel are tried.

/// Why they are not; `None` when they are. CI promises a kernel: there they are tried, and fail without one.
pub fn skip_reason() -> Option<&'static str> {
    let set = |name, value| std::env::var(name).is_ok_and(|is| is == value);
    if set("APIARIST_KERNEL_TESTS", "skip") {
        Some("APIARIST_KERNEL_TESTS=skip")
    } else if !rustix::process::geteuid().is_root() && !set("CI", "true") {
        Some("needs root")
    } else {
        None
    }
}
