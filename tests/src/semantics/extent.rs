//! How much a test does: by where it runs, and by how much time there is.

/// Whether there is time for the long version of a test.
pub(super) fn is_long() -> bool {
    std::env::var_os("APIARIST_LONG_TESTS").is_some_and(|value| value == "1")
}

/// Whether this is the only process of a test guest.
pub(super) fn in_guest() -> bool {
    std::process::id() == 1
}
