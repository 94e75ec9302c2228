//! The queue for Argon2 and its computations.

use metrics::{Counter, Gauge, counter, gauge};

use super::argon2_names::{QUEUE_LENGTH, RUNS};

/// Counts waiting requests and computations.
#[derive(Debug, Clone)]
pub(crate) struct Argon2Metrics {
    queue_length: Gauge,
    right: Counter,
    wrong: Counter,
}

impl Default for Argon2Metrics {
    fn default() -> Self {
        Self {
            queue_length: gauge!(QUEUE_LENGTH),
            right: counter!(RUNS, "result" => "right"),
            wrong: counter!(RUNS, "result" => "wrong"),
        }
    }
}

impl Argon2Metrics {
    /// Sets the number of waiting requests.
    #[expect(clippy::cast_precision_loss, reason = "the queue is short")]
    pub(crate) fn waiting(&self, requests: usize) {
        self.queue_length.set(requests as f64);
    }

    /// Counts a computation, by whether the password was right.
    pub(crate) fn ran(&self, right: bool) {
        let counter = if right { &self.right } else { &self.wrong };
        counter.increment(1);
    }
}
