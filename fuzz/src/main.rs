//! One program for all targets: `APIARIST_FUZZ_TARGET` names the one that is run, `?` lists them. See `cargo xtask fuzz`.
#![no_main]

use std::{
    io::{self, Write as _},
    sync::LazyLock,
};

use apiarist_fuzz::{TARGETS, Target};
use libfuzzer_sys::fuzz_target;

/// The target of this run.
static TARGET: LazyLock<Option<&Target>> = LazyLock::new(|| {
    let name = std::env::var("APIARIST_FUZZ_TARGET").unwrap_or_default();
    TARGETS.iter().find(|target| target.name == name)
});

fn list() -> io::Result<()> {
    let mut out = io::stdout().lock();
    for target in TARGETS {
        writeln!(out, "target {} {}", target.name, target.seeds.join(" "))?;
    }
    out.flush()
}

fuzz_target!(
    init: {
        if TARGET.is_none() {
            std::process::exit(i32::from(list().is_err()));
        }
    },
    |data: &[u8]| {
        if let Some(target) = *TARGET {
            (target.run)(data);
        }
    }
);
