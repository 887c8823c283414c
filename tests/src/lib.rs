//! Helpers of the tests.

pub mod semantics;
