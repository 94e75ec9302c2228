//! What this process counts, in the OpenMetrics text format.

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, text},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Registry,
};
use tower_session_auth::{security::SecurityEvents, store::NearCacheStats};

/// The media type of [`Metrics::text`].
pub(crate) const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Reads the counters of a near cache.
pub(crate) type CacheStats = Box<dyn Fn() -> Option<NearCacheStats> + Send + Sync>;

/// Everything that is counted.
pub(crate) struct Metrics(Registry);

impl Metrics {
    pub(crate) fn new(cache_stats: Option<CacheStats>, events: SecurityEvents) -> Self {
        let mut registry = Registry::with_prefix("session_auth");
        registry.register_collector(Box::new(Counts { cache_stats, events }));
        Self(registry)
    }

    pub(crate) fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.0)?;
        Ok(text)
    }
}

/// Asked when somebody wants to know.
struct Counts {
    cache_stats: Option<CacheStats>,
    events: SecurityEvents,
}

impl Collector for Counts {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut to = Encoder(encoder);
        to.counter(
            "token_reuse",
            "Tokens presented long after they were replaced",
            self.events.token_reuse(),
        )?;
        to.counter(
            "state_lost",
            "Tokens presented of a later generation than the store knows of: it has lost writes",
            self.events.state_lost(),
        )?;
        match self.cache_stats.as_ref().and_then(|stats| stats()) {
            Some(stats) => near_cache(&mut to, &stats),
            None => Ok(()),
        }
    }
}

/// What [`NearCacheStats`] says, under the same names.
#[rustfmt::skip]
fn near_cache(to: &mut Encoder<'_>, stats: &NearCacheStats) -> fmt::Result {
    to.gauge("near_cache_coherent", "1 while requests are answered from memory, 0 while none is", u64::from(stats.coherent))?;
    to.gauge("near_cache_bound_seconds", "How long a revoked token may pass where Redis cannot be reached", stats.bound.as_secs_f64())?;
    to.gauge("near_cache_entries", "Records in memory", stats.entries as u64)?;
    to.counter("near_cache_hits", "Copies found in memory; a request that one would refuse asks Redis all the same", stats.hits)?;
    to.counter("near_cache_misses", "Requests that asked Redis for a record to be kept", stats.misses)?;
    to.counter("near_cache_bypassed", "Requests that were not answered from memory since the cache was of no use", stats.bypassed)?;
    to.counter("near_cache_invalidations", "Changes that Redis pushed", stats.invalidations)?;
    to.counter("near_cache_losses", "Tracking connections that were lost", stats.losses)
}

struct Encoder<'a>(DescriptorEncoder<'a>);

impl Encoder<'_> {
    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let to = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        ConstCounter::new(value).encode(to)
    }

    fn gauge<N>(&mut self, name: &str, help: &str, value: N) -> fmt::Result
    where
        ConstGauge<N>: EncodeMetric,
    {
        let to = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        ConstGauge::new(value).encode(to)
    }
}

impl fmt::Debug for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counts").finish_non_exhaustive()
    }
}
