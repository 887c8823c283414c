//! The semantics of sockets on the running kernel, one trial each, one after the other.
//!
//! Needs root. Without it the trials are ignored, but in CI, which promises a kernel, they fail.

use std::{
    io::Write as _,
    process::ExitCode,
    sync::{Mutex, MutexGuard, PoisonError},
};

use anyhow::{Context as _, Result};
use apiarist_tests::{
    gate::skip_reason,
    semantics::{Observer, Outcome, SEMANTICS, Semantic},
    tries::{tell_unsteady, tried},
};
use libtest_mimic::{Arguments, Completion, Failed, Trial};

/// Attached once for all trials.
static OBSERVER: Mutex<Option<Observer>> = Mutex::new(None);

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Trials share the machine's sockets and one ring.
    arguments.test_threads = Some(1);
    let skipped = skip_reason();
    if let Some(reason) = skipped {
        // Nothing can be done when this fails.
        writeln!(std::io::stderr(), "skipped: {reason}").ok();
    }
    let trials = SEMANTICS
        .iter()
        .map(|semantic| {
            Trial::ignorable_test(semantic.name, || run(semantic)).with_ignored_flag(skipped.is_some())
        })
        .collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    tell_unsteady();
    // Detaches before the process ends, so that a problem in doing so shows.
    drop(observer().take());
    conclusion.exit_code()
}

fn observer() -> MutexGuard<'static, Option<Observer>> {
    OBSERVER.lock().unwrap_or_else(PoisonError::into_inner)
}

fn run(semantic: &'static Semantic) -> Result<Completion, Failed> {
    let mut observer = observer();
    let observer = attached(&mut observer).map_err(|error| format!("{error:#}"))?;
    let completion = tried(semantic.name, || match semantic.run(observer) {
        Outcome::Passed => Ok(Completion::Completed),
        Outcome::Skipped(reason) => Ok(Completion::ignored_with(reason)),
        Outcome::Failed(reason) => Err(reason),
    })?;
    Ok(completion)
}

fn attached(observer: &mut Option<Observer>) -> Result<&mut Observer> {
    if observer.is_none() {
        *observer = Some(Observer::attach().context("the capture plane cannot be attached")?);
    }
    observer.as_mut().context("the capture plane is not attached")
}
