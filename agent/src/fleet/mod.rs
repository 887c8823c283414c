//! All hosts in one place: rows for ClickHouse, and answers from there.
//!
//! In: what an agent knows ([`Snapshot`]), or what somebody asks. Out: [`Row`]s for a server that people already run,
//! over its HTTP interface, or rows as the query commands show them. The schema is shipped ([`migrate`]) and applied
//! by who may change it, not by agents. Refuses to be a server.

mod address;
mod ask;
mod client;
mod delta;
mod migrations;
mod row;
mod rows;
mod view;

pub use address::Address;
pub use ask::{Wanted, ask, column, graph, quoted, rank};
pub use client::{Client, FleetError};
pub use delta::Delta;
pub use migrations::{NEWEST, migrate};
pub use row::{Row, Table};
pub use rows::{Snapshot, alert};
pub use view::{ALERTS, ANOMALIES, ENDPOINTS, FINDINGS, Kind, Member, RISKS, View, WORKLOADS};
