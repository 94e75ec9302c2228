//! The reference server of `tower-session-auth`: configuration, listener, signals, and the endpoints of the crate.
//!
//! The path of a request: `serve` (connections), `stack::identify` (request id), `serve::admission` (overload), `stack::around` (log
//! line, time and size limits), `service` (`/metrics`, or the endpoints of `tower-session-auth`).
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod access_log;
pub mod cli;
pub mod config;
pub mod keys;
mod logging;
mod metrics;
mod metrics_endpoint;
mod reload;
mod runtime;
pub mod serve;
mod service;
mod stack;
mod start_error;
mod systemd;
pub mod tls;

pub use config::Config;
pub use reload::Reload;
pub use runtime::runtime;
pub use service::run;
pub use start_error::StartError;
