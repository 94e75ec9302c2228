//! The near caches of a store: one for each of its servers, once they are enabled.

use std::sync::{Arc, Mutex, OnceLock, atomic::Ordering};

use super::{
    Shared,
    connection::Connection,
    keys::Keys,
    near::{Counts, Miss, NearCache, NearCacheConfig, TrackingThread, report},
};
use crate::{
    id::SessionId,
    store::{NearCacheStats, StoreError},
    sync::lock,
    telemetry::NearCacheMetrics,
};

/// Starts the caches.
pub(super) struct NearCaches {
    keys: Keys,
    config: NearCacheConfig,
    counts: Arc<Counts>,
    thread: OnceLock<TrackingThread>,
    /// Held during a start, so that concurrent calls start one thread.
    start: Mutex<()>,
}

impl NearCaches {
    pub(super) fn new(keys: Keys, config: NearCacheConfig) -> Self {
        Self {
            keys,
            config,
            counts: Arc::default(),
            thread: OnceLock::new(),
            start: Mutex::new(()),
        }
    }

    /// The cache of a server. `None` until caches are enabled.
    pub(super) fn of<'a>(&self, connection: &'a Connection) -> Option<&'a NearCache> {
        let thread = self.thread.get()?;
        let start = || {
            let (own, keys) = (connection.observer(), self.keys.clone());
            NearCache::start(thread, own, keys, self.config, self.counts.clone())
        };
        Some(connection.cache.get_or_init(start))
    }
}

impl Shared {
    /// Starts the caches unless they run. A failed start leaves nothing behind.
    pub(super) fn enable_caches(self: &Arc<Self>) -> Result<(), StoreError> {
        let near = &self.near;
        let _starting = lock(&near.start);
        if near.thread.get().is_some() {
            return Ok(());
        }
        let thread = TrackingThread::start()
            .map_err(|error| StoreError::Unavailable(format!("cannot start the near cache: {error}")))?;
        // Resolved on the thread of the caller, which may have a local recorder.
        let metrics = NearCacheMetrics::new();
        let shared = Arc::downgrade(self);
        let stats = move || shared.upgrade().and_then(|shared| shared.cache_stats());
        near.thread
            .get_or_init(|| thread)
            .runtime()
            .spawn(report(stats, metrics));
        self.servers.for_each(|connection| {
            near.of(connection);
        });
        Ok(())
    }

    /// Calls `lookup` with the cache that may have the sessions of a bucket. `None` if caches are not enabled, and if no server has the
    /// bucket.
    pub(super) fn with_cache<T>(
        &self,
        bucket: u16,
        lookup: impl FnOnce(&NearCache) -> Option<T>,
    ) -> Option<T> {
        self.near.thread.get()?;
        self.servers
            .with_owner(bucket, |owner| lookup(self.near.of(owner)?))?
    }

    /// Prepares the read of a record that is not cached, over the tracking connection of its owner.
    pub(super) fn cache_miss(&self, id: SessionId) -> Option<(Arc<Connection>, Miss)> {
        self.near.thread.get()?;
        let prepare = |owner: &Arc<Connection>| Some((owner.clone(), self.near.of(owner)?.miss(id)?));
        let (owner, miss) = self.servers.with_owner(id.bucket(), prepare)??;
        // After the miss has taken its version: a record of a server that no longer has the slot must not be cached in the epoch that
        // began when it lost it.
        self.is_owner(id, &owner).then_some((owner, miss))
    }

    /// True if the server of this connection still has the session.
    pub(super) fn is_owner(&self, id: SessionId, connection: &Arc<Connection>) -> bool {
        let is_same = |owner: &Arc<Connection>| Arc::ptr_eq(owner, connection);
        self.servers.with_owner(id.bucket(), is_same).unwrap_or(false)
    }

    /// Drops the cached records of these sessions when the returned guard is dropped: after the reply to a change, or when its
    /// caller stops waiting.
    pub(super) const fn invalidate_on_drop(&self, ids: Vec<SessionId>) -> InvalidateOnDrop<'_> {
        InvalidateOnDrop {
            shared: self,
            ids,
            bucket: None,
        }
    }

    /// The same for all sessions of a bucket.
    pub(super) const fn invalidate_bucket_on_drop(&self, bucket: u16) -> InvalidateOnDrop<'_> {
        InvalidateOnDrop {
            shared: self,
            ids: Vec::new(),
            bucket: Some(bucket),
        }
    }

    pub(super) fn cache_stats(&self) -> Option<NearCacheStats> {
        self.near.thread.get()?;
        let counts = &self.near.counts;
        let mut stats = NearCacheStats {
            bound: self.near.config.bound,
            coherent: true,
            entries: 0,
            hits: counts.earlier_hits.load(Ordering::Relaxed),
            misses: counts.misses.load(Ordering::Relaxed),
            bypassed: counts.bypassed.load(Ordering::Relaxed),
            invalidations: counts.invalidations.load(Ordering::Relaxed),
            losses: counts.losses.load(Ordering::Relaxed),
        };
        let mut servers = 0;
        self.servers.for_each(|connection| {
            if let Some(cache) = self.near.of(connection) {
                servers += 1;
                stats.coherent &= cache.is_coherent();
                stats.entries += cache.entries();
                stats.hits += cache.hits();
            }
        });
        stats.coherent &= servers > 0;
        Some(stats)
    }
}

pub(super) struct InvalidateOnDrop<'a> {
    shared: &'a Shared,
    ids: Vec<SessionId>,
    bucket: Option<u16>,
}

impl Drop for InvalidateOnDrop<'_> {
    fn drop(&mut self) {
        for id in &self.ids {
            self.shared.with_cache(id.bucket(), |cache| {
                cache.invalidate(*id);
                Some(())
            });
        }
        if let Some(bucket) = self.bucket {
            self.shared.with_cache(bucket, |cache| {
                cache.invalidate_bucket(bucket);
                Some(())
            });
        }
    }
}
