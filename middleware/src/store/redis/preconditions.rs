//! What a server must have before it is used: its mode, its version, and the permissions of the user.

use redis::{RedisResult, Value, aio::MultiplexedConnection};
use uuid::Uuid;

use super::{
    acks::AckRequirement,
    call_error::{describe, is_forbidden},
    keys::Keys,
    role::{Role, text_of},
    script::{PRECONDITIONS, ScriptCall},
};
use crate::id::{AgentId, SessionId};

/// The lowest version of Redis whose scripts have flags.
const MIN_REDIS: u32 = 7;

/// The answer to `HELLO`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Greeting {
    pub(super) role: Role,
    server: Option<String>,
    version: Option<String>,
    mode: Option<String>,
}

impl Greeting {
    pub(super) async fn ask(connection: &mut MultiplexedConnection) -> RedisResult<Self> {
        let hello: Value = redis::cmd("HELLO").query_async(connection).await?;
        Ok(Self::of(&hello))
    }

    fn of(hello: &Value) -> Self {
        let field = |name| text_of(hello, name);
        Self {
            role: Role::of(hello),
            server: field("server"),
            version: field("version"),
            mode: field("mode"),
        }
    }

    /// Checks mode and version. `in_cluster` is the mode that the URL means.
    ///
    /// # Errors
    /// A sentence that says what is wrong and what to write.
    pub(super) fn check(&self, in_cluster: bool) -> Result<(), String> {
        match self.mode.as_deref() {
            Some("cluster") if !in_cluster => {
                return Err("the server is a node of a cluster: write redis+cluster://host:6379".into());
            }
            Some("sentinel") => {
                return Err(
                    "the server is a sentinel: write redis+sentinel://host:26379/name-of-the-master".into(),
                );
            }
            Some("standalone") if in_cluster => {
                return Err("the server is no node of a cluster: write redis://host:6379".into());
            }
            _ => {}
        }
        let major = self
            .version
            .as_deref()
            .and_then(|version| version.split('.').next()?.parse::<u32>().ok());
        match (self.server.as_deref(), major) {
            (Some("redis"), Some(major)) if major < MIN_REDIS => Err(format!(
                "Redis {} is too old: {MIN_REDIS}.0 is the lowest version",
                self.version.as_deref().unwrap_or_default()
            )),
            _ => Ok(()),
        }
    }
}

/// Checks that a node of a cluster has this id: its address may have passed to a node of another cluster. A node on which the user may not
/// call `CLUSTER NODES` is not checked.
///
/// # Errors
/// A sentence that says so.
pub(super) async fn check_node_id(connection: &mut MultiplexedConnection, id: &str) -> Result<(), String> {
    let mut command = redis::cmd("CLUSTER");
    let nodes: RedisResult<String> = command.arg("NODES").query_async(connection).await;
    match nodes {
        Ok(nodes) if is_of_node(&nodes, id) => Ok(()),
        Ok(_) => Err("another node of a cluster has this address now".to_owned()),
        Err(error) if is_forbidden(&error) => Ok(()),
        Err(error) => Err(describe(&error)),
    }
}

/// True if a node with this id gave this answer to `CLUSTER NODES`. A proxy can answer for several nodes.
fn is_of_node(nodes: &str, id: &str) -> bool {
    nodes.lines().any(|line| {
        let mut words = line.split(' ');
        let flags = (words.next() == Some(id)).then(|| words.nth(1)).flatten();
        flags.is_some_and(|flags| flags.split(',').any(|flag| flag == "myself"))
    })
}

/// Checks that the user may run scripts, and call the commands of the store on its keys.
///
/// # Errors
/// A sentence that names the commands.
pub(super) async fn check_permissions(
    connection: &mut MultiplexedConnection,
    keys: &Keys,
    in_cluster: bool,
    acks: Option<&AckRequirement>,
) -> Result<(), String> {
    let agent = AgentId::from_uuid(Uuid::nil());
    let session = SessionId::from_uuid(Uuid::from_u128(agent.bucket().into()));
    let of_agent = keys.of_agent(agent);
    let mut call = ScriptCall::default();
    let in_one_slot = [
        keys.session(session),
        of_agent.index,
        of_agent.agent,
        keys.retry(agent, Uuid::nil()),
        keys.agent_epochs(agent.bucket()),
    ];
    for key in in_one_slot {
        // A node of a cluster redirects a call whose keys are in another node's slot.
        call = if in_cluster { call.arg(key) } else { call.key(key) };
    }
    call = call.arg(keys.registry()).arg(keys.agent_retry_of(Uuid::nil()));
    // Without this right, every revocation would seem not to be durable.
    if acks.is_some_and(|acks| acks.replicas > 0) {
        call = call.arg("WAIT:1:1");
    }
    let reply: RedisResult<Value> = PRECONDITIONS
        .invocation(&call, None)
        .invoke_async(connection)
        .await;
    let denied = match reply {
        Ok(Value::Array(denied)) => denied,
        Ok(_) => return Ok(()),
        Err(error) => {
            let message = describe(&error);
            let what = match error.code() {
                // "no permissions to access one of the keys", and since 7.2 "No permissions to access a key".
                Some("NOPERM") if message.contains("to access") => "access the keys of the store",
                Some("NOPERM") => "run scripts",
                _ => return Err(message),
            };
            return Err(format!("the user may not {what}: {message}"));
        }
    };
    let names: Vec<String> = denied
        .into_iter()
        .filter_map(|name| redis::from_redis_value(name).ok())
        .collect();
    if names.is_empty() {
        return Ok(());
    }
    Err(format!(
        "the user may not call {} on the keys of the store (see ACL SETUSER in the documentation)",
        names.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answer_is_of_the_node_that_it_marks() {
        let nodes = "aa 10.0.0.1:7000@17000 master - 0 1 7 connected 0-99\n\
                     bb 10.0.0.2:7001@17001,b.example myself,master - 0 0 8 connected 100-199\n";
        for (id, expected) in [("aa", false), ("bb", true), ("b", false), ("cc", false)] {
            assert_eq!(is_of_node(nodes, id), expected, "{id}");
        }
    }

    fn greeting(server: &str, version: &str, mode: &str) -> Greeting {
        let text = |text: &str| Value::BulkString(text.into());
        Greeting::of(&Value::Map(vec![
            (text("server"), text(server)),
            (text("version"), text(version)),
            (text("mode"), text(mode)),
            (text("role"), text("master")),
        ]))
    }

    #[test]
    fn other_modes_and_old_versions_are_refused_with_a_sentence() {
        for (server, version, mode, expected) in [
            ("redis", "7.0.15", "standalone", None),
            ("valkey", "9.1.2", "standalone", None),
            ("valkey", "1.0", "standalone", None),
            ("redis", "unknown", "", None),
            (
                "redis",
                "6.2.14",
                "standalone",
                Some("Redis 6.2.14 is too old: 7.0 is the lowest version"),
            ),
            (
                "redis",
                "7.2.1",
                "cluster",
                Some("the server is a node of a cluster"),
            ),
            (
                "redis",
                "7.2.1",
                "sentinel",
                Some("the server is a sentinel: write redis+sentinel://"),
            ),
        ] {
            let checked = greeting(server, version, mode).check(false);
            match expected {
                None => assert_eq!(checked, Ok(()), "{server} {version} {mode}"),
                Some(expected) => assert!(checked.unwrap_err().starts_with(expected)),
            }
        }
        assert_eq!(Greeting::of(&Value::Nil).check(false), Ok(()));
        assert_eq!(greeting("redis", "7.2.1", "cluster").check(true), Ok(()));
        let standalone = greeting("redis", "7.2.1", "standalone").check(true);
        assert!(standalone.unwrap_err().ends_with("write redis://host:6379"));
    }
}
