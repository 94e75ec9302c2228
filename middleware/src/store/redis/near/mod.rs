//! The near cache: session records held in process memory, kept coherent by Redis' server-assisted client side caching.
//!
//! Each master has a cache of its own, with its own tracking connection, epochs and lease: [`NearCache`]. All of them are tracked on one
//! thread ([`TrackingThread`]). [`CacheState`] is shared with that thread. [`Shard`](shard::Shard) decides whether a record may be cached
//! and used; it is model-checked.
//!
//! # Several masters
//!
//! In a cluster, a lookup uses the cache of the master that has the session's hash slot by the published map. The *bound* is that of
//! [`NearCacheConfig`]. These rules hold for a revocation that the owner of the slot has acknowledged:
//!
//! 1. *Order.* Redis queues a push before it acknowledges the change. So a push arrives before the reply to any ping that was sent after the
//!    acknowledgement, and a lease that such a ping extends begins without the old record.
//! 2. *A slot moves* (`MIGRATE`, or Valkey's atomic migration). The old owner deletes the key and pushes that, and the new owner pushes its
//!    creation. If the slot moves A→B→A, each move is pushed. So a process that missed both maps is correct, by rule 1.
//! 3. *A move with a new `gone:{bucket}`.* While the keys of a bucket are on two masters, `MGET` is refused (`TRYAGAIN`), so no record is
//!    cached. A record that was cached earlier is dropped by the push of its own move, which precedes the end of the slot's move. A script does
//!    not create `gone:{bucket}` on the new owner before that end, and a list that exists is pushed when it moves.
//! 4. *Planned failover.* The old master becomes a replica. It pushes what it copies, and all keys at once after a full copy. A ping
//!    that shows a replica ends the epoch. After a failover back, rule 1 applies.
//! 5. *A master that stops* answers no ping, so the lease ends within the bound. A reply after it resumed is older than the bound.
//! 6. *A master that was replaced and does not know it* answers pings. A view that names its successor ends its use, within half a second if
//!    that node can be reached. If no such view arrives, the lease of the map ends the leases of all caches (`master_lease`). The lease is
//!    extended only after a new map is published and the epochs have begun.
//! 7. *A new map.* It is published, then the masters that got or lost slots begin a new epoch. So do those whose configuration epoch is later:
//!    they may have lost a slot and got it back between two views. A lookup takes its
//!    version first, and then checks the owner of the slot. If the map changed in between, the version is of an earlier epoch, and the record is
//!    not cached. The owner is checked again when a read is answered.
//! 8. *Own changes* take effect immediately. The owner is looked up after the reply. If the slot moved in between, the old owner's cache has
//!    begun a new epoch, or begins one before it gets the slot back. A reply counts only if its server is then still the owner.
//! 9. *A promoted replica* has a cache of its own, which is empty. It is not connected to before its map is published, so its recovery finds each
//!    revocation that this process acknowledged.
//!
//! Under Sentinel there is one cache. A new master means a new connection of the store, which ends the epoch. Each master has a lease
//! of its own there.
//!
//! Not covered: a revocation that a failover loses ([durable revocations](crate::store::Revoked::durable)). In case 6, the bound is the time
//! until the view arrives.

mod config;
mod counts;
mod ping;
mod report;
mod shard;
mod state;
mod thread;
mod tracking;

pub use config::NearCacheConfig;
pub(super) use counts::Counts;
pub(super) use report::run as report;
pub(super) use thread::TrackingThread;

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::{runtime::Handle, time::timeout};

use self::{
    shard::{Nanos, Version},
    state::{CacheState, TrackingConnection},
};
use super::{agent_epochs, background::AbortOnDrop, keys::Keys, observer::Observer, request::decode};
use crate::{id::SessionId, session::SessionRecord, store::StoreError};

/// The cache of one server. Its tracking ends when it is dropped.
pub(super) struct NearCache {
    state: Arc<CacheState>,
    /// The runtime of the tracking thread.
    runtime: Handle,
    _tracking: AbortOnDrop,
}

impl NearCache {
    /// Starts to track, in the background. `own` follows the store's connection to the server.
    pub(super) fn start(
        thread: &TrackingThread,
        own: Observer,
        keys: Keys,
        config: NearCacheConfig,
        counts: Arc<Counts>,
    ) -> Self {
        let state = Arc::new(CacheState::new(config, own.clone(), keys, counts));
        let runtime = thread.runtime().clone();
        let tracking = runtime.spawn(tracking::run(Arc::downgrade(&state), own));
        Self {
            state,
            runtime,
            _tracking: AbortOnDrop(tracking),
        }
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

    /// Begins a new epoch: hash slots were moved from or to the server.
    pub(super) fn begin_epoch(&self) {
        self.state.begin_epoch();
    }

    #[cfg(test)]
    pub(super) fn epoch(&self) -> u64 {
        self.state.epoch()
    }

    /// True if cached records are used.
    pub(super) fn is_coherent(&self) -> bool {
        self.state.is_coherent()
    }

    /// True if the server does not let this user track.
    pub(super) fn refuses_tracking(&self) -> bool {
        self.state.refuses_tracking.load(Ordering::Relaxed)
    }

    /// The number of cached records.
    pub(super) fn entries(&self) -> usize {
        self.state.entries()
    }

    pub(super) fn hits(&self) -> u64 {
        self.state.hits()
    }

    /// Drops the cached records of all sessions of a bucket.
    pub(super) fn invalidate_bucket(&self, bucket: u16) {
        self.state.shard_of_bucket(bucket).invalidate_all();
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
    /// does not answer in time, and if there is no record: the read must then use the store's own connection.
    ///
    /// The read runs on the tracking thread. On a busy runtime of the caller, the record would mostly have changed before it is cached, and
    /// an answer in time would be taken for a late one.
    pub(super) async fn read(self, limit: Duration) -> Option<Result<Option<SessionRecord>, StoreError>> {
        let runtime = self.runtime.clone();
        // The task fails only if the thread has ended.
        runtime.spawn(self.read_and_cache(limit)).await.ok()?
    }

    async fn read_and_cache(mut self, limit: Duration) -> Option<Result<Option<SessionRecord>, StoreError>> {
        let mget = self.state.keys.read_session(self.id);
        let Ok(reply) = timeout(limit, self.tracking.connection.send_packed_command(&mget)).await else {
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
        // The server may refuse the read, as a node of a cluster does that no longer has the hash slot.
        let record = agent_epochs::session(&self.state.keys, self.id, &reply.and_then(decode).ok()?);
        match &record {
            Ok(Some(record)) if record.revoked_at.is_none() => self.insert(record.clone()),
            Ok(None) => return None,
            Ok(Some(_)) | Err(_) => {}
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
