use std::{sync::Arc, time::Duration};

use super::{SessionStore, StoreError};
use crate::{id::SessionId, session::SessionRecord};

/// A store with a near cache: session records held in process memory.
///
/// [`SessionAuthLayer::bounded`](crate::SessionAuthLayer::bounded) needs one. A store that wraps another one implements this
/// trait by forwarding all of its methods. The cache guarantees:
///
/// 1. After a change through this store or a clone of it was answered, the cache holds no older record.
/// 2. After a change elsewhere, an older record is dropped as soon as the invalidation arrives, and in any case within the
///    [bound](NearCacheStats::bound).
pub trait CachedStore: SessionStore {
    /// Starts the near cache. Idempotent: it does not change a running cache, and a failed start can be retried.
    ///
    /// # Errors
    /// When the cache cannot start, for example because no thread can be created.
    fn enable_cache(&self) -> Result<(), StoreError>;

    /// Returns the cached record of a session if the cache is coherent.
    ///
    /// A cached record can only admit a request. Every rejection is confirmed by a [`read`](SessionStore::read). This method runs for
    /// each request, so it must not block.
    fn cached(&self, id: SessionId) -> Option<Arc<SessionRecord>>;

    /// Reads a session after a cache miss, and may cache it. The read is as fresh as a [`read`](SessionStore::read): it can admit and
    /// reject.
    fn read_through(&self, id: SessionId) -> Self::Read;

    /// Returns the counters of the cache; `None` until it is [enabled](Self::enable_cache).
    fn cache_stats(&self) -> Option<NearCacheStats>;
}

/// The state and the counters of a near cache. Counters start at zero when the cache is enabled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct NearCacheStats {
    /// True if cached records are used: the server has confirmed, within the bound, that no invalidation was missed. Otherwise
    /// every request reads from the server.
    pub coherent: bool,
    /// The configured bound: how long a revoked token may still be admitted while the server cannot be reached.
    pub bound: Duration,
    /// The number of cached records.
    pub entries: usize,
    /// Cache hits. A hit that would reject its request is confirmed by a read, and is counted here too.
    pub hits: u64,
    /// Cache misses that were read through the cache.
    pub misses: u64,
    /// Requests that were read from the server because the cache was not coherent.
    pub bypassed: u64,
    /// Invalidations that the server pushed.
    pub invalidations: u64,
    /// Tracking connections that were lost.
    pub losses: u64,
}
