//! Test harness.

pub mod redis;
