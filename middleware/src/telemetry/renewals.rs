//! Renewals by outcome and code.

use std::sync::Arc;

use metrics::{Counter, counter};

use super::RENEWALS;
use crate::error::{AuthError, ErrorKind};

/// How a renewal succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RenewalOutcome {
    /// A new token was issued.
    Renewed,
    /// The current token was returned again.
    Repeated,
}

/// Counts the renewals of a manager.
#[derive(Debug, Clone)]
pub(crate) struct RenewalMetrics(Arc<Counters>);

#[derive(Debug)]
struct Counters {
    renewed: Counter,
    repeated: Counter,
    /// In the order of [`ErrorKind::ALL`].
    rejected: Vec<Counter>,
}

impl RenewalMetrics {
    pub(crate) fn new() -> Self {
        let renewals = |outcome: &'static str, code: &'static str| counter!(RENEWALS, "outcome" => outcome, "code" => code);
        let rejected = |kind: &ErrorKind| {
            let failed = kind.status().is_server_error();
            renewals(if failed { "failed" } else { "rejected" }, kind.code())
        };
        Self(Arc::new(Counters {
            renewed: renewals("renewed", "OK"),
            repeated: renewals("repeated", "OK"),
            rejected: ErrorKind::ALL.iter().map(rejected).collect(),
        }))
    }

    pub(crate) fn count(&self, outcome: Result<RenewalOutcome, &AuthError>) {
        match outcome {
            Ok(RenewalOutcome::Renewed) => self.0.renewed.increment(1),
            Ok(RenewalOutcome::Repeated) => self.0.repeated.increment(1),
            Err(error) => {
                if let Some(counter) = self.0.rejected.get(error.kind() as usize) {
                    counter.increment(1);
                }
            }
        }
    }
}
