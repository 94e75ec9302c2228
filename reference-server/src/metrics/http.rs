//! Responses by code, and the time until them.

use std::{sync::Arc, time::Duration};

use metrics::{Counter, Histogram, counter, histogram};
use tower_session_auth::{ErrorKind, telemetry::Metric};

pub(super) const RESPONSES: Metric = Metric::counter(
    "session_auth_http_responses_total",
    "Responses of the main listener",
);
pub(super) const DURATION: Metric = Metric::histogram(
    "session_auth_http_request_duration_seconds",
    "Time from the head of a request to the head of its response",
);
/// The upper bounds of the buckets, in seconds.
pub(super) const BUCKETS: &[f64] = &[
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
];

/// Counts responses.
#[derive(Clone)]
pub(crate) struct HttpMetrics(Arc<Counters>);

struct Counters {
    served: Counter,
    /// A refusal without an error of the crate.
    other: Counter,
    /// In the order of [`ErrorKind::ALL`].
    refused: Vec<(ErrorKind, Counter)>,
    duration: Histogram,
}

/// The outcome of a response.
#[derive(Debug, Clone, Copy)]
pub(crate) enum HttpOutcome {
    Served,
    Refused(ErrorKind),
    /// A refusal without an error of the crate.
    Other,
}

impl HttpMetrics {
    pub(crate) fn new() -> Self {
        let responses = |code: &'static str| counter!(RESPONSES.name, "code" => code);
        Self(Arc::new(Counters {
            served: responses("OK"),
            other: responses("OTHER"),
            refused: ErrorKind::ALL
                .iter()
                .map(|kind| (*kind, responses(kind.code())))
                .collect(),
            duration: histogram!(DURATION.name),
        }))
    }

    pub(crate) fn answered(&self, outcome: HttpOutcome, latency: Duration) {
        self.count(outcome);
        self.0.duration.record(latency);
    }

    /// A response without a duration.
    pub(crate) fn count(&self, outcome: HttpOutcome) {
        let counters = &*self.0;
        let counter = match outcome {
            HttpOutcome::Served => &counters.served,
            HttpOutcome::Other => &counters.other,
            HttpOutcome::Refused(kind) => {
                let known = counters.refused.iter().find(|(known, _)| *known == kind);
                known.map_or(&counters.other, |(_, counter)| counter)
            }
        };
        counter.increment(1);
    }
}
