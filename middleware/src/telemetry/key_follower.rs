//! The keys that a verifier follows.

use metrics::{Counter, Gauge, counter, gauge};

use super::key_follower_names::{FETCHES, STALE};

/// Reports the fetches of a key follower.
#[derive(Debug)]
pub(crate) struct KeyFollowerMetrics {
    good: Counter,
    failed: Counter,
    stale: Gauge,
}

impl KeyFollowerMetrics {
    pub(crate) fn new() -> Self {
        let metrics = Self {
            good: counter!(FETCHES, "outcome" => "ok"),
            failed: counter!(FETCHES, "outcome" => "failed"),
            stale: gauge!(STALE),
        };
        metrics.set_stale(false);
        metrics
    }

    /// Counts a fetch.
    pub(crate) fn fetched(&self, succeeded: bool) {
        let counter = if succeeded { &self.good } else { &self.failed };
        counter.increment(1);
    }

    /// Sets whether the keys were dropped because they are too old.
    pub(crate) fn set_stale(&self, stale: bool) {
        self.stale.set(if stale { 1.0 } else { 0.0 });
    }
}
