//! The access log: one line for each request.
//!
//! | line | level | fields besides those of the span |
//! |---|---|---|
//! | `request served` | `INFO` | `status`, `session`, `agent`, `latency_us` |
//! | `request refused` | `INFO`; `WARN` for a status of 500 or more; `ERROR` for a defect | `status`, `code`, `reason`, `kid`, `session`, `agent`, `cause`, `latency_us` |
//! | `refused requests left out` | `WARN` | `code`, `reason`, `count` |
//!
//! The span has `method`, `path`, `id` (the request id) and `client` (the address). Lines of refused requests with a status of 500
//! or more are limited to [`limiter::LINES_PER_SECOND`] for each code and reason. Equal lines are limited, so that an outage does
//! not flood the log.

mod limiter;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http::{Request, Response, StatusCode};
use tokio::time::{Instant, sleep};
use tower_http::trace::OnResponse;
use tower_session_auth::{
    AuthError, ErrorKind, RejectionReason,
    master_auth::{ClientAddr, has_secret},
    response::{SessionIds, X_REQUEST_ID},
};
use tracing::Span;

use self::limiter::{LineLimiter, Topic, Verdict, WINDOW};
use crate::metrics::{HttpMetrics, HttpOutcome};

/// The number of characters of a path in a line.
const MAX_PATH: usize = 200;

/// The span of a request. It leaves out the query, and a path that contains a token, since a token must not be logged.
///
/// It has the highest level, so that the lines inside it have its fields under every log filter.
pub(crate) fn span<B>(request: &Request<B>) -> Span {
    let id = request.headers().get(X_REQUEST_ID);
    let path = request.uri().path();
    let client = request.extensions().get::<ClientAddr>();
    tracing::error_span!(
        "request",
        method = %request.method(),
        path = if has_secret(path) { "(left out)" } else { shortened(path) },
        id = id.and_then(|id| id.to_str().ok()).unwrap_or_default(),
        client = client.map(|ClientAddr(address)| display(address)),
    )
}

/// The start of a path. A client must not choose the size of a line.
fn shortened(path: &str) -> &str {
    let end = path
        .char_indices()
        .nth(MAX_PATH)
        .map_or(path.len(), |(end, _)| end);
    &path[..end]
}

/// Writes the line of each response. Clones share the limit of lines.
#[derive(Clone)]
pub(crate) struct AccessLog {
    metrics: HttpMetrics,
    limiter: Arc<Mutex<LineLimiter>>,
}

impl<B> OnResponse<B> for AccessLog {
    fn on_response(self, response: &Response<B>, elapsed: Duration, _: &Span) {
        let latency = u64::try_from(elapsed.as_micros()).ok();
        let status = response.status();
        let error = response.extensions().get::<AuthError>();
        let outcome = match error {
            Some(error) => HttpOutcome::Refused(error.kind()),
            None if is_refusal(status) => HttpOutcome::Other,
            None => HttpOutcome::Served,
        };
        self.metrics.answered(outcome, elapsed);
        match error {
            Some(error) if self.admits(error) => {
                // The HTTP status of a gRPC response is always 200.
                let status = if is_refusal(status) {
                    status
                } else {
                    error.status()
                };
                refused(status, error, latency);
            }
            Some(_) => {}
            // A status of a layer that is not part of the crate.
            None if is_refusal(status) => {
                tracing::info!(status = status.as_u16(), latency_us = latency, "request refused");
            }
            None => {
                let session = response.extensions().get::<SessionIds>();
                tracing::info!(
                    status = status.as_u16(),
                    session = session.map(|session| display(session.session_id)),
                    agent = session.map(|session| display(session.agent_id)),
                    latency_us = latency,
                    "request served"
                );
            }
        }
    }
}

impl AccessLog {
    /// A log whose metrics are those of the current recorder.
    pub(crate) fn new() -> Self {
        Self {
            metrics: HttpMetrics::new(),
            limiter: Arc::default(),
        }
    }

    /// The line of a request that was refused before it reached the layers. Its span is made only for a line that is written.
    pub(crate) fn not_admitted<B>(&self, request: &Request<B>, error: &AuthError) {
        self.metrics.count(HttpOutcome::Refused(error.kind()));
        if self.admits(error) {
            span(request).in_scope(|| refused(error.status(), error, None));
        }
    }

    /// True if a line about this error may be written now. The first line that is left out schedules the summary.
    fn admits(&self, error: &AuthError) -> bool {
        if !error.status().is_server_error() {
            return true;
        }
        let topic = Topic::of(error);
        let verdict = lock(&self.limiter).decide(topic, Instant::now());
        if let Verdict::LeaveOutFirst = verdict {
            let limiter = self.limiter.clone();
            // Not inside the span of this request: the summary is about others.
            tokio::spawn(async move {
                sleep(WINDOW).await;
                let count = lock(&limiter).take_left_out(topic);
                tracing::warn!(
                    code = topic.code,
                    reason = topic.reason,
                    count,
                    "refused requests left out"
                );
            });
        }
        matches!(verdict, Verdict::Write)
    }
}

/// Writes the line of a refused request, inside its span.
fn refused(status: StatusCode, error: &AuthError, latency: Option<u64>) {
    macro_rules! line {
        ($level:ident) => {
            tracing::event!(
                tracing::Level::$level,
                status = status.as_u16(),
                code = error.kind().code(),
                reason = error.reason().as_str(),
                kid = error.key_id(),
                session = error.session_id().map(display),
                agent = error.agent_id().map(display),
                cause = std::error::Error::source(error).map(display),
                latency_us = latency,
                "request refused"
            )
        };
    }
    match (error.kind(), error.reason()) {
        (ErrorKind::InternalError, _) | (_, RejectionReason::StoreMalformed) => line!(ERROR),
        _ if error.status().is_server_error() => line!(WARN),
        _ => line!(INFO),
    }
}

fn is_refusal(status: StatusCode) -> bool {
    status.is_client_error() || status.is_server_error()
}

fn lock(limiter: &Mutex<LineLimiter>) -> MutexGuard<'_, LineLimiter> {
    limiter.lock().unwrap_or_else(PoisonError::into_inner)
}
