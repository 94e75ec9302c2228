//! Why a call to one server failed, and the text of its errors.

use redis::{ErrorKind, RedisError, RedisResult, ServerErrorKind, Value};

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

/// True if the user may not call this command, or the command was renamed.
pub(super) fn is_forbidden(error: &RedisError) -> bool {
    let unknown = || {
        error
            .detail()
            .is_some_and(|detail| detail.starts_with("unknown command"))
    };
    match error.code() {
        Some("NOPERM") => true,
        Some("ERR") => unknown(),
        _ => false,
    }
}

/// The text of an error, cut off before the arguments of a rejected command. A server or proxy may include a password there.
pub(super) fn describe(error: &RedisError) -> String {
    let mut text = error.to_string();
    if error.code() == Some("NOAUTH") || text.contains("NOAUTH") {
        return "the server wants a password (NOAUTH)".to_owned();
    }
    let arguments = [", with args", " AUTH ", "'AUTH'", "\"AUTH\""];
    if let Some(end) = arguments
        .iter()
        .filter_map(|&arguments| text.find(arguments))
        .min()
    {
        text.truncate(end);
    }
    text
}

/// The text of an error with which a connection begins. Its first command is `HELLO 3`, which old servers and some proxies do not know.
pub(super) fn cannot_begin(error: &RedisError) -> String {
    let message = describe(error);
    let unknown = message.contains("unknown") || message.contains("unsupported");
    if error.code() == Some("NOPROTO") || (unknown && message.contains("HELLO")) {
        return format!("the server, or a proxy before it, does not support RESP3: {message}");
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forbidden_command_is_detected_and_no_error_contains_a_password() {
        let error = |line: &str| {
            let reply = redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap();
            reply.extract_error().unwrap_err()
        };
        let forbidden = "NOPERM User api has no permissions to run the 'info' command";
        assert!(is_forbidden(&error(forbidden)));
        let renamed = error("ERR unknown command 'INFO', with args beginning with: 'hunter2' ");
        assert!(is_forbidden(&renamed));
        for line in [
            "ERR unknown command 'INFO', with args beginning with: 'hunter2' ",
            "ERR unsupported command 'HELLO 3 AUTH default hunter2'",
            "ERR unknown: 'HELLO' '3' 'AUTH' 'default' 'hunter2'",
            "NOPERM not here: \"HELLO\" \"3\" \"AUTH\" \"default\" \"hunter2\"",
        ] {
            let message = describe(&error(line));
            assert!(message.len() > 10 && !message.contains("hunter2"), "{message}");
        }
        let needed = describe(&error(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option",
        ));
        assert_eq!(needed, "the server wants a password (NOAUTH)");
        for other in [
            "ERR syntax error",
            "LOADING Redis is loading",
            "NOAUTH Authentication required.",
        ] {
            assert!(!is_forbidden(&error(other)), "{other}");
        }
    }
}
