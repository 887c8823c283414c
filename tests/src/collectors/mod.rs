//! Collectors that others wrote, started for one test each.

pub mod clickhouse;
mod process;

pub use process::{Collector, free_port, has, until};
