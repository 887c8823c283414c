//! Collectors that others wrote, started for one test each, and what they are sent.

pub mod clickhouse;
mod process;
pub mod sample;
pub mod syslog_ng;

pub use process::{Collector, free_port, has, listens, until, until_within};
