//! Collectors that others wrote, started for one test each, and what they are sent.

pub mod clickhouse;
mod debian;
mod process;
pub mod rsyslog;
pub mod sample;
pub mod syslog_ng;

pub use process::{Collector, fed, free_port, has, listens, offered, until, until_within};
