//! What the kernel programs and the agent must agree on, and nothing else.
//!
//! Compiled twice: for the BPF target inside `apiarist-ebpf`, and for the host inside `apiarist`. It is
//! `no_std`, depends on nothing and does no input or output. Layouts are asserted at compile time
//! ([`event`], [`offsets`]); the one piece of logic both sides run, protocol sniffing, is a pure function
//! with host tests ([`sniff`]).
#![no_std]

pub mod control;
pub mod counter;
pub mod event;
pub mod limits;
pub mod offsets;
pub mod sniff;
