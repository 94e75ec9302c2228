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

/// The store answers.
pub(super) async fn ready<S: SessionStore>(state: &State<S>) -> Answer {
    state.store.ping().await?;
    output::json(StatusCode::OK, &json!({ "status": "ready" }))
}
