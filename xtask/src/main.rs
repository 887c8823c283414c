//! Development tasks: `cargo xtask --help` lists them.

use anyhow::Result;
use clap::{Parser, Subcommand};

mod ebpf;
mod ebpf_check;
mod elf;
mod manifest;
mod packages;
mod shell;
mod source_hash;
mod toolchain;
mod workspace;

/// Development tasks of Apiarist. Each installs what it needs and says so.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Build the kernel object for each architecture and record what it was made from
    Ebpf(ebpf::Options),
}

fn main() -> Result<()> {
    match Arguments::parse().task {
        Task::Ebpf(options) => ebpf::main(&options),
    }
}
