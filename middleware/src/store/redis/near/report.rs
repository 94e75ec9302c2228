//! Reports the state and the counts of the cache as metrics.

use std::{sync::Weak, time::Duration};

use tokio::time::sleep;

use super::state::CacheState;
use crate::telemetry::{NearCacheMetrics, NearCacheValues};

/// The interval between reports. A lookup counts for itself and reports nothing, so that a cache hit costs nothing more.
const INTERVAL: Duration = Duration::from_millis(500);

/// Reports until the cache is dropped.
pub(super) async fn run(cache: Weak<CacheState>, metrics: NearCacheMetrics) {
    while let Some(cache) = cache.upgrade() {
        let stats = cache.stats();
        metrics.report(&NearCacheValues {
            coherent: stats.coherent,
            bound_seconds: stats.bound.as_secs_f64(),
            entries: stats.entries,
            hits: stats.hits,
            misses: stats.misses,
            bypassed: stats.bypassed,
            invalidations: stats.invalidations,
            losses: stats.losses,
        });
        drop(cache);
        sleep(INTERVAL).await;
    }
}
