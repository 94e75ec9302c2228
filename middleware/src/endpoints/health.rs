//! `/healthz` and `/readyz`.

use http::StatusCode;
use serde_json::json;

use super::{
    output::{self, Answer},
    state::State,
};
use crate::store::SessionStore;

/// The process runs.
pub(super) fn health() -> Answer {
    output::json(StatusCode::OK, &json!({ "status": "ok" }))
}

/// The store answers. A warning does not change the status.
pub(super) async fn ready<S: SessionStore>(state: &State<S>) -> Answer {
    state.store.ping().await?;
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
