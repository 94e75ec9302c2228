//! The clock skew against Redis.

use metrics::{Gauge, gauge};

use super::redis_names::CLOCK_SKEW;

/// Reports the clock skew.
#[derive(Debug)]
pub(crate) struct ClockSkewMetrics(Gauge);

impl ClockSkewMetrics {
    pub(crate) fn new() -> Self {
        let gauge = gauge!(CLOCK_SKEW);
        gauge.set(f64::NAN);
        Self(gauge)
    }

    /// Sets the skew in seconds. `None` while it is unknown.
    pub(crate) fn set(&self, seconds: Option<f64>) {
        self.0.set(seconds.unwrap_or(f64::NAN));
    }
}
