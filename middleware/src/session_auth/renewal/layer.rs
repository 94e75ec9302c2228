use std::sync::Arc;

use http::{HeaderName, request::Parts};
use tower::Layer;

use super::RenewalAuth;
use crate::{
    clock::Clock,
    id::SessionId,
    layer_settings::{LayerSettings, rejection_methods},
    store::SessionStore,
    telemetry::ProtectedBy,
    token::TokenVerifier,
};

/// Admits a renewal if its token belongs to a session that is not revoked, and puts a
/// [`PresentedSession`](crate::session_auth::PresentedSession) into the request's extensions.
///
/// It does not check the limits, or that the token is the current one: [`SessionManager::renew`](crate::SessionManager::renew)
/// does. A replaced token is therefore rejected with `SESSION_RENEWAL_MISMATCH`. The layer always reads the store.
///
/// If the path ends with `/sessions/{id}/renew`, or with a UUID before `/renew`, the id must be that of the token's session:
/// else `VALIDATION_FAILED`, or 404 `SESSION_NOT_FOUND`. Any other path has no session id. Set [`session_id`](Self::session_id)
/// to find the id in such paths.
#[derive(Clone)]
pub struct RenewalLayer<St> {
    pub(super) config: Arc<RenewalConfig<St>>,
}

#[derive(Clone)]
pub(super) struct RenewalConfig<St> {
    pub(super) verifier: TokenVerifier,
    pub(super) store: St,
    pub(super) session_id: Arc<FindId>,
    pub(super) settings: LayerSettings,
}

type FindId = dyn Fn(&Parts) -> Option<String> + Send + Sync;

impl<St: SessionStore> RenewalLayer<St> {
    /// A layer for the renewal endpoint.
    #[must_use]
    pub fn new(verifier: TokenVerifier, store: St) -> Self {
        Self {
            config: Arc::new(RenewalConfig {
                verifier,
                store,
                session_id: Arc::new(|request| id_before_renew(request.uri.path()).map(str::to_owned)),
                settings: LayerSettings::of(ProtectedBy::Renewal),
            }),
        }
    }

    /// Sets the function that finds the id of the session in a request. `None` means that the request has no session id.
    #[must_use]
    pub fn session_id(mut self, find: impl Fn(&Parts) -> Option<String> + Send + Sync + 'static) -> Self {
        Arc::make_mut(&mut self.config).session_id = Arc::new(find);
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

    rejection_methods!(session, layer => Arc::make_mut(&mut layer.config).settings);
}

impl<St: SessionStore, S> Layer<S> for RenewalLayer<St> {
    type Service = RenewalAuth<St, S>;

    fn layer(&self, inner: S) -> Self::Service {
        RenewalAuth::new(self.config.clone(), inner)
    }
}

impl<St> std::fmt::Debug for RenewalLayer<St> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RenewalLayer").finish_non_exhaustive()
    }
}

/// The id in a path that ends with `/sessions/{id}/renew`, or with a UUID before `/renew`: a nested router removes the prefix.
fn id_before_renew(path: &str) -> Option<&str> {
    let (before, id) = path.strip_suffix("/renew")?.rsplit_once('/')?;
    (before.ends_with("/sessions") || id.parse::<SessionId>().is_ok()).then_some(id)
}
