//! Requests by outcome and code.

use std::sync::Arc;

use metrics::{Counter, counter};

use super::{REJECTIONS, REQUESTS};
use crate::error::{AuthError, ErrorKind, RejectionReason};

/// The layer that counts: a value of the label `layer`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProtectedBy {
    Session,
    Renewal,
    VerifyOnly,
    Scope,
    #[cfg_attr(not(feature = "master-auth"), allow(dead_code))]
    Admin,
}

/// Counts the requests of a layer. Its counters are resolved once, so a request costs one or two atomic additions.
#[derive(Debug, Clone)]
pub(crate) struct RequestMetrics(Arc<Counters>);

#[derive(Debug)]
struct Counters {
    admitted: Counter,
    anonymous: Counter,
    /// In the order of [`ErrorKind::ALL`].
    rejected: Vec<Counter>,
    rejections: RejectionMetrics,
}

/// Counts rejections by their reason: those of layers, and those of endpoints behind them.
#[derive(Debug, Clone)]
pub(crate) struct RejectionMetrics {
    /// In the order of [`RejectionReason::ALL`].
    reasons: Arc<[Counter]>,
}

impl RejectionMetrics {
    pub(crate) fn new() -> Self {
        let reason = |reason: &RejectionReason| counter!(REJECTIONS, "reason" => reason.as_str());
        Self {
            reasons: RejectionReason::ALL.iter().map(reason).collect(),
        }
    }

    pub(crate) fn count(&self, error: &AuthError) {
        // The variants have the order of `ALL`, since one macro defines both.
        if let Some(counter) = self.reasons.get(error.reason() as usize) {
            counter.increment(1);
        }
    }
}

impl ProtectedBy {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Renewal => "renewal",
            Self::VerifyOnly => "verify_only",
            Self::Scope => "scope",
            Self::Admin => "admin",
        }
    }
}

impl RequestMetrics {
    pub(crate) fn new(layer: ProtectedBy) -> Self {
        let requests = |outcome: &'static str, code: &'static str| counter!(REQUESTS, "layer" => layer.as_str(), "outcome" => outcome, "code" => code);
        let rejected = |kind: &ErrorKind| {
            let failed = kind.status().is_server_error();
            requests(if failed { "failed" } else { "rejected" }, kind.code())
        };
        Self(Arc::new(Counters {
            admitted: requests("admitted", "OK"),
            anonymous: requests("anonymous", "OK"),
            rejected: ErrorKind::ALL.iter().map(rejected).collect(),
            rejections: RejectionMetrics::new(),
        }))
    }

    #[cfg(feature = "endpoints")]
    pub(crate) fn rejections(&self) -> &RejectionMetrics {
        &self.0.rejections
    }

    pub(crate) fn admitted(&self) {
        self.0.admitted.increment(1);
    }

    /// An optional layer admitted a request without a token.
    pub(crate) fn anonymous(&self) {
        self.0.anonymous.increment(1);
    }

    pub(crate) fn rejected(&self, error: &AuthError) {
        // The variants have the order of `ALL`, since one macro defines both.
        if let Some(counter) = self.0.rejected.get(error.kind() as usize) {
            counter.increment(1);
        }
        self.0.rejections.count(error);
    }
}
