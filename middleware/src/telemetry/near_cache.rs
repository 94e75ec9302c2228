//! The state and the counts of the near cache.

use metrics::{Counter, Gauge, counter, gauge};

use super::redis_names::{BOUND, BYPASSED, COHERENT, ENTRIES, HITS, INVALIDATIONS, LOSSES, MISSES};

/// Reports the near cache. The cache counts by itself, so that a cache hit costs nothing more, and its thread reports at intervals.
#[derive(Debug)]
pub(crate) struct NearCacheMetrics {
    coherent: Gauge,
    bound: Gauge,
    entries: Gauge,
    hits: Counter,
    misses: Counter,
    bypassed: Counter,
    invalidations: Counter,
    losses: Counter,
}

/// The values at one time.
pub(crate) struct NearCacheValues {
    pub(crate) coherent: bool,
    pub(crate) bound_seconds: f64,
    pub(crate) entries: usize,
    pub(crate) hits: u64,
    pub(crate) misses: u64,
    pub(crate) bypassed: u64,
    pub(crate) invalidations: u64,
    pub(crate) losses: u64,
}

impl NearCacheMetrics {
    pub(crate) fn new() -> Self {
        Self {
            coherent: gauge!(COHERENT),
            bound: gauge!(BOUND),
            entries: gauge!(ENTRIES),
            hits: counter!(HITS),
            misses: counter!(MISSES),
            bypassed: counter!(BYPASSED),
            invalidations: counter!(INVALIDATIONS),
            losses: counter!(LOSSES),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "gauges are floating-point numbers")]
    pub(crate) fn report(&self, values: &NearCacheValues) {
        self.coherent.set(if values.coherent { 1.0 } else { 0.0 });
        self.bound.set(values.bound_seconds);
        self.entries.set(values.entries as f64);
        self.hits.absolute(values.hits);
        self.misses.absolute(values.misses);
        self.bypassed.absolute(values.bypassed);
        self.invalidations.absolute(values.invalidations);
        self.losses.absolute(values.losses);
    }
}
