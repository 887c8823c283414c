//! The inventory: which endpoints there are.
//!
//! In: [`Exchange`](crate::exchange::Exchange)s with the workloads at both ends. Out: endpoints, filed under the
//! workload that serves them, as views for people and as records for the store.

pub mod path;
pub mod template;
