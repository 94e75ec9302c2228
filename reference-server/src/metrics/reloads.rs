//! Reloads of keys, credentials and certificates.

use metrics::{Counter, Gauge, counter, gauge};
use tower_session_auth::telemetry::Metric;

pub(super) const RELOADS: Metric =
    Metric::counter("session_auth_reloads_total", "Reloads of the configuration");
pub(super) const LAST_SUCCEEDED: Metric = Metric::gauge(
    "session_auth_last_reload_successful",
    "1 if the last reload succeeded, or if there was none, else 0",
);

/// The outcome of a reload: a value of the label `outcome`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reloaded {
    /// The new configuration is in use.
    Applied,
    /// The configuration has a mistake: nothing was changed.
    Rejected,
}

/// Counts reloads. Clones share their counts.
#[derive(Debug, Clone)]
pub(crate) struct ReloadMetrics {
    applied: Counter,
    rejected: Counter,
    last_succeeded: Gauge,
}

impl ReloadMetrics {
    pub(crate) fn new() -> Self {
        let reloads = |outcome: &'static str| counter!(RELOADS.name, "outcome" => outcome);
        let last_succeeded = gauge!(LAST_SUCCEEDED.name);
        last_succeeded.set(1.0);
        Self {
            applied: reloads("applied"),
            rejected: reloads("rejected"),
            last_succeeded,
        }
    }

    pub(crate) fn ended(&self, outcome: Reloaded) {
        let (counter, succeeded) = match outcome {
            Reloaded::Applied => (&self.applied, 1.0),
            Reloaded::Rejected => (&self.rejected, 0.0),
        };
        counter.increment(1);
        self.last_succeeded.set(succeeded);
    }
}
