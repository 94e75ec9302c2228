//! Whether the server accepts writes. A server that refuses them still answers reads.

use std::sync::{Mutex, PoisonError};

use redis::{RedisError, aio::MultiplexedConnection};

use super::{role::describe, script::WRITE_PROBE};

/// The codes with which a server refuses writes and answers reads: a failed snapshot, too few replicas, a full memory.
const REFUSALS: [&str; 3] = ["MISCONF", "NOREPLICAS", "OOM"];

/// The latest state, for the log.
#[derive(Debug, Default)]
pub(super) struct Writes(Mutex<Option<String>>);

impl Writes {
    /// Asks the server whether it accepts writes. The reason, if it does not.
    ///
    /// # Errors
    /// If the server does not answer.
    pub(super) async fn probe(
        &self,
        connection: &mut MultiplexedConnection,
    ) -> Result<Option<String>, RedisError> {
        let answer = WRITE_PROBE.prepare_invoke().invoke_async::<i64>(connection).await;
        let refusal = match answer {
            Ok(_) => None,
            Err(error) if error.code().is_some_and(|code| REFUSALS.contains(&code)) => Some(describe(&error)),
            Err(error) => return Err(error),
        };
        self.log(refusal.as_deref());
        Ok(refusal)
    }

    /// Logs a change.
    fn log(&self, refusal: Option<&str>) {
        let mut latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if latest.as_deref() != refusal {
            match refusal {
                Some(reason) => {
                    tracing::warn!(%reason, "Redis refuses writes: sessions are checked, and cannot change");
                }
                None => tracing::info!("Redis accepts writes again"),
            }
            *latest = refusal.map(str::to_owned);
        }
    }
}
