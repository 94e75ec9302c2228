//! The state of the cache, shared by lookups and the tracking thread.

use std::{
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::{
    Counts, NearCacheConfig,
    ping::AnsweredPing,
    shard::{Nanos, Shard},
};
use crate::{
    id::SessionId,
    session::SessionRecord,
    store::redis::{endpoint::RedisConnection, keys::Keys, lease::Lease, observer::Observer},
    sync::lock,
};

/// The number of shards. With this number, threads rarely wait for each other's lookups, and an invalidation discards few
/// concurrent reads of other records. More shards would not fit into a processor's cache.
const SHARDS: usize = 64;

pub(super) struct CacheState {
    pub(super) config: NearCacheConfig,
    base: Instant,
    shards: Vec<Mutex<Shard<SessionId, SessionRecord>>>,
    epoch: AtomicU64,
    tracking: Mutex<Option<TrackingConnection>>,
    /// Set when a read misses its deadline; cleared by the next answered ping.
    pub(super) slow: AtomicBool,
    /// True if the server refused the last `CLIENT TRACKING` that it answered.
    pub(super) refuses_tracking: AtomicBool,
    /// The store's own connection.
    own: Observer,
    pub(super) keys: Keys,
    pub(super) counts: Arc<Counts>,
}

/// The connection on which Redis pushes invalidations. Misses are read over it.
#[derive(Clone)]
pub(super) struct TrackingConnection {
    /// The number of the connection attempt.
    pub(super) attempt: u64,
    pub(super) connection: RedisConnection,
    /// The attempt of the store's own connection, which reaches the same server.
    pub(super) own_attempt: u64,
}

impl CacheState {
    pub(super) fn new(config: NearCacheConfig, own: Observer, keys: Keys, counts: Arc<Counts>) -> Self {
        // Rounded up: each shard has room for at least one record.
        let capacity = config.capacity.div_ceil(SHARDS);
        Self {
            config,
            base: Instant::now(),
            shards: (0..SHARDS).map(|_| Mutex::new(Shard::new(capacity))).collect(),
            epoch: AtomicU64::new(0),
            tracking: Mutex::new(None),
            slow: AtomicBool::new(false),
            refuses_tracking: AtomicBool::new(false),
            own,
            keys,
            counts,
        }
    }

    pub(super) fn now(&self) -> Nanos {
        nanos(self.base.elapsed())
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::SeqCst)
    }

    pub(super) fn shard(&self, id: SessionId) -> MutexGuard<'_, Shard<SessionId, SessionRecord>> {
        self.shard_of_bucket(id.bucket())
    }

    /// The shard of all sessions of a bucket, so that a change of its agents' epochs concerns one shard.
    pub(super) fn shard_of_bucket(&self, bucket: u16) -> MutexGuard<'_, Shard<SessionId, SessionRecord>> {
        lock(&self.shards[usize::from(bucket) % SHARDS])
    }

    /// Returns the tracking connection if the store's own connection still reaches the same server. So a process reads from the
    /// server that it writes to.
    pub(super) fn connection(&self) -> Option<TrackingConnection> {
        let tracking = lock(&self.tracking).clone()?;
        self.is_current(&tracking).then_some(tracking)
    }

    /// True if the store still uses the server of this connection.
    pub(super) fn is_current(&self, tracking: &TrackingConnection) -> bool {
        self.own.is_up(tracking.own_attempt)
    }

    /// Uses a connection on which Redis has acknowledged that it tracks.
    pub(super) fn tracking_began(&self, connection: TrackingConnection) {
        self.begin_epoch();
        *lock(&self.tracking) = Some(connection);
    }

    /// Drops the connection of this attempt, since invalidations may have been missed. A connection that has replaced it stays in use.
    pub(super) fn tracking_lost(&self, attempt: u64) {
        let lost = lock(&self.tracking).take_if(|tracking| tracking.attempt == attempt);
        if lost.is_some() {
            self.counts.losses.fetch_add(1, Ordering::Relaxed);
            self.begin_epoch();
        }
    }

    /// Begins a new epoch with an empty cache.
    pub(super) fn begin_epoch(&self) {
        let epoch = self.epoch.fetch_add(1, Ordering::SeqCst) + 1;
        for shard in &self.shards {
            lock(shard).begin_epoch(epoch);
        }
    }

    /// Extends the lease after a ping was answered, at most to the end of the master's lease. Returns the time to the end; zero if that has
    /// passed.
    pub(super) fn extend_lease(&self, ping: &AnsweredPing, master: &Lease) -> Duration {
        self.slow.store(false, Ordering::Relaxed);
        let mut until = ping.sent().saturating_add(nanos(self.config.bound));
        if let Some(end) = master.until() {
            until = until.min(nanos(end.saturating_duration_since(self.base)));
        }
        for shard in &self.shards {
            lock(shard).extend_lease(ping.epoch(), until);
        }
        Duration::from_nanos(until.saturating_sub(self.now()))
    }

    /// Drops the record of a pushed key.
    pub(super) fn invalidate_key(&self, key: &[u8]) {
        self.counts.invalidations.fetch_add(1, Ordering::Relaxed);
        // Other keys concern no record.
        if let Some(id) = self.keys.session_of(key) {
            self.shard(id).invalidate(&id);
        } else if let Some(bucket) = self.keys.bucket_of_epochs(key) {
            self.shard_of_bucket(bucket).invalidate_all();
        }
    }

    pub(super) fn is_coherent(&self) -> bool {
        let now = self.now();
        self.connection().is_some() && self.shards.iter().all(|shard| lock(shard).has_lease(now))
    }

    pub(super) fn entries(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).len()).sum()
    }

    pub(super) fn hits(&self) -> u64 {
        self.shards.iter().map(|shard| lock(shard).hits()).sum()
    }
}

impl Drop for CacheState {
    fn drop(&mut self) {
        self.counts.earlier_hits.fetch_add(self.hits(), Ordering::Relaxed);
    }
}

pub(super) fn nanos(duration: Duration) -> Nanos {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
