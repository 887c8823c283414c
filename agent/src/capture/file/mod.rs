//! Files.

pub mod recording;
