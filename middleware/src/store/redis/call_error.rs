//! Why a call to one server failed.

use redis::{ErrorKind, RedisError, ServerErrorKind, Value};

use super::role::describe;
use crate::store::StoreError;

/// The error code of a command that does not fit the type of the key's value.
pub(super) const WRONG_TYPE: &str = "WRONGTYPE";

/// Why a call to one server failed.
#[derive(Debug)]
pub(super) enum CallError {
    /// The server is a node of a cluster, and has not executed the call.
    Redirected(Redirect),
    Failed(StoreError),
}

/// The reason why a node of a cluster has not executed a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Redirect {
    /// Another node has the hash slot.
    Moved,
    /// The slot is being moved, and its new node has the keys: its address, as `host:port`.
    Ask(String),
    /// The slot is being moved, and has some of the keys on each of two nodes.
    TryAgain,
}

impl Redirect {
    pub(super) fn of(error: &RedisError) -> Option<Self> {
        match error.kind() {
            ErrorKind::Server(ServerErrorKind::Moved) => Some(Self::Moved),
            ErrorKind::Server(ServerErrorKind::TryAgain) => Some(Self::TryAgain),
            ErrorKind::Server(ServerErrorKind::Ask) => {
                let (address, _) = error.redirect_node()?;
                Some(Self::Ask(address.to_owned()))
            }
            _ => None,
        }
    }

    /// True if a reply of a pipeline says that another node has the key.
    pub(super) fn is_elsewhere(reply: &Value) -> bool {
        match reply {
            Value::ServerError(error) => {
                matches!(Self::of(&error.clone().into()), Some(Self::Moved | Self::Ask(_)))
            }
            _ => false,
        }
    }

    /// True if a reply of a pipeline is a redirection.
    pub(super) fn is(reply: &Value) -> bool {
        match reply {
            Value::ServerError(error) => Self::of(&error.clone().into()).is_some(),
            _ => false,
        }
    }
}

impl From<CallError> for StoreError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Redirected(_) => {
                Self::Unavailable("the hash slot is on another node, or is being moved".into())
            }
            CallError::Failed(error) => error,
        }
    }
}

impl From<StoreError> for CallError {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

impl From<&RedisError> for StoreError {
    fn from(error: &RedisError) -> Self {
        match error.kind() {
            ErrorKind::Parse | ErrorKind::UnexpectedReturnType => Self::Unexpected(describe(error)),
            _ if error.code() == Some(WRONG_TYPE) => Self::Unexpected(describe(error)),
            _ if error.is_timeout() => Self::Timeout,
            _ => Self::Unavailable(describe(error)),
        }
    }
}

/// True if the server has become a replica.
pub(super) fn is_demoted(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly)
}
