//! Waiting for something to become true: with a deadline, and the last reason when it did not.

use std::time::Duration;

use anyhow::{Context as _, Result};
use apiarist::clock::monotonic_ns;
use rustix::{event::poll, time::Timespec};

use super::binary::is_guest;

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// How much longer than a processor an emulated one may take.
const EMULATED: u32 = 24;

/// The longest that anything is waited for in a guest, unless it is waited for longer outside: a guest that fails must leave
/// time for the others.
const LONGEST: Duration = Duration::from_secs(300);

/// Looks until it succeeds. In a guest everything takes longer: it looks more rarely there, and is more patient.
///
/// # Errors
/// The last failure, when `patience` is over.
pub fn until<T>(patience: Duration, mut look: impl FnMut() -> Result<T>) -> Result<T> {
    let slower = if is_guest() { EMULATED } else { 1 };
    let pause = Timespec::try_from(PAUSE * slower)?;
    let patience = (patience * slower).min(patience.max(LONGEST));
    let deadline = monotonic_ns() + patience.as_nanos() as u64;
    loop {
        match look() {
            Ok(found) => return Ok(found),
            Err(error) if monotonic_ns() > deadline => {
                return Err(error).with_context(|| format!("still after {} s", patience.as_secs()));
            }
            Err(_) => poll(&mut [], Some(&pause)).context("cannot wait")?,
        };
    }
}
