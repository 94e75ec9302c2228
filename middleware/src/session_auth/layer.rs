use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body_util::Full;
use serde::{Deserialize, Serialize};
use tower::Layer;

use super::SessionAuth;
use crate::{
    clock::{Clock, SystemClock},
    error::AuthError,
    id::SessionId,
    response::Rejections,
    security::SecurityEvents,
    session::{ReplacedTokenPolicy, SessionRecord},
    store::{CachedStore, SessionStore, StoreError},
    token::TokenVerifier,
};

/// Lets requests pass that carry the current token of a session that stands. See [`session_auth`](crate::session_auth) for the rules.
///
/// ```
/// use http::{Request, Response};
/// use tower::{ServiceBuilder, service_fn};
/// use tower_session_auth::{AuthenticatedSession, MemoryStore, SessionAuthLayer, SigningKey, TokenVerifier};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let key = SigningKey::generate()?;
/// let verifier = TokenVerifier::new([key.verifying_key().clone()]);
/// let service = ServiceBuilder::new()
///     .layer(SessionAuthLayer::new(verifier, MemoryStore::new()))
///     .service(service_fn(async |request: Request<String>| {
///         let session = request.extensions().get::<AuthenticatedSession>();
///         assert!(session.is_some(), "the layer lets nobody else pass");
///         Ok::<_, std::convert::Infallible>(Response::new(String::from("hello")))
///     }));
/// # let _ = service;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SessionAuthLayer<St: SessionStore> {
    pub(super) gate: Arc<Gate<St>>,
}

/// What all services of a layer share.
#[derive(Clone)]
pub(super) struct Gate<St: SessionStore> {
    pub(super) verifier: TokenVerifier,
    pub(super) store: St,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) mode: Mode,
    /// The near cache of a bounded layer. A strict layer has none.
    pub(super) cache: Option<Cache<St>>,
    pub(super) rotation: ReplacedTokenPolicy,
    pub(super) events: SecurityEvents,
    pub(super) rejections: Rejections,
}

/// An alias, because `derive(Clone)` would demand `St::Read: Clone` for the type itself.
type Cache<St> = Arc<dyn RecordCache<<St as SessionStore>::Read>>;

/// The near cache of a store, without the store's type: a layer has one only if it is bounded.
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

/// How fresh the session record behind a decision is: a configuration value.
///
/// [`SessionAuthLayer::new`] makes a strict layer, [`SessionAuthLayer::bounded`] a bounded one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Freshness {
    /// Every request reads the store. A revocation applies from the next request on.
    #[default]
    Strict,
    /// A cached record can admit a request without I/O. Every rejection is confirmed by a read.
    ///
    /// The store pushes invalidations. While it cannot, a revoked or replaced token may be admitted until the store's bound has
    /// passed; then every request reads the store. A change through the same store, or a clone of it, applies at once. See
    /// [`NearCacheConfig`](crate::store::NearCacheConfig) of [`RedisStore`](crate::RedisStore).
    Bounded,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Access,
    Renewal,
}

impl<St: SessionStore> SessionAuthLayer<St> {
    /// A layer for the API. It is strict: every request reads the store.
    #[must_use]
    pub fn new(verifier: TokenVerifier, store: St) -> Self {
        Self::in_mode(verifier, store, Mode::Access)
    }

    /// A layer for the renewal endpoint alone: it leaves "is this the current token" and "is it time" to
    /// [`SessionManager::renew`](crate::SessionManager::renew), so that a stale token is told `SESSION_RENEWAL_MISMATCH`.
    #[must_use]
    pub fn for_renewal(verifier: TokenVerifier, store: St) -> Self {
        Self::in_mode(verifier, store, Mode::Renewal)
    }

    fn in_mode(verifier: TokenVerifier, store: St, mode: Mode) -> Self {
        Self {
            gate: Arc::new(Gate {
                verifier,
                store,
                clock: Arc::new(SystemClock),
                mode,
                cache: None,
                rotation: ReplacedTokenPolicy::default(),
                events: SecurityEvents::default(),
                rejections: Rejections::default(),
            }),
        }
    }

    /// Another clock than the system's.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        Arc::make_mut(&mut self.gate).clock = Arc::new(clock);
        self
    }

    /// Returns a strict copy of the layer: it reads the store for every request.
    #[must_use]
    pub fn strict(&self) -> Self {
        let mut gate = (*self.gate).clone();
        gate.cache = None;
        Self { gate: Arc::new(gate) }
    }

    /// What becomes of replaced tokens, if not the default. The [manager](crate::SessionManager) of these sessions needs the
    /// same: it is in its policy. A layer for renewal leaves these questions to the manager.
    #[must_use]
    pub fn rotation(mut self, rotation: ReplacedTokenPolicy) -> Self {
        Arc::make_mut(&mut self.gate).rotation = rotation;
        self
    }

    /// Counts security events together with others.
    #[must_use]
    pub fn events(mut self, events: SecurityEvents) -> Self {
        Arc::make_mut(&mut self.gate).events = events;
        self
    }

    /// The realm of the `WWW-Authenticate` challenge: `session` by default. Quotes, backslashes and what is not visible ASCII are left out.
    #[must_use]
    pub fn realm(mut self, realm: &str) -> Self {
        Arc::make_mut(&mut self.gate).rejections.set_realm(realm);
        self
    }

    /// Answers refusals in another shape than problem documents. The error goes into the response's extensions all the same.
    ///
    /// [`problem_response`](crate::response::problem_response) makes the default shape, to start from.
    #[must_use]
    pub fn on_rejection(
        mut self,
        respond: impl Fn(&AuthError, &HeaderMap) -> Response<Full<Bytes>> + Send + Sync + 'static,
    ) -> Self {
        Arc::make_mut(&mut self.gate).rejections.replace(respond);
        self
    }
}

impl<St: CachedStore> SessionAuthLayer<St> {
    /// A bounded layer for the API: see [`Freshness::Bounded`]. It enables the store's near cache.
    ///
    /// A store without a near cache cannot have a bounded layer:
    ///
    /// ```compile_fail
    /// # use tower_session_auth::{MemoryStore, SessionAuthLayer, TokenVerifier};
    /// # let verifier = TokenVerifier::new([]);
    /// let layer = SessionAuthLayer::bounded(verifier, MemoryStore::new());
    /// ```
    ///
    /// # Errors
    /// When the near cache cannot start.
    pub fn bounded(verifier: TokenVerifier, store: St) -> Result<Self, StoreError> {
        store.enable_cache()?;
        let cache = Arc::new(store.clone());
        let mut layer = Self::new(verifier, store);
        Arc::make_mut(&mut layer.gate).cache = Some(cache);
        Ok(layer)
    }
}

impl<St: SessionStore, S> Layer<S> for SessionAuthLayer<St> {
    type Service = SessionAuth<St, S>;

    fn layer(&self, inner: S) -> Self::Service {
        SessionAuth::new(self.gate.clone(), inner)
    }
}

impl<St: SessionStore> std::fmt::Debug for SessionAuthLayer<St> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionAuthLayer")
            .field("mode", &self.gate.mode)
            .field("bounded", &self.gate.cache.is_some())
            .finish_non_exhaustive()
    }
}
