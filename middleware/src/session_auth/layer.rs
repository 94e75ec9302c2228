use std::sync::Arc;

use http::HeaderName;
use tower::Layer;

use super::{SessionAuth, config::SessionAuthConfig};
#[cfg(feature = "endpoints")]
use crate::telemetry::RejectionMetrics;
use crate::{
    clock::Clock,
    layer_settings::rejection_methods,
    security::SecurityEvents,
    store::{CachedStore, SessionStore, StoreError},
    token::TokenVerifier,
};

/// Admits requests that carry the current token of an active session. See [`session_auth`](crate::session_auth) for the rules.
///
/// [`SessionAuthority`](crate::SessionAuthority) makes a layer with the configuration of its manager. A service that only
/// verifies makes its own layer, from public keys:
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
///         assert!(session.is_some(), "only authenticated requests get here");
///         Ok::<_, std::convert::Infallible>(Response::new(String::from("hello")))
///     }));
/// # let _ = service;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SessionAuthLayer<St: SessionStore> {
    config: Arc<SessionAuthConfig<St>>,
}

impl<St: SessionStore> SessionAuthLayer<St> {
    /// A strict layer: every request reads the store.
    #[must_use]
    pub fn new(verifier: TokenVerifier, store: St) -> Self {
        Self {
            config: Arc::new(SessionAuthConfig::new(verifier, store)),
        }
    }

    /// Returns a strict copy of the layer: every request reads the store.
    #[must_use]
    pub fn strict(&self) -> Self {
        let mut config = (*self.config).clone();
        config.cache = None;
        Self {
            config: Arc::new(config),
        }
    }

    /// Also admits requests without a token. They reach the inner service without an
    /// [`AuthenticatedSession`](super::AuthenticatedSession). A request with an invalid token is still rejected.
    #[must_use]
    pub fn optional(mut self) -> Self {
        Arc::make_mut(&mut self.config).optional = true;
        self
    }

    /// Sets the request header that carries the token: see [`TokenVerifier::header`].
    #[must_use]
    pub fn header(mut self, header: HeaderName) -> Self {
        let config = Arc::make_mut(&mut self.config);
        config.verifier = config.verifier.clone().header(header);
        self
    }

    /// Sets the clock: the system's by default.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        Arc::make_mut(&mut self.config).settings.set_clock(clock);
        self
    }

    /// Counts security events together with the layers and managers that share `events`.
    #[must_use]
    pub fn events(mut self, events: SecurityEvents) -> Self {
        Arc::make_mut(&mut self.config).events = events;
        self
    }

    rejection_methods!(session, layer => Arc::make_mut(&mut layer.config).settings);
}

#[cfg(feature = "endpoints")]
impl<St: SessionStore> SessionAuthLayer<St> {
    /// The counters of rejections, for endpoints behind the layer.
    pub(crate) fn rejection_metrics(&self) -> RejectionMetrics {
        self.config.settings.rejections.requests().rejections().clone()
    }
}

impl<St: CachedStore> SessionAuthLayer<St> {
    /// A bounded layer: a cached record can admit a request without I/O. See [`Freshness::Bounded`](super::Freshness::Bounded).
    ///
    /// This enables the near cache of the store. A store without one has no bounded layer:
    ///
    /// ```compile_fail
    /// # use tower_session_auth::{MemoryStore, SessionAuthLayer, TokenVerifier};
    /// # let verifier = TokenVerifier::new([]);
    /// let layer = SessionAuthLayer::bounded(verifier, MemoryStore::new());
    /// ```
    ///
    /// # Errors
    /// If the near cache cannot start.
    pub fn bounded(verifier: TokenVerifier, store: St) -> Result<Self, StoreError> {
        store.enable_cache()?;
        let mut config = SessionAuthConfig::new(verifier, store);
        config.cache = Some(Arc::new(config.store.clone()));
        Ok(Self {
            config: Arc::new(config),
        })
    }
}

impl<St: SessionStore, S> Layer<S> for SessionAuthLayer<St> {
    type Service = SessionAuth<St, S>;

    fn layer(&self, inner: S) -> Self::Service {
        SessionAuth::new(self.config.clone(), inner)
    }
}

impl<St: SessionStore> std::fmt::Debug for SessionAuthLayer<St> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionAuthLayer")
            .field("bounded", &self.config.cache.is_some())
            .field("optional", &self.config.optional)
            .finish_non_exhaustive()
    }
}
