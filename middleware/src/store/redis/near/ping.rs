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

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use tokio::{
        sync::{mpsc, watch},
        time::{Instant, advance},
    };

    use super::{super::NearCacheConfig, *};
    use crate::store::redis::{keys::Keys, lease::Lease, link::State, observer::Observer};

    const MILLI: Duration = Duration::from_millis(1);

    fn cache() -> CacheState {
        let own = Observer::new(
            watch::channel(State::Connecting).1,
            mpsc::channel(1).0.downgrade(),
        );
        let cache = CacheState::new(NearCacheConfig::default(), own, Keys::new(""), Arc::default());
        cache.begin_epoch();
        cache
    }

    #[tokio::test(start_paused = true)]
    async fn lease_is_counted_from_the_sending_of_the_ping() {
        let (cache, bound) = (cache(), NearCacheConfig::default().bound);
        for (answered_after, left) in [
            (bound - MILLI, MILLI),
            (bound, Duration::ZERO),
            (2 * bound, Duration::ZERO),
        ] {
            let answered = AnsweredPing(Ping::of(&cache));
            advance(answered_after).await;
            assert_eq!(
                cache.extend_lease(&answered, &Lease::permanent()),
                left,
                "{answered_after:?}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn lease_ends_with_that_of_the_master() {
        let (cache, bound, master) = (cache(), NearCacheConfig::default().bound, Lease::ended());
        let end = Instant::now() + bound + 2 * MILLI;
        master.extend(end);
        for (after, left) in [
            (MILLI, bound),
            (MILLI, bound),
            (MILLI, bound - MILLI),
            (bound, Duration::ZERO),
        ] {
            advance(after).await;
            assert_eq!(cache.extend_lease(&AnsweredPing(Ping::of(&cache)), &master), left);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn ping_of_an_earlier_epoch_gives_no_lease() {
        let cache = cache();
        let answered = AnsweredPing(Ping::of(&cache));
        cache.begin_epoch();
        cache.extend_lease(&answered, &Lease::permanent());
        let now = cache.now();
        assert!((0..64).all(|bucket| !cache.shard_of_bucket(bucket).has_lease(now)));
        cache.extend_lease(&AnsweredPing(Ping::of(&cache)), &Lease::permanent());
        assert!((0..64).all(|bucket| cache.shard_of_bucket(bucket).has_lease(now)));
    }
}
