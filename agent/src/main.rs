//! The `apiarist` command.

fn main() -> apiarist::cli::Exit {
    apiarist::cli::main(std::env::args_os())
}
