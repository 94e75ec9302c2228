//! `/v1/keys`: the public keys, for services that verify.

use http::{HeaderValue, StatusCode, header};

use super::{
    output::{self, Answer},
    state::State,
};
use crate::{
    store::{AgentStore, SessionStore},
    token::{PUBLISHED_KEYS_MAX_AGE, PublishedKeys},
};

/// The keys as they are now. Caches may keep them for [`PUBLISHED_KEYS_MAX_AGE`].
pub(super) fn list<S: SessionStore + AgentStore>(state: &State<S>) -> Answer {
    let published = PublishedKeys::new(&state.verifier, &state.sessions.signing_key_id());
    let mut response = output::json(StatusCode::OK, &published)?;
    let lifetime = format!("max-age={}", PUBLISHED_KEYS_MAX_AGE.as_secs());
    if let Ok(lifetime) = HeaderValue::try_from(lifetime) {
        response.headers_mut().insert(header::CACHE_CONTROL, lifetime);
    }
    Ok(response)
}
