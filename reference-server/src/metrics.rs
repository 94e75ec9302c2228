//! The metrics of this process, in the OpenMetrics text format.

use std::{fmt, sync::Arc};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, text},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Registry,
};
use tower_session_auth::{security::SecurityEvents, store::NearCacheStats};

use crate::serve::Counters;

/// The media type of [`Metrics::text`].
pub(crate) const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Reads the counters of a near cache. `None` while the cache is not enabled.
pub(crate) type CacheStats = Box<dyn Fn() -> Option<NearCacheStats> + Send + Sync>;

/// All metrics.
pub(crate) struct Metrics(Registry);

impl Metrics {
    pub(crate) fn new(
        cache_stats: Option<CacheStats>,
        events: SecurityEvents,
        connections: Arc<Counters>,
    ) -> Self {
        let mut registry = Registry::with_prefix("session_auth");
        registry.register_collector(Box::new(Counts {
            cache_stats,
            events,
            connections,
        }));
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
    connections: Arc<Counters>,
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
        connections(&mut to, &self.connections)?;
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

#[rustfmt::skip]
fn connections(to: &mut Encoder<'_>, counters: &Counters) -> fmt::Result {
    to.gauge("connections", "Open connections", counters.open())?;
    to.counter("connections_accepted", "Accepted connections", counters.accepted())?;
    to.counter("connections_refused_server_full", "Connections without a place, since all were taken", counters.refused_server_full())?;
    to.counter("connections_refused_client_full", "Connections without a place, since their client had its maximum", counters.refused_client_full())?;
    to.counter("connections_refused_reserve_full", "Connections without a place in the reserve either", counters.refused_reserve_full())?;
    to.counter("connections_evicted", "Connections that gave way to a new one", counters.evicted())?;
    to.counter("connection_timeouts_idle", "Connections that were idle for too long", counters.timeouts_idle())?;
    to.counter("connection_timeouts_header", "Connections whose request head took too long", counters.timeouts_header())?;
    to.counter("connection_timeouts_write", "Connections whose client did not read the responses", counters.timeouts_write())?;
    to.counter("connection_timeouts_linger", "Connections whose client sent a refused request for too long", counters.timeouts_linger())?;
    to.counter("connection_timeouts_age", "Connections that reached their maximum age", counters.timeouts_age())?;
    to.counter("connection_timeouts_end", "Connections that did not end in time", counters.timeouts_end())?;
    to.counter("connection_rapid_resets", "Connections whose client reset most of its requests", counters.rapid_resets())?;
    to.counter("tls_handshake_failures", "TLS handshakes that failed", counters.tls_failures())?;
    to.counter("requests_refused_overload", "Requests that were refused because too many were in flight", counters.requests_refused_overload())?;
    to.counter("requests_refused_reserve", "Requests that were refused because their connection had no regular place", counters.requests_refused_reserve())
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
