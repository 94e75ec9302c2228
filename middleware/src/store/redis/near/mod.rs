//! The near cache: session records held in process memory, kept coherent by Redis' server-assisted client side caching.
//!
//! [`NearCache`] starts the tracking thread and answers lookups. [`CacheState`] is shared with that thread. [`Shard`](shard::Shard)
//! decides whether a record may be cached and used; it is model-checked.

mod config;
mod report;
mod shard;
mod state;
mod tracking;

pub use config::NearCacheConfig;

use std::{
    io,
    sync::{Arc, atomic::Ordering, mpsc},
    thread,
    time::Duration,
};

use redis::FromRedisValue as _;
use tokio::{
    runtime::{self, Handle},
    sync::oneshot,
    time::timeout,
};

use self::{
    shard::{Nanos, Version},
    state::{CacheState, TrackingConnection},
};
use super::{
    keys::{self, Keys},
    observer::Observer,
    record,
};
use crate::{
    id::SessionId,
    session::SessionRecord,
    store::{NearCacheStats, StoreError},
    telemetry::NearCacheMetrics,
};

/// A handle to a running cache. The tracking thread ends when it is dropped.
pub(super) struct NearCache {
    state: Arc<CacheState>,
    /// The runtime of the tracking thread.
    runtime: Handle,
    _stop: oneshot::Sender<()>,
}

impl NearCache {
    /// Starts the tracking thread, which connects in the background.
    pub(super) fn start(own: Observer, keys: Keys, config: NearCacheConfig) -> io::Result<Self> {
        let state = Arc::new(CacheState::new(config, own.clone(), keys));
        let (stop, stopped) = oneshot::channel();
        let (started, result) = mpsc::channel();
        let cache = Arc::downgrade(&state);
        // Resolved on the thread of the caller, which may have a local recorder.
        let metrics = NearCacheMetrics::new();
        thread::Builder::new()
            .name("session-tracking".into())
            .spawn(move || {
                // Built on the thread itself: a runtime must not be dropped inside another one.
                match runtime::Builder::new_current_thread().enable_all().build() {
                    Ok(runtime) => {
                        let _ = started.send(Ok(runtime.handle().clone()));
                        runtime.block_on(async {
                            tokio::select! {
                                () = report::run(cache.clone(), metrics) => {}
                                () = tracking::run(cache, own, stopped) => {}
                            }
                        });
                    }
                    Err(error) => drop(started.send(Err(error))),
                }
            })?;
        Ok(Self {
            state,
            runtime: result.recv().map_err(io::Error::other)??,
            _stop: stop,
        })
    }

    /// Returns a cached record that is not older than the bound.
    pub(super) fn get(&self, id: SessionId) -> Option<Arc<SessionRecord>> {
        let now = self.state.now();
        self.state.shard(id).get(&id, now)
    }

    /// Prepares the read of a record that is not cached. `None` when the cache is not coherent: the read must then use the
    /// store's own connection.
    pub(super) fn miss(&self, id: SessionId) -> Option<Miss> {
        let miss = self.prepare(id);
        let counts = &self.state.counts;
        let count = if miss.is_some() {
            &counts.misses
        } else {
            &counts.bypassed
        };
        count.fetch_add(1, Ordering::Relaxed);
        miss
    }

    fn prepare(&self, id: SessionId) -> Option<Miss> {
        let state = &self.state;
        let sent = state.now();
        // Taken before the connection: if that is replaced in between, the epoch differs and the record is not cached.
        let version = state.shard(id).version(sent)?;
        let tracking = state.connection()?;
        if state.slow.load(Ordering::Relaxed) {
            return None;
        }
        Some(Miss {
            state: state.clone(),
            runtime: self.runtime.clone(),
            tracking,
            id,
            version,
            sent,
        })
    }

    /// Drops the cached record of a session that this process has changed, or may have changed.
    pub(super) fn invalidate(&self, id: SessionId) {
        self.state.shard(id).invalidate(&id);
    }

    pub(super) fn stats(&self) -> NearCacheStats {
        self.state.stats()
    }
}

/// A read of a record that was not cached.
pub(super) struct Miss {
    state: Arc<CacheState>,
    runtime: Handle,
    tracking: TrackingConnection,
    id: SessionId,
    version: Version,
    sent: Nanos,
}

impl Miss {
    /// Reads the record over the tracking connection, and caches it unless it is revoked. `None` when that connection fails or
    /// does not answer in time: the read must then use the store's own connection.
    ///
    /// The read runs on the tracking thread. On a busy runtime of the caller, the record would mostly have changed before it is cached, and
    /// an answer in time would be taken for a late one.
    pub(super) async fn read(self, limit: Duration) -> Option<Result<Option<SessionRecord>, StoreError>> {
        let runtime = self.runtime.clone();
        // The task fails only if the thread has ended.
        runtime.spawn(self.read_and_cache(limit)).await.ok()?
    }

    async fn read_and_cache(mut self, limit: Duration) -> Option<Result<Option<SessionRecord>, StoreError>> {
        let get = self.state.keys.get_session(self.id);
        let Ok(reply) = timeout(limit, self.tracking.connection.send_packed_command(&get)).await else {
            // The timeout does not concern a connection that has replaced this one.
            if self.version.is_of(self.state.epoch()) {
                self.state.slow.store(true, Ordering::Relaxed);
            }
            return None;
        };
        // A master that was replaced may answer late.
        if !self.state.is_current(&self.tracking) {
            return None;
        }
        let record = Option::<Vec<u8>>::from_redis_value(reply.ok()?)
            .map_err(keys::unexpected)
            .and_then(|packed| packed.map(|packed| record::unpack(self.id, &packed)).transpose());
        if let Ok(Some(record)) = &record
            && record.revoked_at.is_none()
        {
            self.insert(record.clone());
        }
        Some(record)
    }

    fn insert(self, record: SessionRecord) {
        let Self {
            state,
            id,
            version,
            sent,
            ..
        } = self;
        let until = sent.saturating_add(state::nanos(state.config.max_age));
        let now = state.now();
        state.shard(id).insert(version, id, Arc::new(record), now, until);
    }
}
