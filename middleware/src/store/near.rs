use std::time::Duration;

/// What the records in a store's memory are doing, for layers with [`Freshness::Bounded`](crate::session_auth::Freshness). Counts are since its
/// start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct NearCacheStats {
    /// Whether it answers at all: whether the server has confirmed within the bound that nothing was missed. Else every request
    /// asks it.
    pub coherent: bool,
    /// The configured bound: after a revocation, for how long its token may still pass where the server cannot be reached.
    pub bound: Duration,
    /// Records that are held.
    pub entries: usize,
    /// Copies that were found. The rare request that one would refuse reads the store all the same, and is counted here too.
    pub hits: u64,
    /// Requests for which there was none, and which asked the server, alone or together with others, for a record to be kept.
    pub misses: u64,
    /// Requests that were for the server alone to answer, since the cache was of no use.
    pub bypassed: u64,
    /// Changes that the server pushed.
    pub invalidations: u64,
    /// Tracking connections that were lost.
    pub losses: u64,
}

/// A read for a layer with [`Freshness::Bounded`](crate::session_auth::Freshness): see [`SessionStore::read_near`](super::SessionStore::read_near).
#[derive(Debug)]
#[must_use = "a read does nothing unless it is awaited"]
pub enum NearRead<R> {
    /// Begun for this caller: as good as [`SessionStore::read`](super::SessionStore::read).
    Own(R),
    /// Begun for others, earlier: good for letting a request pass, not for refusing one.
    Shared(R),
}
