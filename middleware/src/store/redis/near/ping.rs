//! A ping: it knows the time and the epoch before it is sent, and nothing later.
//!
//! A lease begins when the ping was sent, in the epoch of that moment. So an [`AnsweredPing`] can only be made from a [`Ping`], and
//! [`Ping::send`] has no access to the cache.

use redis::RedisResult;

use super::{shard::Nanos, state::CacheState};
use crate::store::redis::{endpoint::RedisConnection, role::Role};

/// A ping that is not sent yet.
pub(super) struct Ping {
    sent: Nanos,
    epoch: u64,
}

/// A ping that the server has answered.
pub(super) struct AnsweredPing(Ping);

impl Ping {
    pub(super) fn of(cache: &CacheState) -> Self {
        Self {
            sent: cache.now(),
            epoch: cache.epoch(),
        }
    }

    /// Sends the ping. Returns the role of the server, which is the answer.
    pub(super) async fn send(self, connection: &mut RedisConnection) -> RedisResult<(Role, AnsweredPing)> {
        let role = Role::query(connection).await?;
        Ok((role, AnsweredPing(self)))
    }
}

impl AnsweredPing {
    /// The time before the ping was sent.
    pub(super) const fn sent(&self) -> Nanos {
        self.0.sent
    }

    /// The epoch in which the ping was sent.
    pub(super) const fn epoch(&self) -> u64 {
        self.0.epoch
    }
}
