//! The limits of connections and requests.

use std::time::Duration;

use super::Checks;
use crate::config::{Limits, Settings};

const DAY_MILLIS: u64 = 86_400_000;
const MAX: u64 = 1_000_000;

pub(super) fn limits(settings: &Settings, checks: &mut Checks<'_>) -> Limits {
    let defaults = Limits::default();
    let mut millis = |name, value: Option<u64>, default: Duration, min| {
        value.map_or(default, |value| {
            Duration::from_millis(checks.within(name, value, min, DAY_MILLIS))
        })
    };
    let s = settings;
    let limits = Limits {
        request: millis("request_timeout_ms", s.request_timeout_ms, defaults.request, 1),
        shutdown: millis("shutdown_timeout_ms", s.shutdown_timeout_ms, defaults.shutdown, 0),
        shutdown_delay: millis(
            "shutdown_delay_ms",
            s.shutdown_delay_ms,
            defaults.shutdown_delay,
            0,
        ),
        idle: millis("idle_timeout_ms", s.idle_timeout_ms, defaults.idle, 1),
        head: millis("header_timeout_ms", s.header_timeout_ms, defaults.head, 1),
        write: millis("write_timeout_ms", s.write_timeout_ms, defaults.write, 1),
        max_age: millis(
            "max_connection_age_ms",
            s.max_connection_age_ms,
            defaults.max_age,
            1,
        ),
        ..defaults
    };
    numbers(settings, limits, checks)
}

/// The limits that are numbers of connections, requests or streams.
fn numbers(settings: &Settings, limits: Limits, checks: &mut Checks<'_>) -> Limits {
    let connections = settings.max_connections.unwrap_or(limits.connections);
    checks.within("max_connections", connections as u64, 1, MAX);
    let connections_per_client = match settings.max_connections_per_client {
        None => (connections / 2).max(1),
        Some(given) => {
            checks.within("max_connections_per_client", given as u64, 1, MAX);
            given
        }
    };
    let requests = settings.max_requests.unwrap_or(limits.requests);
    checks.within("max_requests", requests as u64, 1, MAX);
    let http2_streams = settings.max_http2_streams.unwrap_or(limits.http2_streams);
    checks.within("max_http2_streams", http2_streams.into(), 1, 10_000);
    Limits {
        connections,
        connections_per_client,
        requests,
        http2_streams,
        ..limits
    }
}
