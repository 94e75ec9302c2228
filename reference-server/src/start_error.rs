//! The reasons why the server does not start.

use std::{fmt, io, net::SocketAddr};

use crate::config::ConfigErrors;

/// The reason why [`run`](crate::run) did not start the server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The configuration is invalid.
    #[error(transparent)]
    Config(ConfigErrors),
    /// The address of `metrics_listen` cannot be bound, for example because another process uses it.
    #[error("metrics_listen: cannot listen on {address}: {error}")]
    Metrics {
        /// The address.
        address: SocketAddr,
        /// The reason.
        #[source]
        error: io::Error,
    },
}

impl StartError {
    /// A part of the server rejects the configuration.
    pub(crate) fn config(error: impl fmt::Display) -> Self {
        Self::Config(ConfigErrors(vec![error.to_string()]))
    }
}
