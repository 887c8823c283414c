//! Waiting for something to become true: with a deadline, and the last reason when it did not.

use std::time::Duration;

use anyhow::{Context as _, Result};
use apiarist::clock::monotonic_ns;
use rustix::{event::poll, time::Timespec};

/// Pause between two looks.
const PAUSE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 20_000_000,
};

/// Looks until it succeeds.
///
/// # Errors
/// The last failure, when `patience` is over.
pub(crate) fn until<T>(patience: Duration, mut look: impl FnMut() -> Result<T>) -> Result<T> {
    let deadline = monotonic_ns() + patience.as_nanos() as u64;
    loop {
        match look() {
            Ok(found) => return Ok(found),
            Err(error) if monotonic_ns() > deadline => {
                return Err(error).with_context(|| format!("still after {} s", patience.as_secs()));
            }
            Err(_) => poll(&mut [], Some(&PAUSE)).context("cannot wait")?,
        };
    }
}
