//! The metrics of this process, in the OpenMetrics text format.

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

/// Reads the counters of a near cache. `None` while the cache is not enabled.
pub(crate) type CacheStats = Box<dyn Fn() -> Option<NearCacheStats> + Send + Sync>;

/// All metrics.
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

/// Reads the counters at each scrape.
struct Counts {
    cache_stats: Option<CacheStats>,
    events: SecurityEvents,
}

impl Collector for Counts {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut to = Encoder(encoder);
        to.counter(
            "token_reuse",
            "Tokens that were presented long after a renewal replaced them",
            self.events.token_reuse(),
        )?;
        to.counter(
            "state_lost",
            "Tokens of a later generation than the record: the store has lost writes",
            self.events.state_lost(),
        )?;
        match self.cache_stats.as_ref().and_then(|stats| stats()) {
            Some(stats) => near_cache(&mut to, &stats),
            None => Ok(()),
        }
    }
}

/// The fields of [`NearCacheStats`], under the same names.
#[rustfmt::skip]
fn near_cache(to: &mut Encoder<'_>, stats: &NearCacheStats) -> fmt::Result {
    to.gauge("near_cache_coherent", "1 while cached records are used, else 0", u64::from(stats.coherent))?;
    to.gauge("near_cache_bound_seconds", "How long a revoked token may be admitted while Redis cannot be reached", stats.bound.as_secs_f64())?;
    to.gauge("near_cache_entries", "Cached records", stats.entries as u64)?;
    to.counter("near_cache_hits", "Cache hits. A hit that would reject its request is confirmed by a read", stats.hits)?;
    to.counter("near_cache_misses", "Cache misses that were read through the cache", stats.misses)?;
    to.counter("near_cache_bypassed", "Requests that were read from Redis because the cache was not coherent", stats.bypassed)?;
    to.counter("near_cache_invalidations", "Invalidations that Redis pushed", stats.invalidations)?;
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
