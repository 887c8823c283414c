//! The `apiarist` command.

fn main() {}
