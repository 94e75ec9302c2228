//! Errors of a store.

use crate::error::{AuthError, ErrorKind, RejectionReason};

/// A store call failed. The error contains no information about a session: never treat it as "not found" or "revoked".
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The store did not answer within the deadline. The command may still run later.
    #[error("no answer from the store within the deadline")]
    Timeout,
    /// There is no connection, or the server cannot serve the call now (out of memory, read-only, loading).
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// The store's reply cannot be parsed by this version.
    #[error("unexpected answer from the store: {0}")]
    Unexpected(String),
}

impl From<StoreError> for AuthError {
    /// The client receives `STORE_UNAVAILABLE`. The store's error becomes the cause, for the log.
    fn from(error: StoreError) -> Self {
        let unavailable = |reason| Self::new(ErrorKind::StoreUnavailable).with_reason(reason);
        match error {
            StoreError::Unexpected(_) => {
                unavailable(RejectionReason::StoreMalformed).with_internal_cause(error)
            }
            StoreError::Timeout => unavailable(RejectionReason::StoreTimeout).with_cause(error),
            StoreError::Unavailable(_) => unavailable(RejectionReason::StoreUnavailable).with_cause(error),
        }
    }
}
