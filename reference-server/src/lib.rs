//! The reference server of `tower-session-auth`: sessions for agents and services over HTTP.
//!
//! A request's way: `listen` (connections) → `stack` (what every request gets) → `routes` (path and method to an
//! endpoint) → the layers of `tower-session-auth` → `endpoints`.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod app;
pub mod cli;
pub mod config;
mod endpoints;
pub mod first_run;
mod input;
mod inspect;
mod listen;
mod metrics;
mod output;
mod routes;
mod stack;

pub use app::run;
pub use config::Config;
