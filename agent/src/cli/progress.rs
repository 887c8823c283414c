//! What is said on standard error while something takes long: on a terminal, and gone when it is done; nothing in a pipe.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// How often the time is drawn anew.
const TICK: Duration = Duration::from_millis(200);

/// One thing that takes long; it is no longer said when this is dropped.
pub(super) struct Step(ProgressBar);

/// Says what is done, and for how long already.
pub(super) fn step(what: &'static str) -> Step {
    let bar = ProgressBar::new_spinner()
        .with_style(style("{spinner} {msg} {elapsed}"))
        .with_message(what);
    bar.tick();
    bar.enable_steady_tick(TICK);
    Step(bar)
}

impl Drop for Step {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// A bar for a file of a size.
pub(super) fn of_file(name: &str, size: u64) -> ProgressBar {
    let bar = match size {
        // A pipe does not tell its size.
        0 => ProgressBar::no_length(),
        size => ProgressBar::new(size),
    };
    bar.with_style(style(
        "{msg} {wide_bar} {binary_bytes}/{binary_total_bytes} {eta}",
    ))
    .with_message(name.to_owned())
}

/// The templates are constant; the default one is as good.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
