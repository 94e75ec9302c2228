//! Whether the server keeps the sessions that it has: its eviction policy and its persistence.

use std::{
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use redis::{InfoDict, aio::MultiplexedConnection};
use tokio::time::timeout;

use super::{call_error::is_forbidden, server_info::RedisServerInfo};
use crate::{store::StoreWarning, sync::lock};

const UNKNOWN: &str = "the server does not tell its eviction policy and persistence: allow the command INFO";

/// The latest answer of the server.
#[derive(Default)]
pub(super) struct Durability {
    /// True if a server that endangers sessions counts as not ready.
    required: bool,
    latest: Mutex<Latest>,
}

#[derive(Default)]
struct Latest {
    /// `None` without an answer, and if the user may not call `INFO`.
    info: Option<RedisServerInfo>,
    /// The findings that are in the log.
    logged: Vec<String>,
}

impl Durability {
    pub(super) fn new(required: bool) -> Self {
        Self {
            required,
            latest: Mutex::default(),
        }
    }

    /// Asks the server. A change of the findings is logged.
    pub(super) async fn check(&self, connection: &mut MultiplexedConnection, limit: Duration) {
        let mut info = redis::cmd("INFO");
        let answer = timeout(limit, info.arg("default").query_async::<InfoDict>(connection)).await;
        match answer {
            Ok(Ok(info)) => self.record(Some(RedisServerInfo::of(&info))),
            Ok(Err(error)) if is_forbidden(&error) => self.record(None),
            // The last result stays: the connection may be slow or broken.
            Ok(Err(_)) | Err(_) => {}
        }
    }

    fn record(&self, info: Option<RedisServerInfo>) {
        let mut latest = self.lock();
        let findings = match &info {
            Some(info) => sentences(info),
            None if self.required => vec![UNKNOWN.to_owned()],
            None => Vec::new(),
        };
        for finding in findings.iter().filter(|finding| !latest.logged.contains(finding)) {
            tracing::warn!("Redis endangers sessions: {finding}");
        }
        latest.logged = findings;
        latest.info = info;
    }

    pub(super) fn warnings(&self) -> Vec<StoreWarning> {
        let latest = self.lock();
        let found = latest.info.as_ref().map(RedisServerInfo::warnings);
        let found = found.unwrap_or_default();
        found.into_iter().map(|(warning, _)| warning).collect()
    }

    /// The reason why the server does not count as ready. `None` unless a durable one is required.
    pub(super) fn reason(&self) -> Option<String> {
        if !self.required {
            return None;
        }
        match &self.lock().info {
            None => Some(UNKNOWN.to_owned()),
            Some(info) if !is_known(info) => Some(UNKNOWN.to_owned()),
            Some(info) => Some(sentences(info).join("; ")).filter(|reason| !reason.is_empty()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Latest> {
        lock(&self.latest)
    }
}

const fn is_known(info: &RedisServerInfo) -> bool {
    info.eviction_policy.is_some() && info.append_only.is_some()
}

fn sentences(info: &RedisServerInfo) -> Vec<String> {
    let found = info.warnings();
    found.into_iter().map(|(_, sentence)| sentence).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::CapturedLogs;

    fn info(policy: Option<&str>, append_only: Option<bool>) -> RedisServerInfo {
        RedisServerInfo {
            eviction_policy: policy.map(str::to_owned),
            append_only,
            ..RedisServerInfo::default()
        }
    }

    #[test]
    fn unknown_is_no_warning_and_a_reason_only_if_durability_is_required() {
        use StoreWarning::{EvictingPolicy, NoPersistence};
        for (answer, warnings, reason) in [
            (None, &[][..], Some("INFO")),
            (Some(info(None, None)), &[], Some("INFO")),
            (Some(info(Some("noeviction"), None)), &[], Some("INFO")),
            (Some(info(Some("noeviction"), Some(true))), &[], None),
            (
                Some(info(Some("noeviction"), Some(false))),
                &[NoPersistence],
                Some("appendonly yes"),
            ),
            (
                Some(info(Some("allkeys-lru"), Some(true))),
                &[EvictingPolicy],
                Some("allkeys-lru"),
            ),
            (
                Some(info(Some("volatile-ttl"), Some(false))),
                &[EvictingPolicy, NoPersistence],
                Some("volatile-ttl"),
            ),
        ] {
            for required in [false, true] {
                let durability = Durability::new(required);
                durability.record(answer.clone());
                assert_eq!(durability.warnings(), warnings, "{answer:?}");
                let found = durability.reason();
                match reason.filter(|_| required) {
                    None => assert_eq!(found, None, "{answer:?}"),
                    Some(part) => assert!(found.is_some_and(|found| found.contains(part)), "{answer:?}"),
                }
            }
        }
    }

    #[test]
    fn each_finding_is_logged_once() {
        let logs = CapturedLogs::start();
        let durability = Durability::new(false);
        for (append_only, lines) in [(true, 0), (false, 1), (false, 1), (true, 1), (false, 2)] {
            durability.record(Some(info(Some("noeviction"), Some(append_only))));
            assert_eq!(logs.containing("endangers sessions").len(), lines);
        }
    }
}
