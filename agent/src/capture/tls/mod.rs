//! Where plaintext can be read: the TLS libraries that processes use.
//!
//! In: processes that started or use TLS. Out: probes at the functions of their libraries, one set per file however many
//! processes map it, gone when the last of them is. `maps` lists what a process maps, `elf` finds functions in a file
//! without reading it whole (`golang` in those of Go, `rust` by names of Rust, `returns` in code), `place` where one is cheap
//! to probe, `library` decides which of them to probe, `probe` attaches (`many` loads programs for it), `discovery` keeps the books, `turns`
//! says when it looks, `examine` reads executables for it, `exclusions` knows who is let alone, `libraries` what was found of
//! whom. `stack` says why the rest cannot be read.
//!
//! Nothing is written to a process, and no process is stopped or signalled. Files are opened once, examined, and probed
//! through that same descriptor: what was examined is what is probed.

pub mod discovery;
pub mod elf;
pub mod examine;
pub mod exclusions;
pub mod golang;
pub mod libraries;
pub mod library;
pub(crate) mod many;
pub mod maps;
pub mod place;
pub mod probe;
pub mod returns;
pub mod rust;
pub mod stack;
mod turns;
