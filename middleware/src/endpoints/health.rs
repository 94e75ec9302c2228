//! `/healthz` and `/readyz`.

use std::{sync::atomic::Ordering, time::Duration};

use http::StatusCode;
use serde_json::json;
use tokio::{sync::Mutex, time::Instant};

use super::{
    output::{self, Answer},
    state::State,
};
use crate::{
    error::AuthError,
    store::{SessionStore, StoreError, StoreHealth, StoreWarning},
};

/// The time in which requests share the result of one probe.
const SHARED_FOR: Duration = Duration::from_millis(20);

/// The last probe of the store. `/readyz` needs no credentials, so its requests must not load the store: there is one probe at a time,
/// and at most one each 20 ms.
#[derive(Debug, Default)]
pub(crate) struct Readiness(Mutex<Option<(Instant, Result<StoreHealth, StoreError>)>>);

impl Readiness {
    async fn probe<S: SessionStore>(&self, store: &S) -> Result<StoreHealth, StoreError> {
        let mut last = self.0.lock().await;
        if let Some((ended, result)) = &*last
            && ended.elapsed() < SHARED_FOR
        {
            return result.clone();
        }
        let result = store.health().await;
        *last = Some((Instant::now(), result.clone()));
        result
    }
}

/// The process runs.
pub(super) fn health() -> Answer {
    output::json(StatusCode::OK, &json!({ "status": "ok" }))
}

/// The reason of the store is shown, unlike in the answers of other endpoints. It contains no secret.
fn with_reason(error: StoreError) -> AuthError {
    let reason = match &error {
        StoreError::Unavailable(reason) if reason.contains("LOADING") => {
            "loading: Redis reads its data".to_owned()
        }
        other => other.to_string(),
    };
    AuthError::from(error).with_detail(reason)
}

/// The store answers. A warning does not change the status, and a store that refuses writes does so only if
/// [`Endpoints::unready_without_writes`](super::Endpoints::unready_without_writes) was called.
pub(super) async fn ready<S: SessionStore>(state: &State<S>) -> Answer {
    let mut body = json!({ "status": "ready" });
    let mut status = StatusCode::OK;
    match state.readiness.probe(&state.store).await.map_err(with_reason)? {
        StoreHealth::Ready => {}
        StoreHealth::Partial { reason } => body = json!({ "status": "degraded", "reason": reason }),
        StoreHealth::ReadOnly { reason } => {
            body = json!({ "status": "degraded", "reason": reason });
            if state.unready_without_writes.load(Ordering::Relaxed) {
                status = StatusCode::SERVICE_UNAVAILABLE;
            }
        }
        StoreHealth::NotDurable { reason } => {
            body = json!({ "status": "unready", "reason": reason });
            status = StatusCode::SERVICE_UNAVAILABLE;
        }
    }
    let mut warnings: Vec<_> = state
        .store
        .warnings()
        .into_iter()
        .map(StoreWarning::name)
        .collect();
    // Requests are served, and expiry is decided by a wrong clock.
    if let Some(skew) = state.store.clock_skew().filter(|skew| !skew.is_tolerated()) {
        warnings.push("clock_skew");
        body["clockSkewMs"] = skew.millis().into();
    }
    if !warnings.is_empty() {
        body["warnings"] = json!(warnings);
    }
    output::json(status, &body)
}
