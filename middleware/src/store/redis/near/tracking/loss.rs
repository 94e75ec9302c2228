//! The reasons why the near cache loses its coherence.

use redis::RedisError;

use crate::store::redis::{call_error::describe, role::REPLICA};

/// The reason why the cache lost its coherence.
pub(super) enum Loss {
    /// The tracking connection failed.
    Connection(String),
    /// The server of both connections has become a replica.
    Demoted,
    /// The host name resolves to another server than the one of the store's own connection.
    Moved,
    /// The store's own connection may reach another server: INFO is forbidden, and the connection is not recent.
    Unverified,
}

impl Loss {
    pub(super) fn reason(&self) -> &str {
        match self {
            Self::Connection(reason) => reason,
            Self::Demoted => REPLICA,
            Self::Moved => "the host name now resolves to another server",
            Self::Unverified => "INFO is not allowed, so the server is not known: the store reconnects",
        }
    }

    pub(super) fn connection(reason: &str) -> Self {
        Self::Connection(reason.to_owned())
    }
}

pub(super) fn cannot_track(error: RedisError) -> Loss {
    if error.is_io_error() {
        return failed(error);
    }
    Loss::Connection(format!("CLIENT TRACKING is not possible: {}", describe(&error)))
}

pub(super) fn failed(error: RedisError) -> Loss {
    Loss::Connection(describe(&error))
}
