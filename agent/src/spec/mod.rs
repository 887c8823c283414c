//! Specifications that people wrote, compared with what was observed, and checked by themselves.
//!
//! In: OpenAPI documents ([`Given`]), rows of endpoints and the documents exported of them. Out: a [`Diff`]: which
//! endpoints are documented, shadow or zombie, which operations nobody asked for, where fields drift apart, and how much
//! of the specification was exercised; or what [`lint`] says of a document; both as [`Issue`]s that [`report`] writes.
//! Pure: files are read by the caller. Says nothing against what a document leaves open.

mod coverage;
mod diff;
mod drift;
mod given;
mod issue;
pub mod lint;
mod matching;
pub mod report;

pub use coverage::{Coverage, OperationCoverage, Share};
pub use diff::{Counts, Diff, EndpointRow, RULES, diff};
pub use given::{Given, Line};
pub use issue::{Gate, Issue, Place};
pub use matching::{Matcher, State};
