use std::sync::Arc;

use http::Request;
use serde::{Deserialize, Serialize};

use crate::{
    error::AuthError,
    id::SessionId,
    layer_settings::LayerSettings,
    security::SecurityEvents,
    session::SessionRecord,
    store::{CachedStore, SessionStore},
    telemetry::ProtectedBy,
    token::{TokenVerifier, VerifiedToken},
};

/// The configuration that all services of a layer share.
#[derive(Clone)]
pub(super) struct SessionAuthConfig<St: SessionStore> {
    pub(super) verifier: TokenVerifier,
    pub(super) store: St,
    /// The near cache of a bounded layer. A strict layer has none.
    pub(super) cache: Option<Cache<St>>,
    pub(super) optional: bool,
    pub(super) events: SecurityEvents,
    pub(super) settings: LayerSettings,
}

/// An alias, since `derive(Clone)` would require `St::Read: Clone` for the type itself.
type Cache<St> = Arc<dyn RecordCache<<St as SessionStore>::Read>>;

/// The near cache of a store, without the store's type.
pub(super) trait RecordCache<R>: Send + Sync {
    /// See [`CachedStore::cached`].
    fn cached(&self, id: SessionId) -> Option<Arc<SessionRecord>>;

    /// See [`CachedStore::read_through`].
    fn read_through(&self, id: SessionId) -> R;
}

impl<St: CachedStore> RecordCache<St::Read> for St {
    fn cached(&self, id: SessionId) -> Option<Arc<SessionRecord>> {
        CachedStore::cached(self, id)
    }

    fn read_through(&self, id: SessionId) -> St::Read {
        CachedStore::read_through(self, id)
    }
}

/// How fresh the session record behind a decision must be.
///
/// [`SessionAuthLayer::new`](super::SessionAuthLayer::new) makes a strict layer,
/// [`SessionAuthLayer::bounded`](super::SessionAuthLayer::bounded) a bounded one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Freshness {
    /// Every request reads the store. A revocation applies from the next request on.
    #[default]
    Strict,
    /// A cached record can admit a request without I/O. Every rejection is confirmed by a read.
    ///
    /// The store pushes invalidations. If it cannot, a revoked or replaced token may be admitted until the store's bound has
    /// passed. After that, every request reads the store. A change through the same store, or a clone of it, applies at once.
    Bounded,
}

impl<St: SessionStore> SessionAuthConfig<St> {
    pub(super) fn new(verifier: TokenVerifier, store: St) -> Self {
        Self {
            verifier,
            store,
            cache: None,
            optional: false,
            events: SecurityEvents::default(),
            settings: LayerSettings::of(ProtectedBy::Session),
        }
    }

    /// Verifies the token of a request, rules 1 and 2, and redacts it.
    pub(super) fn verify<B>(&self, request: &mut Request<B>) -> Result<VerifiedToken, AuthError> {
        let checked = self.verifier.check_request(request.uri(), request.headers());
        self.verifier.redact(request.headers_mut());
        checked.map_err(|rejected| rejected.error)
    }
}
