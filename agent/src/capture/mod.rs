//! Capture: where socket events come from.

pub mod file;
