//! The limits of connections and requests.

use std::time::Duration;

use super::Checks;
use crate::config::{Limits, Settings};

pub(super) fn limits(settings: &Settings, checks: &mut Checks<'_>) -> Limits {
    let defaults = Limits::default();
    let mut millis = |name, value: Option<u64>, default: Duration, min| {
        value.map_or(default, |value| {
            Duration::from_millis(checks.within(name, value, min, 3_600_000))
        })
    };
    let request = millis(
        "request_timeout_ms",
        settings.request_timeout_ms,
        defaults.request,
        1,
    );
    let shutdown = millis(
        "shutdown_timeout_ms",
        settings.shutdown_timeout_ms,
        defaults.shutdown,
        0,
    );
    let connections = settings.max_connections.unwrap_or(defaults.connections);
    checks.within("max_connections", connections as u64, 1, 1_000_000);
    Limits {
        connections,
        request,
        shutdown,
        ..defaults
    }
}
