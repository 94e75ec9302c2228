//! The role and the identity of a server, and the text of its errors.

use redis::{InfoDict, RedisError, RedisResult, Value, aio::MultiplexedConnection};

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
    let told = describe(error);
    let unknown = told.contains("unknown") || told.contains("unsupported");
    if error.code() == Some("NOPROTO") || (unknown && told.contains("HELLO")) {
        return format!("the server, or a proxy before it, does not support RESP3: {told}");
    }
    told
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
            let told = describe(&error(line));
            assert!(told.len() > 10 && !told.contains("hunter2"), "{told}");
        }
        let needed = describe(&error(
            "NOAUTH HELLO must be called with the client already authenticated",
        ));
        assert!(needed.ends_with("authenticated"), "{needed}");
        for other in [
            "ERR syntax error",
            "LOADING Redis is loading",
            "NOAUTH Authentication required.",
        ] {
            assert!(!is_forbidden(&error(other)), "{other}");
        }
    }
}
