//! A second try for what is tried on a running system.
//!
//! These tests watch the kernel of a machine that does other things meanwhile: a page that moves, a processor that is taken
//! away for a second, somebody else's memory. In CI what failed is tried once more, as guests are booted once more, and
//! both outcomes are told. Refuses to hide anything: a failure that passes at the second try is printed as such, and is
//! something to be looked at.

use std::{
    fmt::Display,
    io::Write as _,
    sync::{Mutex, PoisonError},
};

/// Names of those that passed at the second try only.
static UNSTEADY: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// The outcome of `run`, which tries the test of this name; of another `run` if the first one failed, in CI.
///
/// # Errors
/// Those of the last `run`.
pub fn tried<T, E: Display>(name: &str, mut run: impl FnMut() -> Result<T, E>) -> Result<T, E> {
    match run() {
        Err(error) if in_ci() => {
            tell(&format!("{name} failed, and is tried once more: {error:#}"));
            run().inspect(|_| unsteady().push(name.to_owned()))
        }
        outcome => outcome,
    }
}

/// Tells at the end of a test program what did not pass at once.
pub fn tell_unsteady() {
    let names = std::mem::take(&mut *unsteady());
    if !names.is_empty() {
        tell(&format!("passed at the second try only: {}", names.join(", ")));
    }
}

fn unsteady() -> std::sync::MutexGuard<'static, Vec<String>> {
    UNSTEADY.lock().unwrap_or_else(PoisonError::into_inner)
}

fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|is| is == "true")
}

fn tell(text: &str) {
    // Nothing can be done when this fails.
    writeln!(std::io::stderr(), "{text}").ok();
}
