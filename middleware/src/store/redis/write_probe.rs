//! Whether the server accepts writes. A server that refuses them still answers reads.

use std::{
    sync::{Mutex as StdMutex, MutexGuard},
    time::Duration,
};

use redis::{AsyncConnectionConfig, RedisError};
use tokio::{sync::Mutex, time::timeout};

use super::{
    call_error::describe,
    endpoint::{Endpoint, RedisConnection},
};

use crate::sync::lock;

/// Sent as a text: its hash would need more round trips on a server that has not cached it.
const SCRIPT: &str = include_str!("lua/write_probe.lua");
/// The codes with which a server refuses writes and answers reads: a failed snapshot, too few replicas, a full memory.
const REFUSALS: [&str; 3] = ["MISCONF", "NOREPLICAS", "OOM"];
const PAUSED: &str = "the server does not answer a script that may write";

/// Asks on a connection of its own: while the server pauses writes (`CLIENT PAUSE … WRITE`, `FAILOVER`), the probe blocks its connection,
/// and reads behind it would wait too.
#[derive(Default)]
pub(super) struct WriteProbe {
    /// The connection, and the attempt of the store's connection to the same server.
    connection: Mutex<Option<(u64, RedisConnection)>>,
    /// The latest reason.
    latest: StdMutex<Option<String>>,
}

impl WriteProbe {
    /// Asks the server of this attempt whether it accepts writes. The reason, if it does not. Without an answer within the limit, the latest
    /// result: a slow answer alone does not mean that writes are paused.
    ///
    /// # Errors
    /// If the server answers with another error, as a replica does.
    pub(super) async fn probe(
        &self,
        endpoint: &Endpoint,
        attempt: u64,
        limit: Duration,
    ) -> Result<Option<String>, RedisError> {
        match timeout(limit, self.ask(endpoint, attempt)).await {
            Ok(answer) => self.judge(answer),
            Err(_) => Ok(self.latest().clone()),
        }
    }

    /// Like [`probe`](Self::probe), at intervals and with a long limit: without an answer, writes are paused.
    pub(super) async fn check(
        &self,
        endpoint: &Endpoint,
        attempt: u64,
        limit: Duration,
    ) -> Result<(), RedisError> {
        match timeout(limit, self.ask(endpoint, attempt)).await {
            Ok(answer) => self.judge(answer).map(drop),
            Err(_) => {
                self.record(Some(PAUSED));
                Ok(())
            }
        }
    }

    fn judge(&self, answer: Result<(), RedisError>) -> Result<Option<String>, RedisError> {
        let refusal = match answer {
            Ok(()) => None,
            Err(error) if error.code().is_some_and(|code| REFUSALS.contains(&code)) => Some(describe(&error)),
            Err(error) => return Err(error),
        };
        self.record(refusal.as_deref());
        Ok(refusal)
    }

    async fn ask(&self, endpoint: &Endpoint, attempt: u64) -> Result<(), RedisError> {
        let mut slot = self.connection.lock().await;
        // Taken out, so that a probe that is cancelled closes its connection.
        let mut connection = match slot.take() {
            Some((of, connection)) if of == attempt => connection,
            _ => {
                endpoint
                    .connect(&AsyncConnectionConfig::new().set_response_timeout(None))
                    .await?
            }
        };
        let mut probe = redis::cmd("EVAL");
        probe.arg(SCRIPT).arg(0);
        let answer = probe.exec_async(&mut *connection).await;
        if answer.as_ref().err().is_none_or(|error| !error.is_io_error()) {
            *slot = Some((attempt, connection));
        }
        answer
    }

    fn latest(&self) -> MutexGuard<'_, Option<String>> {
        lock(&self.latest)
    }

    /// Keeps the result, and logs a change.
    fn record(&self, refusal: Option<&str>) {
        let mut latest = self.latest();
        if latest.as_deref() != refusal {
            match refusal {
                Some(reason) => {
                    tracing::warn!(%reason, "Redis refuses writes: sessions are checked, but most changes fail");
                }
                None => tracing::info!("Redis accepts writes again"),
            }
            *latest = refusal.map(str::to_owned);
        }
    }
}
