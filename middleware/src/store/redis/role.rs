//! Whether a server may be read.

use redis::{RedisError, RedisResult, Value, aio::MultiplexedConnection};

/// Why a replica is not asked.
pub(super) const REPLICA: &str = "the server is a replica";

/// What a server says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Master,
    /// It may not have heard of a revocation yet, so it is not read.
    Replica,
    /// It may not be asked. The first write tells.
    Unknown,
}

impl Role {
    pub(super) async fn ask(connection: &mut MultiplexedConnection) -> RedisResult<Self> {
        let role: RedisResult<Value> = redis::cmd("ROLE").query_async(connection).await;
        match role {
            Ok(Value::Array(role)) if role.first() == Some(&Value::BulkString(b"slave".to_vec())) => {
                Ok(Self::Replica)
            }
            Ok(_) => Ok(Self::Master),
            Err(error) if is_forbidden(&error) => Ok(Self::Unknown),
            Err(error) => Err(error),
        }
    }
}

/// Whether the user may not give this command, or nobody may, since it was renamed.
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
