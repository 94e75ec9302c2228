//! Reports the state and the counts of the caches as metrics.

use std::time::Duration;

use tokio::time::sleep;

use crate::{
    store::NearCacheStats,
    telemetry::{NearCacheMetrics, NearCacheValues},
};

/// The interval between reports. A lookup counts for itself and reports nothing, so that a cache hit costs nothing more.
const INTERVAL: Duration = Duration::from_millis(500);

/// Reports until the store is dropped: then there are no stats.
pub(in super::super) async fn run(stats: impl Fn() -> Option<NearCacheStats>, metrics: NearCacheMetrics) {
    while let Some(stats) = stats() {
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
        sleep(INTERVAL).await;
    }
}
