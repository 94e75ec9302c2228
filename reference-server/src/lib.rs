//! The reference server of `tower-session-auth`: configuration, listener, signals, and the endpoints of the crate.
//!
//! The path of a request: `listen` (connections), `stack` (request id, log line, time and size limits), `service`
//! (`/metrics`, or the endpoints of `tower-session-auth`).
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod access_log;
pub mod cli;
pub mod config;
pub mod keys;
mod listen;
mod logging;
mod metrics;
mod metrics_endpoint;
mod reload;
mod service;
mod stack;

pub use config::Config;
pub use reload::Reload;
pub use service::run;
