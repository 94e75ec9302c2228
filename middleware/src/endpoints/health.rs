//! `/healthz` and `/readyz`.

use std::{sync::atomic::Ordering, time::Duration};

use http::StatusCode;
use serde_json::json;
use tokio::{sync::Mutex, time::Instant};

use super::{
    output::{self, Answer},
    state::State,
};
use crate::store::{SessionStore, StoreError, StoreHealth};

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

/// The store answers. A warning does not change the status, and a store that refuses writes does so only if
/// [`Endpoints::unready_without_writes`](super::Endpoints::unready_without_writes) was called.
pub(super) async fn ready<S: SessionStore>(state: &State<S>) -> Answer {
    let mut body = json!({ "status": "ready" });
    let mut status = StatusCode::OK;
    match state.readiness.probe(&state.store).await? {
        StoreHealth::Ready => {}
        StoreHealth::Partial { reason } => body = json!({ "status": "degraded", "reason": reason }),
        StoreHealth::ReadOnly { reason } => {
            body = json!({ "status": "degraded", "reason": reason });
            if state.unready_without_writes.load(Ordering::Relaxed) {
                status = StatusCode::SERVICE_UNAVAILABLE;
            }
        }
    }
    // Requests are served, and expiry is decided by a wrong clock.
    if let Some(skew) = state.store.clock_skew().filter(|skew| !skew.is_tolerated()) {
        body["warnings"] = json!(["clock_skew"]);
        body["clockSkewMs"] = skew.millis().into();
    }
    output::json(status, &body)
}
