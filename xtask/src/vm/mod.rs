//! `cargo xtask vm`: the kernel tests on other kernels, each booted under QEMU.
//!
//! The test program is the user space of the guest: linked statically, started as `/init`, the agent when it is called so.
//! Beside it in the initramfs lie the tests' scripts, and a disk has servers and clients of this machine that speak TLS. It
//! says on the console how many tests passed; this task believes only that line.
//! Emulation, not virtualisation: it runs wherever QEMU does.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::Args;

use crate::{
    setup::{self, Purpose},
    shell::{cargo, run, say},
    toolchain::without_flags,
    workspace,
};

mod guest;
mod initramfs;
mod instructions;
mod kernel;
pub(crate) mod mirror;
mod programs;

use instructions::Table;

/// The guests are x86_64, whatever the host.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Options of `cargo xtask vm`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Debian suite (bullseye 5.10, bookworm 6.1, trixie 6.12, sid: the newest), Debian package, or bzImage
    #[arg(value_name = "KERNEL", default_values = ["bullseye", "bookworm", "trixie", "sid"])]
    kernels: Vec<String>,
    /// Seconds a guest may take from power-on to its verdict
    #[arg(long, value_name = "SECONDS", default_value_t = 900)]
    timeout: u64,
    /// Boots of a kernel that does not report success, in all: emulation on a busy host misses deadlines. The summary
    /// tells how many it took
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    tries: u32,
    /// Record the verifier's instruction counts instead of comparing them with the committed table
    #[arg(long)]
    update: bool,
    /// Arguments for the test program, after `--`
    #[arg(last = true)]
    arguments: Vec<String>,
}

/// Boots every kernel in turn; fails when one of them did not report success.
pub(crate) fn main(options: &Options) -> Result<()> {
    setup::prepare(Purpose::Vm)?;
    let root = workspace::root()?;
    let init = build_init(&root)?;
    let programs = programs::image()?;
    let fixtures = root.join("tests/fixtures");
    let mut table = Table::read(&root)?;
    let mut moved = Vec::new();
    let mut results = Vec::new();
    for name in &options.kernels {
        let outcome = kernel::resolve(name).and_then(|kernel| {
            let initramfs = initramfs::pack(&init, &kernel.modules, &fixtures, programs.is_some())?;
            let boot = guest::Boot {
                label: &kernel.label,
                image: &kernel.image,
                initramfs: &initramfs,
                programs: programs.as_deref(),
                arguments: &options.arguments,
                timeout_seconds: options.timeout,
            };
            let mut attempt = 1;
            let outcome = loop {
                say(format!(
                    "booting {name}: {} (try {attempt} of {})",
                    kernel.label, options.tries
                ));
                let outcome = guest::boot(&boot);
                let passed = matches!(&outcome, Ok(report) if report.verdict.is_success());
                if passed || attempt >= options.tries {
                    break outcome;
                }
                attempt += 1;
            };
            outcome.map(|report| (format!("{}, try {attempt}", kernel.label), report))
        });
        if let Ok((_, report)) = &outcome {
            if options.update {
                table.update(&report.release, report.instructions.clone());
            } else {
                moved.extend(table.compare(&report.release, &report.instructions));
            }
        }
        let failed = !matches!(&outcome, Ok((_, report)) if report.verdict.is_success());
        results.push((failed, line(name, outcome)));
    }
    results.iter().for_each(|(_, line)| say(line));
    if options.update {
        table.write(&root)?;
    }
    moved.iter().for_each(say);
    if !moved.is_empty() {
        bail!("the verifier's work changed by more than a fifth: look why, then `cargo xtask vm --update`");
    }
    let failures = results.iter().filter(|(failed, _)| *failed).count();
    if failures > 0 {
        bail!("{failures} of {} kernels failed", results.len());
    }
    Ok(())
}

/// One row of the summary.
fn line(name: &str, outcome: Result<(String, guest::Report)>) -> String {
    match outcome {
        Ok((label, report)) => format!(
            "{name:<10} {label:<44} {} passed, {} failed, {:.1} s to init, {:.1} s in all",
            report.verdict.passed, report.verdict.failed, report.init_seconds, report.total_seconds
        ),
        Err(problem) => format!("{name:<10} {problem:#}"),
    }
}

/// The test program, without anything it would have to load in the guest.
fn build_init(root: &Path) -> Result<PathBuf> {
    say("building the test program for the guests");
    let target_directory = workspace::target_directory(root).join("vm");
    let mut command = cargo(root);
    without_flags(&mut command)
        .args([
            "build",
            "--quiet",
            "--profile",
            "guest",
            "--package",
            "apiarist-tests",
            "--bin",
            "vm_init",
        ])
        .args(["--target", TARGET, "--target-dir"])
        .arg(&target_directory)
        .env("CARGO_ENCODED_RUSTFLAGS", "-Ctarget-feature=+crt-static");
    run(&mut command)?;
    Ok(target_directory.join(TARGET).join("guest/vm_init"))
}
