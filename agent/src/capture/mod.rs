//! The impure edge: where [`crate::event::SocketEvent`]s come from.
//!
//! A kernel: `features` asks it what it can do; `btf` finds where it keeps its fields; `plan` decides, as a pure
//! function of both, what to attach; `load` does it (`attachments` each program as its kind wants it, `reading` with
//! what the loader wants to know); `ring` maps what the programs write; `reader` waits for it; `decode` turns records
//! into events. A file: recordings, packet captures, HAR and exchanges files, in [`mod@file`].
//!
//! The only place that knows aya, and the only one with `unsafe`.

mod attachments;
pub mod btf;
pub mod counters;
pub mod decode;
pub mod features;
pub mod file;
pub mod load;
pub mod memory;
mod older;
pub mod plan;
pub mod process;
pub mod reader;
pub mod reading;
pub mod ring;
pub mod tls;
