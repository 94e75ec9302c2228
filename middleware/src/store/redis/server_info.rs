//! The version, role and settings of a Redis server, for operators.

use std::{collections::HashMap, fmt};

use redis::{InfoDict, Value};

use super::{RedisStore, call_error::CallError, connection::Connection, request::Request};
use crate::{
    store::{StoreError, StoreWarning},
    telemetry::StoreOperation,
};

/// The description of a Redis or Valkey server, from its command `INFO`. A field is `None` if the server does not report it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedisServerInfo {
    /// The name of the program: `redis` or `valkey`.
    pub program: String,
    /// The version of the program.
    pub version: Option<String>,
    /// `standalone`, `cluster` or `sentinel`.
    pub mode: Option<String>,
    /// `master` or `slave`.
    pub role: Option<String>,
    /// The address of the server.
    pub address: Option<String>,
    /// The number of masters with slots, in a cluster.
    pub masters: Option<usize>,
    /// The policy for a full memory. Any other than `noeviction` can remove sessions.
    pub eviction_policy: Option<String>,
    /// True if the server appends every write to a file.
    pub append_only: Option<bool>,
    /// True if the default user has fewer than all rights. Redis replays the append-only file as this user, and drops the changes of
    /// scripts that it may not make. `None` without an append-only file, and if the store's user may not call `ACL GETUSER`.
    pub default_user_is_restricted: Option<bool>,
}

impl RedisStore {
    /// Asks the server to describe itself, within the deadline of a store call. In a cluster, all masters: the one with the most
    /// [warnings](RedisServerInfo::warnings) is returned.
    ///
    /// # Errors
    /// If the server cannot be reached, or the user may not call `INFO`.
    pub async fn server_info(&self) -> Result<RedisServerInfo, StoreError> {
        let servers = &self.shared.servers;
        let describe = async {
            let found = servers.describe_each().await?;
            let masters = found.len();
            let worst = found.into_iter().max_by_key(|found| found.warnings().len());
            let mut worst = worst.ok_or_else(|| StoreError::Unavailable("the store has no server".into()))?;
            worst.masters = (!servers.keeps_order()).then_some(masters);
            Ok(worst)
        };
        servers.within(StoreOperation::Describe, describe).await
    }
}

impl Connection {
    /// Asks the server to describe itself. Users are not replicated, so each server has a default user of its own.
    pub(super) async fn describe(&self) -> Result<RedisServerInfo, CallError> {
        let info = self
            .call::<InfoDict>(Request::Command(&redis::cmd("INFO")), false)
            .await?;
        let mut found = RedisServerInfo::of(&info);
        found.address = Some(self.link().await?.endpoint.server().to_string());
        if found.append_only == Some(true) {
            let mut command = redis::cmd("ACL");
            command.arg("GETUSER").arg("default");
            let user = self.call::<Value>(Request::Command(&command), false).await;
            found.default_user_is_restricted = user.ok().as_ref().and_then(is_restricted);
        }
        Ok(found)
    }
}

impl RedisServerInfo {
    pub(super) fn of(info: &InfoDict) -> Self {
        let text = |name: &str| info.get::<String>(name);
        let valkey = text("valkey_version");
        Self {
            program: if valkey.is_some() { "valkey" } else { "redis" }.to_owned(),
            version: valkey.or_else(|| text("redis_version")),
            mode: text("server_mode").or_else(|| text("redis_mode")),
            role: text("role"),
            address: None,
            masters: None,
            eviction_policy: text("maxmemory_policy"),
            append_only: text("aof_enabled").map(|enabled| enabled == "1"),
            default_user_is_restricted: None,
        }
    }

    /// The findings that endanger sessions, each with a sentence that says what to set.
    #[must_use]
    pub fn warnings(&self) -> Vec<(StoreWarning, String)> {
        let mut warnings = Vec::new();
        if let Some(policy) = &self.eviction_policy
            && policy != "noeviction"
        {
            warnings.push((
                StoreWarning::EvictingPolicy,
                format!(
                    "the eviction policy is {policy}: a full memory removes sessions; set maxmemory-policy noeviction"
                ),
            ));
        }
        if self.append_only == Some(false) {
            warnings.push((
                StoreWarning::NoPersistence,
                "the append-only file is off: a restart of the server can lose revocations; set appendonly yes".to_owned(),
            ));
        }
        if self.default_user_is_restricted == Some(true) {
            warnings.push((
                StoreWarning::NoPersistence,
                "the default user is restricted: a restart of the server loses sessions and revocations in the append-only file; \
                 set user default off resetpass ~* &* +@all"
                    .to_owned(),
            ));
        }
        warnings
    }
}

/// Reads the answer of `ACL GETUSER`. `None` if it has another form.
fn is_restricted(user: &Value) -> Option<bool> {
    let rules: HashMap<String, Value> = redis::from_redis_value_ref(user).ok()?;
    let rule = |name: &str| redis::from_redis_value_ref::<String>(rules.get(name)?).ok();
    Some(rule("commands")? != "+@all" || rule("keys")? != "~*")
}

impl fmt::Display for RedisServerInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_unknown = |value: &Option<String>| value.clone().unwrap_or_else(|| "unknown".to_owned());
        write!(
            f,
            "{} {}, {}",
            self.program,
            or_unknown(&self.version),
            or_unknown(&self.mode)
        )?;
        if let Some(masters) = self.masters {
            write!(f, " with {masters} masters")?;
        }
        write!(f, ", role {}", or_unknown(&self.role))?;
        match &self.address {
            Some(address) => write!(f, ", address {address}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(lines: &str) -> RedisServerInfo {
        RedisServerInfo::of(&InfoDict::new(&lines.replace('\n', "\r\n")))
    }

    #[test]
    fn an_evicting_policy_and_a_missing_append_only_file_are_warnings() {
        let good = "redis_version:7.0.15\nredis_mode:standalone\nrole:master\nmaxmemory_policy:noeviction\naof_enabled:1\n";
        assert_eq!(info(good).to_string(), "redis 7.0.15, standalone, role master");
        assert_eq!(info(good).warnings(), []);
        let bad = info("maxmemory_policy:allkeys-lru\naof_enabled:0\n");
        let [(evicting, policy), (volatile, file)] = &bad.warnings()[..] else {
            panic!("{:?}", bad.warnings());
        };
        assert_eq!(
            [evicting, volatile],
            [&StoreWarning::EvictingPolicy, &StoreWarning::NoPersistence]
        );
        assert!(policy.contains("allkeys-lru") && file.contains("appendonly"));
    }

    #[test]
    fn default_user_without_all_keys_or_commands_is_restricted() {
        let text = |text: &str| Value::BulkString(text.into());
        let user = |commands, keys| {
            Value::Map(vec![
                (text("flags"), Value::Array(vec![text("off")])),
                (text("commands"), text(commands)),
                (text("keys"), text(keys)),
            ])
        };
        for (commands, keys, restricted) in [
            ("+@all", "~*", false),
            ("-@all", "~*", true),
            ("-@all +ping", "", true),
            ("+@all", "~session:*", true),
            ("+@all", "", true),
        ] {
            assert_eq!(
                is_restricted(&user(commands, keys)),
                Some(restricted),
                "{commands} {keys}"
            );
        }
        assert_eq!(is_restricted(&Value::Nil), None);
        let mut found = RedisServerInfo::default();
        assert!(found.warnings().is_empty());
        found.default_user_is_restricted = Some(true);
        let (warning, sentence) = &found.warnings()[0];
        assert_eq!(*warning, StoreWarning::NoPersistence);
        assert!(sentence.contains("user default off resetpass ~* &* +@all"));
    }

    #[test]
    fn valkey_reports_its_own_version_and_missing_fields_are_unknown() {
        let valkey = info("redis_version:7.2.4\nvalkey_version:9.1.2\nserver_mode:cluster\n");
        assert_eq!(valkey.to_string(), "valkey 9.1.2, cluster, role unknown");
        assert_eq!(info("").to_string(), "redis unknown, unknown, role unknown");
        let mut of_cluster = valkey;
        of_cluster.masters = Some(3);
        of_cluster.address = Some("h:6379".to_owned());
        assert_eq!(
            of_cluster.to_string(),
            "valkey 9.1.2, cluster with 3 masters, role unknown, address h:6379"
        );
    }
}
