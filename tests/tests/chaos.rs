//! The built agent where something goes wrong: disks, clocks, limits, neighbours, and people who work against it.

use std::process::ExitCode;

use apiarist_tests::live;

fn main() -> ExitCode {
    live::main(live::CHAOS)
}
