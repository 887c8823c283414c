//! Helpers of the tests.

pub mod collectors;
pub mod gate;
pub mod live;
pub mod python;
pub mod schemas;
pub mod semantics;
pub mod simulated;
pub mod tries;
