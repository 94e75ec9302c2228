//! Metrics, through the facade of the crate [`metrics`].
//!
//! Layers, managers and stores resolve their metrics when they are **created**, from the recorder of that moment. So install the
//! recorder of your exporter first (`metrics::set_global_recorder`), or create them inside `metrics::with_local_recorder`, which gives
//! several servers in one process separate metrics. Without a recorder, the metrics do nothing.
//!
//! [`METRICS`] lists all metrics, and [`describe`] gives their descriptions to the recorder. Values of labels are constants, such as the
//! codes of errors: no label has an id. `docs/metrics.md` describes labels and alerts.
//!
//! A histogram needs buckets, which only an exporter can set: use [`STORE_BUCKETS`] for `session_auth_store_duration_seconds`.

#[cfg(feature = "master-auth")]
mod argon2;
#[cfg(feature = "key-follower")]
mod key_follower;
#[cfg(feature = "redis")]
mod near_cache;
#[cfg(feature = "redis")]
mod recovery;
mod renewals;
mod requests;
mod security;
#[cfg(feature = "redis")]
mod servers;
#[cfg(feature = "redis")]
mod store;

#[cfg(feature = "master-auth")]
pub(crate) use self::argon2::Argon2Metrics;
#[cfg(feature = "key-follower")]
pub(crate) use self::key_follower::KeyFollowerMetrics;
#[cfg(feature = "redis")]
pub(crate) use self::near_cache::{NearCacheMetrics, NearCacheValues};
#[cfg(feature = "redis")]
pub(crate) use self::recovery::RecoveryMetrics;
pub(crate) use self::renewals::{RenewalMetrics, RenewalOutcome};
#[cfg(feature = "endpoints")]
pub(crate) use self::requests::RejectionMetrics;
pub(crate) use self::requests::{ProtectedBy, RequestMetrics};
pub(crate) use self::security::SecurityMetrics;
#[cfg(feature = "redis")]
pub(crate) use self::servers::{ServerMetrics, ServersMetrics};
#[cfg(feature = "redis")]
pub(crate) use self::store::{StoreFailure, StoreMetrics, StoreOperation};

/// The upper bounds of the buckets of store latencies, in seconds. The default deadline is 0.25.
pub const STORE_BUCKETS: &[f64] = &[
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0,
];

/// A metric: its name, type and description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metric {
    /// The name, by the conventions of Prometheus.
    pub name: &'static str,
    /// The type.
    pub kind: MetricKind,
    /// The description.
    pub help: &'static str,
}

/// The type of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetricKind {
    /// A number that only increases.
    Counter,
    /// A number that increases and decreases.
    Gauge,
    /// A distribution.
    Histogram,
}

impl Metric {
    /// A counter.
    #[must_use]
    pub const fn counter(name: &'static str, help: &'static str) -> Self {
        let kind = MetricKind::Counter;
        Self { name, kind, help }
    }

    /// A gauge.
    #[must_use]
    pub const fn gauge(name: &'static str, help: &'static str) -> Self {
        let kind = MetricKind::Gauge;
        Self { name, kind, help }
    }

    /// A histogram.
    #[must_use]
    pub const fn histogram(name: &'static str, help: &'static str) -> Self {
        let kind = MetricKind::Histogram;
        Self { name, kind, help }
    }

    /// Gives the description to the current recorder.
    pub fn describe(&self) {
        match self.kind {
            MetricKind::Counter => metrics::describe_counter!(self.name, self.help),
            MetricKind::Gauge => metrics::describe_gauge!(self.name, self.help),
            MetricKind::Histogram => metrics::describe_histogram!(self.name, self.help),
        }
    }
}

const REQUESTS: &str = "session_auth_requests_total";
const REJECTIONS: &str = "session_auth_rejections_total";
const RENEWALS: &str = "session_auth_renewals_total";
const TOKEN_REUSE: &str = "session_auth_token_reuse_total";
const STATE_LOST: &str = "session_auth_state_lost_total";
#[cfg_attr(not(feature = "master-auth"), allow(dead_code))]
mod argon2_names {
    pub(super) const QUEUE_LENGTH: &str = "session_auth_argon2_queue_length";
    pub(super) const RUNS: &str = "session_auth_argon2_runs_total";
}
#[cfg_attr(not(feature = "key-follower"), allow(dead_code))]
mod key_follower_names {
    pub(super) const FETCHES: &str = "session_auth_key_fetches_total";
    pub(super) const STALE: &str = "session_auth_keys_stale";
}
mod redis_names {
    pub(super) const STORE_DURATION: &str = "session_auth_store_duration_seconds";
    pub(super) const STORE_ERRORS: &str = "session_auth_store_errors_total";
    pub(super) const STORE_UP: &str = "session_auth_store_up";
    pub(super) const BEHIND: &str = "session_auth_store_behind_total";
    pub(super) const REWRITTEN: &str = "session_auth_revocations_rewritten_total";
    pub(super) const CLOCK_SKEW: &str = "session_auth_clock_skew_seconds";
    pub(super) const COHERENT: &str = "session_auth_near_cache_coherent";
    pub(super) const BOUND: &str = "session_auth_near_cache_bound_seconds";
    pub(super) const ENTRIES: &str = "session_auth_near_cache_entries";
    pub(super) const HITS: &str = "session_auth_near_cache_hits_total";
    pub(super) const MISSES: &str = "session_auth_near_cache_misses_total";
    pub(super) const BYPASSED: &str = "session_auth_near_cache_bypassed_total";
    pub(super) const INVALIDATIONS: &str = "session_auth_near_cache_invalidations_total";
    pub(super) const LOSSES: &str = "session_auth_near_cache_losses_total";
}

/// All metrics of this crate. Those of features that are off, and of parts that are not used, are never recorded.
pub const METRICS: &[Metric] = &[
    Metric::counter(REQUESTS, "Requests that a layer admitted or rejected"),
    Metric::counter(
        REJECTIONS,
        "Requests that a layer or an endpoint rejected, by their precise reason",
    ),
    Metric::counter(RENEWALS, "Renewals of sessions"),
    Metric::counter(
        TOKEN_REUSE,
        "Tokens that were presented long after a renewal replaced them",
    ),
    Metric::counter(
        STATE_LOST,
        "Tokens of a later generation than the record: the store has lost writes",
    ),
    Metric::gauge(argon2_names::QUEUE_LENGTH, "Requests that wait for Argon2"),
    Metric::counter(argon2_names::RUNS, "Argon2 computations for the master password"),
    Metric::counter(
        key_follower_names::FETCHES,
        "Fetches of the keys that a verifier follows",
    ),
    Metric::gauge(
        key_follower_names::STALE,
        "1 while the followed keys are not trusted, because the server has not confirmed them for too long, else 0",
    ),
    Metric::histogram(
        redis_names::STORE_DURATION,
        "Time from a call of the store to its answer or its deadline",
    ),
    Metric::counter(redis_names::STORE_ERRORS, "Failed calls of the store"),
    Metric::gauge(
        redis_names::STORE_UP,
        "1 while every server is connected and confirmed and every slot has a master, else 0; NaN before the first attempt has ended",
    ),
    Metric::counter(
        redis_names::BEHIND,
        "Connections to a server that lacks the last writes of its predecessor",
    ),
    Metric::counter(
        redis_names::REWRITTEN,
        "Revocations of this process that a new server lacked, and that were written again",
    ),
    Metric::gauge(
        redis_names::CLOCK_SKEW,
        "How far the clock of this process is ahead of the clock of Redis; NaN while unknown, as without a connection",
    ),
    Metric::gauge(redis_names::COHERENT, "1 while cached records are used, else 0"),
    Metric::gauge(
        redis_names::BOUND,
        "How long a revoked token may be admitted while Redis cannot be reached",
    ),
    Metric::gauge(redis_names::ENTRIES, "Cached records"),
    Metric::counter(
        redis_names::HITS,
        "Cache hits. A hit that would reject its request is confirmed by a read",
    ),
    Metric::counter(
        redis_names::MISSES,
        "Cache misses that were read through the cache",
    ),
    Metric::counter(
        redis_names::BYPASSED,
        "Requests that were read from Redis because the cache was not coherent",
    ),
    Metric::counter(redis_names::INVALIDATIONS, "Invalidations that Redis pushed"),
    Metric::counter(redis_names::LOSSES, "Tracking connections that were lost"),
];

/// Gives the descriptions of all [`METRICS`] to the current recorder.
pub fn describe() {
    METRICS.iter().for_each(Metric::describe);
}
