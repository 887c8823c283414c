//! The inventory: which endpoints there are.
//!
//! In: [`Exchange`](crate::exchange::Exchange)s with the workloads at both ends. Out: endpoints, filed under the
//! workload that serves them, as rows for people ([`EndpointView`], [`WorkloadView`]) and as records for the store
//! ([`EndpointRecord`], [`WorkloadRecord`]). As long as no bound is reached, the order of exchanges does not change
//! the result. Refuses to let a client invent endpoints: one exists when its server has answered it with anything
//! but "there is no such thing".

mod addresses;
mod auth;
#[cfg(test)]
mod cost_tests;
mod counts;
mod endpoint;
mod exposure;
#[cfg(test)]
pub(crate) mod fixture;
mod kind;
mod learning;
mod ledger;
mod limits;
mod locate;
mod nature;
pub mod path;
mod recent;
mod record;
mod registry;
pub mod schema;
pub mod sensitive;
mod settle;
mod sketch;
mod suspect;
pub mod template;
mod traffic;
mod view;

pub use auth::AuthVerdict;
pub use counts::Counts;
pub use endpoint::{
    Endpoint, EndpointId, EndpointState, MAX_LINEAGE, PROMOTION_HITS, PROMOTION_SPAN, STALE_AFTER,
};
pub use exposure::Exposure;
pub(crate) use exposure::is_private;
pub use kind::EndpointKind;
pub use ledger::{Inventory, Observation};
pub use limits::{Limits, Stats};
pub use nature::{Nature, NatureKind};
pub use record::{EndpointRecord, RECORD_VERSION, WorkloadRecord};
pub use registry::Revised;
pub use sketch::Sketch;
pub use traffic::{CompletenessCounts, NO_SCHEME, Traffic};
pub use view::{AuthView, EndpointView, LatencyView, SensitiveView, WorkloadView};
