//! The counts of the caches of a store.

use std::sync::atomic::AtomicU64;

/// Shared by the caches of all servers. A cache counts its hits itself.
#[derive(Default)]
pub(in super::super) struct Counts {
    pub(in super::super) misses: AtomicU64,
    pub(in super::super) bypassed: AtomicU64,
    pub(in super::super) invalidations: AtomicU64,
    pub(in super::super) losses: AtomicU64,
    /// The hits of caches that were dropped, because their server left the cluster.
    pub(in super::super) earlier_hits: AtomicU64,
}
