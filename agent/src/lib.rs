//! Apiarist: an inventory, baselines, risks and alerts for every API of a Linux host, read inside the kernel.
//!
//! Data flows one way:
//! [`capture`] → [`event::SocketEvent`] → [`flow`] → [`protocol`] → [`exchange::Exchange`] → [`inventory`] and
//! [`analysis`] → [`store`], [`control`] and the [`cli`]. Everything between the two plain types is
//! sans-IO: no clock, socket, file, thread or randomness inside; time is an argument.

pub mod analysis;
mod bounded;
pub mod capture;
pub mod cli;
pub mod clock;
pub mod config;
pub mod confine;
pub mod control;
pub mod deny;
pub mod event;
pub mod exchange;
pub mod fleet;
pub mod flow;
pub mod harvest;
pub mod inventory;
pub mod metrics;
pub mod observe;
pub mod openapi;
pub mod pipeline;
pub mod policy;
pub mod protocol;
pub mod replay;
pub mod report;
pub mod risk;
pub mod select;
pub mod sink;
pub mod snapshot;
pub mod spec;
pub mod status;
pub mod store;
mod tui;
pub mod verdict;
mod visible;
pub mod workload;
