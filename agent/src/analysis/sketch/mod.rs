//! Small summaries of many values, of a fixed size.
//!
//! In: numbers or names. Out: quantiles, counts and shares. All can be merged, stored, and asked at any time; none
//! keeps a value.

mod distinct;
mod members;
mod metric;
mod mixture;
mod quantiles;
mod ratio;
mod tail;
mod top;

pub(crate) use distinct::Distinct;
pub(crate) use members::{Member, Members};
pub(crate) use metric::Metric;
pub(crate) use mixture::Mixture;
pub(crate) use quantiles::Quantiles;
pub(crate) use ratio::Ratio;
pub(crate) use top::Top;
