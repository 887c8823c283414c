//! What the kernel programs and the agent must agree on, and nothing else.
//!
//! Compiled twice: for the BPF target inside `apiarist-ebpf`, and for the host inside `apiarist`. It is
//! `no_std`, depends on nothing and does no input or output. Layouts are asserted at compile time
//! ([`event`], [`offsets`], [`process`]); the logic that both sides run, protocol sniffing and following HTTP/2 frames, is pure, with
//! host tests ([`sniff`], [`frames`]).
#![no_std]

pub mod control;
pub mod counter;
pub mod event;
pub mod frames;
pub mod limits;
pub mod offsets;
pub mod process;
pub mod sniff;
