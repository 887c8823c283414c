//! The built agent among real programs, one test after the other.

use std::process::ExitCode;

use apiarist_tests::live;

fn main() -> ExitCode {
    live::main(live::LIVE)
}
