//! Why a call to one server failed.

use redis::{ErrorKind, RedisError, RedisResult, ServerErrorKind, Value};

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

    /// The redirection in a reply of a pipeline.
    pub(super) fn of_reply(reply: &Value) -> Option<Self> {
        match reply {
            Value::ServerError(error) => Self::of(&error.clone().into()),
            _ => None,
        }
    }
}

/// Returns the replies of a pipeline, or its first error. These are not errors: a key whose value has another type, and a redirection that is
/// `tolerated`.
pub(super) fn checked_replies(
    replies: Vec<Value>,
    tolerated: impl Fn(&Redirect) -> bool,
) -> RedisResult<Vec<Value>> {
    let failed = replies.iter().find_map(|reply| match reply {
        Value::ServerError(error) if error.code() != WRONG_TYPE => {
            let is_tolerated = Redirect::of_reply(reply).is_some_and(|redirect| tolerated(&redirect));
            (!is_tolerated).then(|| error.clone())
        }
        _ => None,
    });
    failed.map_or(Ok(replies), |error| Err(error.into()))
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
