//! A table of tests as a test program: one after the other, with names that can be filtered.
//!
//! Needs root. Without it the tests are ignored, but in CI, which promises a kernel, they fail.

use std::{io::Write as _, process::ExitCode};

use libtest_mimic::{Arguments, Completion, Failed, Trial};

use super::Live;
use crate::{
    gate::skip_reason,
    tries::{tell_unsteady, tried},
};

/// Runs those that the command line asks for.
#[must_use]
pub fn main(table: &'static [Live]) -> ExitCode {
    let mut arguments = Arguments::from_args();
    // All watch the same kernel, and need both cores.
    arguments.test_threads = Some(1);
    let skipped = skip_reason();
    if let Some(reason) = skipped {
        // Nothing can be done when this fails.
        writeln!(std::io::stderr(), "skipped: {reason}").ok();
    }
    let trials = table
        .iter()
        .map(|live| Trial::ignorable_test(live.name, || run(live)).with_ignored_flag(skipped.is_some()))
        .collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    tell_unsteady();
    conclusion.exit_code()
}

fn run(live: &Live) -> Result<Completion, Failed> {
    match tried(live.name, || live.run()) {
        Ok(None) => Ok(Completion::Completed),
        Ok(Some(reason)) => Ok(Completion::ignored_with(reason)),
        Err(error) => Err(format!("{error:#}").into()),
    }
}
