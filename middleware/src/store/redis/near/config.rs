use std::time::Duration;

/// How stale, how old and how many the records in memory may be, for layers with [`Freshness::Bounded`](crate::Freshness).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct NearCacheConfig {
    /// After a revocation, for how long a process that Redis cannot reach may still let its token pass: 250 ms by default. A
    /// process that can be reached hears of it at once. Longer than five times the way to Redis and back, or nothing is cached.
    pub bound: Duration,
    /// For how long a record is used at most: 30 s by default.
    pub max_age: Duration,
    /// How many records are kept, of some 350 bytes each: 100,000 by default. The least recently used ones go.
    pub capacity: usize,
}

impl Default for NearCacheConfig {
    fn default() -> Self {
        Self {
            bound: Duration::from_millis(250),
            max_age: Duration::from_secs(30),
            capacity: 100_000,
        }
    }
}

impl NearCacheConfig {
    /// The pause between pings.
    pub(super) fn heartbeat(&self) -> Duration {
        self.bound / 5
    }
}

/// What the near cache of a [`RedisStore`](crate::RedisStore) is doing. Counts are since its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct NearCacheStats {
    /// Whether it answers at all: whether Redis has confirmed within the bound that nothing was missed. Else every request asks
    /// Redis.
    pub coherent: bool,
    /// Records that are held.
    pub entries: usize,
    /// Requests that were answered from memory.
    pub hits: u64,
    /// Requests that had to ask Redis, alone or together with others, for a record to be kept.
    pub misses: u64,
    /// Requests that asked Redis since the cache was of no use.
    pub bypassed: u64,
    /// Changes that Redis pushed.
    pub invalidations: u64,
    /// Tracking connections that were lost.
    pub losses: u64,
}
