//! Connections and requests that the main listener refused.

use std::sync::Arc;

use metrics::{Counter, Gauge, counter, gauge};
use tower_session_auth::telemetry::Metric;

use crate::serve::Counters;

pub(super) const IN_USE: Metric = Metric::gauge(
    "session_auth_connections_in_use",
    "Open connections of the main listener",
);
pub(super) const ACCEPTED: Metric = Metric::counter(
    "session_auth_connections_accepted_total",
    "Connections that the main listener accepted",
);
pub(super) const REFUSED: Metric = Metric::counter(
    "session_auth_connections_refused_total",
    "Connections for which no place was free",
);
pub(super) const CLOSED: Metric = Metric::counter(
    "session_auth_connections_closed_total",
    "Connections that the server closed",
);
pub(super) const TLS_FAILURES: Metric = Metric::counter(
    "session_auth_tls_handshake_failures_total",
    "TLS handshakes that failed",
);
pub(super) const REQUESTS_REFUSED: Metric = Metric::counter(
    "session_auth_requests_refused_total",
    "Requests that the main listener refused because the server was at capacity",
);

/// Reads a count of the listener.
type Read = fn(&Counters) -> u64;

/// Exports the counts of the listener. They are read at each scrape, so they cost nothing between scrapes.
pub(super) struct ConnectionMetrics {
    counters: Arc<Counters>,
    in_use: Gauge,
    exported: Vec<(Counter, Read)>,
}

impl ConnectionMetrics {
    pub(super) fn new(counters: Arc<Counters>) -> Self {
        let refused = |reason: &'static str| counter!(REFUSED.name, "reason" => reason);
        let closed = |reason: &'static str| counter!(CLOSED.name, "reason" => reason);
        let requests = |reason: &'static str| counter!(REQUESTS_REFUSED.name, "reason" => reason);
        let exported: Vec<(Counter, Read)> = vec![
            (counter!(ACCEPTED.name), Counters::accepted),
            (refused("server_full"), Counters::refused_server_full),
            (refused("client_full"), Counters::refused_client_full),
            (refused("reserve_full"), Counters::refused_reserve_full),
            (closed("evicted"), Counters::evicted),
            (closed("idle"), Counters::timeouts_idle),
            (closed("header"), Counters::timeouts_header),
            (closed("write"), Counters::timeouts_write),
            (closed("linger"), Counters::timeouts_linger),
            (closed("age"), Counters::timeouts_age),
            (closed("end"), Counters::timeouts_end),
            (closed("rapid_reset"), Counters::rapid_resets),
            (counter!(TLS_FAILURES.name), Counters::tls_failures),
            (requests("overload"), Counters::requests_refused_overload),
            (requests("reserve"), Counters::requests_refused_reserve),
        ];
        Self {
            counters,
            in_use: gauge!(IN_USE.name),
            exported,
        }
    }

    pub(super) fn update(&self) {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52 connections")]
        self.in_use.set(self.counters.open() as f64);
        for (counter, read) in &self.exported {
            counter.absolute(read(&self.counters));
        }
    }
}
