//! The connection to Redis.

use metrics::{Gauge, gauge};

use super::redis_names::STORE_UP;

/// Reports if the store is connected.
#[derive(Debug)]
pub(crate) struct StoreUpMetrics(Gauge);

impl StoreUpMetrics {
    /// Unknown until the first attempt to connect has ended.
    pub(crate) fn new() -> Self {
        let gauge = gauge!(STORE_UP);
        gauge.set(f64::NAN);
        Self(gauge)
    }

    pub(crate) fn set(&self, is_up: bool) {
        self.0.set(if is_up { 1.0 } else { 0.0 });
    }
}
