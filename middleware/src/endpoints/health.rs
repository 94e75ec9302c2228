//! `/healthz` and `/readyz`.

use std::time::Duration;

use http::StatusCode;
use serde_json::json;
use tokio::{sync::Mutex, time::Instant};

use super::{
    output::{self, Answer},
    state::State,
};
use crate::store::{SessionStore, StoreError};

/// The time in which requests share the result of one probe.
const SHARED_FOR: Duration = Duration::from_millis(20);

/// The last probe of the store. `/readyz` needs no credentials, so its requests must not load the store: there is one probe at a time,
/// and at most one each 20 ms.
#[derive(Debug, Default)]
pub(crate) struct Readiness(Mutex<Option<(Instant, Result<(), StoreError>)>>);

impl Readiness {
    async fn probe<S: SessionStore>(&self, store: &S) -> Result<(), StoreError> {
        let mut last = self.0.lock().await;
        if let Some((ended, result)) = &*last
            && ended.elapsed() < SHARED_FOR
        {
            return result.clone();
        }
        let result = store.ping().await;
        *last = Some((Instant::now(), result.clone()));
        result
    }
}

/// The process runs.
pub(super) fn health() -> Answer {
    output::json(StatusCode::OK, &json!({ "status": "ok" }))
}

/// The store answers. A warning does not change the status.
pub(super) async fn ready<S: SessionStore>(state: &State<S>) -> Answer {
    state.readiness.probe(&state.store).await?;
    let skew = state.store.clock_skew().filter(|skew| !skew.is_tolerated());
    let body = match skew {
        None => json!({ "status": "ready" }),
        // Requests are served, and expiry is decided by a wrong clock.
        Some(skew) => json!({
            "status": "ready",
            "warnings": ["clock_skew"],
            "clockSkewMs": skew.millis(),
        }),
    };
    output::json(StatusCode::OK, &body)
}
