//! The recent revocations of this process, to be written again to a server that lost them.

use std::{collections::VecDeque, sync::Mutex, time::Duration};

use redis::{Pipeline, RedisError, RedisResult, Value, pipe};
use tokio::time::Instant;

use super::{
    call_error::{Redirect, checked_replies, describe},
    endpoint::RedisConnection,
    keys::Keys,
    record::is_marked_revoked,
    script::REVOKE,
    sessions::revocation,
};
use crate::{
    clock::Timestamp,
    id::{AgentId, SessionId},
    sync::lock,
};

const KEPT_FOR: Duration = Duration::from_secs(600);
const MAX_KEPT: usize = 10_000;
/// The number of commands in one round trip.
const CHUNK: usize = 1_000;

/// The revocations that the server acknowledged in the last 10 minutes, at most 10,000.
#[derive(Default)]
pub(super) struct RecentRevocations(Mutex<VecDeque<Revocation>>);

/// A session that was revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Revocation {
    id: SessionId,
    agent: AgentId,
    at: Timestamp,
    acknowledged: Instant,
}

impl RecentRevocations {
    /// Keeps the revocation of an agent's sessions.
    pub(super) fn add(&self, ids: impl IntoIterator<Item = SessionId>, agent: AgentId, at: Timestamp) {
        let acknowledged = Instant::now();
        let mut kept = lock(&self.0);
        kept.extend(ids.into_iter().map(|id| Revocation {
            id,
            agent,
            at,
            acknowledged,
        }));
        let excess = kept.len().saturating_sub(MAX_KEPT);
        kept.drain(..excess);
        drop_expired(&mut kept);
    }

    /// Writes those again that the server lacks: its record of the session is not revoked. Returns how many these are.
    ///
    /// # Errors
    /// If the server does not answer, or refuses writes and lacks at least one.
    pub(super) async fn write_again(
        &self,
        connection: &mut RedisConnection,
        keys: &Keys,
    ) -> Result<usize, String> {
        let mut written = 0;
        for chunk in self.list().chunks(CHUNK) {
            let message =
                |error: RedisError| format!("cannot write recent revocations again: {}", describe(&error));
            written += write_chunk(chunk, connection, keys).await.map_err(message)?;
        }
        Ok(written)
    }

    fn list(&self) -> Vec<Revocation> {
        let mut kept = lock(&self.0);
        drop_expired(&mut kept);
        kept.iter().copied().collect()
    }
}

fn drop_expired(kept: &mut VecDeque<Revocation>) {
    let expired = |oldest: &Revocation| oldest.acknowledged.elapsed() > KEPT_FOR;
    while kept.front().is_some_and(expired) {
        kept.pop_front();
    }
}

async fn write_chunk(
    revocations: &[Revocation],
    connection: &mut RedisConnection,
    keys: &Keys,
) -> RedisResult<usize> {
    let mut reads = pipe();
    for revocation in revocations {
        reads
            .cmd("GETRANGE")
            .arg(keys.session(revocation.id))
            .arg(0)
            .arg(0);
    }
    let replies = send(connection, &reads).await?;
    let active = revocations.iter().zip(&replies);
    let active = active.filter(|(_, reply)| is_active(reply));
    let calls: Vec<_> = active
        .map(|(of, _)| revocation(keys, of.id, of.agent, of.at))
        .collect();
    if calls.is_empty() {
        return Ok(0);
    }
    REVOKE.load(connection).await?;
    let mut scripts = pipe();
    for call in &calls {
        scripts.add_command(REVOKE.evalsha(call));
    }
    let mut replies = send(connection, &scripts).await?;
    let mut with_first_key = pipe();
    for (call, reply) in calls.iter().zip(&replies) {
        if let Some(call) = call.with_first_key()
            && is_split(reply)
        {
            with_first_key.add_command(REVOKE.evalsha(&call));
        }
    }
    if !with_first_key.is_empty() {
        replies.extend(send(connection, &with_first_key).await?);
    }
    Ok(replies.iter().filter(|reply| **reply == Value::Int(1)).count())
}

/// Reads the answer to `GETRANGE … 0 0`: the first byte of a record, or nothing.
fn is_active(first: &Value) -> bool {
    matches!(first, Value::BulkString(bytes) if bytes.first().is_some_and(|byte| !is_marked_revoked(*byte)))
}

/// True if the session and its index are on two nodes, or one of them is missing, while their slot is being moved.
fn is_split(reply: &Value) -> bool {
    Redirect::of_reply(reply) == Some(Redirect::TryAgain)
}

/// Sends commands in one round trip. A key that holds no session is no error, and neither are keys on two nodes.
async fn send(connection: &mut RedisConnection, commands: &Pipeline) -> RedisResult<Vec<Value>> {
    let replies = connection
        .send_packed_commands(commands, 0, commands.len())
        .await?;
    // Another node of the cluster has the session or its index.
    checked_replies(replies, |_| true)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp(1_760_000_000);

    fn ids(numbers: std::ops::Range<u128>) -> impl Iterator<Item = SessionId> {
        numbers.map(|number| SessionId::from_uuid(uuid::Uuid::from_u128(number)))
    }

    fn kept(recent: &RecentRevocations) -> Vec<SessionId> {
        recent
            .list()
            .into_iter()
            .map(|revocation| revocation.id)
            .collect()
    }

    #[tokio::test(start_paused = true)]
    async fn revocation_is_kept_for_ten_minutes() {
        let (recent, agent) = (
            RecentRevocations::default(),
            AgentId::from_uuid(uuid::Uuid::nil()),
        );
        recent.add(ids(0..2), agent, AT);
        tokio::time::advance(KEPT_FOR - Duration::from_millis(1)).await;
        recent.add(ids(2..3), agent, AT);
        assert_eq!(kept(&recent), ids(0..3).collect::<Vec<_>>());
        tokio::time::advance(Duration::from_millis(2)).await;
        assert_eq!(kept(&recent), ids(2..3).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn oldest_revocations_are_dropped_above_the_limit() {
        let (recent, agent) = (
            RecentRevocations::default(),
            AgentId::from_uuid(uuid::Uuid::nil()),
        );
        recent.add(ids(0..9_999), agent, AT);
        recent.add(ids(9_999..10_003), agent, AT);
        assert_eq!(kept(&recent), ids(3..10_003).collect::<Vec<_>>());
    }
}
