//! Helpers of the tests.

pub mod live;
pub mod semantics;
