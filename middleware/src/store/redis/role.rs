//! The role and the identity of a server.

use redis::{InfoDict, RedisResult, Value, aio::MultiplexedConnection};

use super::call_error::is_forbidden;

/// The reason in errors when a server is a replica.
pub(super) const REPLICA: &str = "the server is a replica";

/// The role that a server reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Master,
    /// A replica may lag behind a revocation, so it is not read.
    Replica,
    /// The server does not report its role. A replica then rejects the first write.
    Unknown,
}

impl Role {
    /// Sends `HELLO`, which has no effect without arguments. Unlike `ROLE`, every user may call it, since every connection
    /// begins with it.
    pub(super) async fn query(connection: &mut MultiplexedConnection) -> RedisResult<Self> {
        let hello: Value = redis::cmd("HELLO").query_async(connection).await?;
        Ok(Self::of(&hello))
    }

    pub(super) fn of(hello: &Value) -> Self {
        match property(hello, "role") {
            Some(role) if is_text(role, "master") => Self::Master,
            Some(_) => Self::Replica,
            None => Self::Unknown,
        }
    }
}

/// A property of the answer to `HELLO`.
fn property<'a>(hello: &'a Value, name: &str) -> Option<&'a Value> {
    let Value::Map(properties) = hello else {
        return None;
    };
    let found = properties.iter().find(|(known, _)| is_text(known, name));
    found.map(|(_, value)| value)
}

/// A property of the answer to `HELLO` that is a text.
pub(super) fn text_of(hello: &Value, name: &str) -> Option<String> {
    match property(hello, name)? {
        Value::BulkString(bytes) => String::from_utf8(bytes.clone()).ok(),
        Value::SimpleString(text) => Some(text.clone()),
        _ => None,
    }
}

fn is_text(value: &Value, text: &str) -> bool {
    match value {
        Value::BulkString(bytes) => bytes == text.as_bytes(),
        Value::SimpleString(string) => string == text,
        _ => false,
    }
}

/// True if two connections reach the same server, by its run id. `None` if the user may not call `INFO`.
pub(super) async fn is_same_server(
    one: &mut MultiplexedConnection,
    other: &mut MultiplexedConnection,
) -> RedisResult<Option<bool>> {
    let (one, other) = tokio::try_join!(run_id(one), run_id(other))?;
    Ok(one.zip(other).map(|(one, other)| one == other))
}

/// Returns the server's run id. `None` if the user may not call `INFO`.
async fn run_id(connection: &mut MultiplexedConnection) -> RedisResult<Option<String>> {
    let info: RedisResult<InfoDict> = redis::cmd("INFO").arg("server").query_async(connection).await;
    match info {
        Ok(info) => Ok(info.get("run_id")),
        Err(error) if is_forbidden(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    #[test]
    fn only_the_reported_role_master_counts_as_master() {
        let hello = |role| Value::Map(vec![(text("server"), text("redis")), (text("role"), role)]);
        for (answer, role) in [
            (hello(text("master")), Role::Master),
            (hello(Value::SimpleString("master".into())), Role::Master),
            (hello(text("replica")), Role::Replica),
            (hello(text("sentinel")), Role::Replica),
            (hello(Value::Nil), Role::Replica),
            (Value::Map(vec![(text("server"), text("redis"))]), Role::Unknown),
            (Value::Array(vec![text("role"), text("master")]), Role::Unknown),
        ] {
            assert_eq!(Role::of(&answer), role, "{answer:?}");
        }
    }
}
