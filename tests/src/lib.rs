//! Helpers of the tests.

pub mod gate;
pub mod live;
pub mod python;
pub mod semantics;
