//! The reference server of `tower-session-auth`: sessions for agents and services over HTTP.
//!
//! A request's way: `listen` (connections) → `stack` (what every request gets) → `routes` (path and method to an
//! endpoint) → the layers of `tower-session-auth` → `endpoints`.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod app;
pub mod cli;
pub mod config;
pub mod first_run;
mod inspect;
mod listen;
mod metrics;
mod proxies;
mod stack;

pub use app::run;
pub use config::Config;
