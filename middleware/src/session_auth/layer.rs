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
    response::Rejections,
    security::SecurityEvents,
    session::ReplacedTokenPolicy,
    store::SessionStore,
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
pub struct SessionAuthLayer<St> {
    pub(super) gate: Arc<Gate<St>>,
}

/// What all services of a layer share.
#[derive(Clone)]
pub(super) struct Gate<St> {
    pub(super) verifier: TokenVerifier,
    pub(super) store: St,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) mode: Mode,
    pub(super) freshness: Freshness,
    pub(super) rotation: ReplacedTokenPolicy,
    pub(super) events: SecurityEvents,
    pub(super) rejections: Rejections,
}

/// How a layer asks about a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Freshness {
    /// The store is read for every request: a revocation holds from the next request on.
    #[default]
    Strict,
    /// A record in this process's memory lets a request pass, if the store keeps one: no I/O. The store pushes what changes; when it
    /// cannot, a revoked or replaced token may pass until the store's bound is over, and then every request reads again. What
    /// is changed through this store or a clone of it holds at once. No request is refused without a read.
    ///
    /// See [`NearCacheConfig`](crate::store::NearCacheConfig) of [`RedisStore`](crate::RedisStore); other stores may be strict all the same.
    Bounded,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Access,
    Renewal,
}

impl<St: SessionStore> SessionAuthLayer<St> {
    /// A layer for the API.
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
                freshness: Freshness::default(),
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

    /// How the store is asked: [`Freshness::Strict`] by default. A layer for renewal is always strict.
    ///
    /// With [`Freshness::Bounded`] the store begins to keep copies: see [`SessionStore::start_near`].
    #[must_use]
    pub fn freshness(mut self, freshness: Freshness) -> Self {
        if freshness == Freshness::Bounded && self.gate.mode == Mode::Access {
            self.gate.store.start_near();
        }
        Arc::make_mut(&mut self.gate).freshness = freshness;
        self
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

impl<St: SessionStore, S> Layer<S> for SessionAuthLayer<St> {
    type Service = SessionAuth<St, S>;

    fn layer(&self, inner: S) -> Self::Service {
        SessionAuth::new(self.gate.clone(), inner)
    }
}

impl<St> std::fmt::Debug for SessionAuthLayer<St> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionAuthLayer")
            .field("mode", &self.gate.mode)
            .finish_non_exhaustive()
    }
}
