//! Development tasks: `cargo xtask --help` lists them.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod api_server;
mod bench;
mod browser;
mod ebpf;
mod ebpf_check;
mod elf;
mod fuzz;
mod image;
mod instruction;
mod manifest;
mod npm;
mod own_stacks;
mod package;
mod packages;
mod reproducible;
mod run;
mod setup;
mod shell;
mod soak;
mod source_hash;
mod stack_depth;
mod supply;
mod test;
mod toolchain;
mod vm;
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
    /// Build the agent and start capture as root, with its store; prints what it sees
    ///
    /// Needs only Rust and a C toolchain. Uses sudo when not root.
    Run(run::Options),
    /// Run all tests; installs the servers and clients they drive
    ///
    /// Tests that load programs into the kernel need root. Without it they report themselves as skipped;
    /// with CI=true in the environment they fail instead.
    Test(test::Options),
    /// Build the API server of Kubernetes from Debian's source package, for the tests that ask it
    ///
    /// Takes a quarter of an hour on two cores. Without it those tests are skipped.
    ApiServer,
    /// Measure what the agent costs, beside the same work without it
    Bench(bench::Options),
    /// Build the kernel object for each architecture and record what it was made from
    Ebpf(ebpf::Options),
    /// Run the fuzz targets
    ///
    /// Builds them with coverage, on the stable toolchain. Seeds are taken from where APIARIST_DATA points, or from
    /// ../shared/data beside the workspace, if they are there. What is found stays below target/fuzz.
    Fuzz(fuzz::Options),
    /// Build a container image of the agent: a static binary on nothing
    Image(image::Options),
    /// Build a Debian package of the agent
    Package(package::Options),
    /// Build the last commit twice, in different places, and compare the bytes
    Reproducible(reproducible::Options),
    /// Install the system packages that a purpose needs
    Setup(setup::Options),
    /// Run the chaos suite and a steady load, against an optimised build
    Soak(soak::Options),
    /// Check what the agent is made of against deny.toml, and write its bill of materials
    Supply(supply::Options),
    /// Run the kernel tests on other kernels, under QEMU
    Vm(vm::Options),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().task {
        Task::Run(options) => run::main(&options).map(|()| 0),
        Task::Test(options) => test::main(&options),
        Task::ApiServer => api_server::main().map(|()| 0),
        Task::Bench(options) => bench::main(&options).map(|()| 0),
        Task::Ebpf(options) => ebpf::main(&options).map(|()| 0),
        Task::Fuzz(options) => fuzz::main(&options).map(|()| 0),
        Task::Image(options) => image::main(&options).map(|()| 0),
        Task::Package(options) => package::main(&options).map(|()| 0),
        Task::Reproducible(options) => reproducible::main(&options).map(|()| 0),
        Task::Setup(options) => setup::main(&options).map(|()| 0),
        Task::Soak(options) => soak::main(&options),
        Task::Supply(options) => supply::main(&options).map(|()| 0),
        Task::Vm(options) => vm::main(&options).map(|()| 0),
    };
    let code = outcome.unwrap_or_else(|problem| {
        shell::say(format!("error: {problem:#}"));
        1
    });
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}
