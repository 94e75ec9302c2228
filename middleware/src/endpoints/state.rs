use std::sync::{Arc, OnceLock, atomic::AtomicBool};

use http::HeaderMap;

use super::{health::Readiness, oauth};
use crate::{
    clock::Clock,
    error::AuthError,
    manager::SessionManager,
    master_auth::{MasterAuthLayer, Right},
    protected_resource::ProtectedResource,
    response::ProtectionSpace,
    session_auth::{RenewalLayer, SessionAuthLayer},
    store::SessionStore,
    telemetry::RejectionMetrics,
    token::TokenVerifier,
};

/// The state of the endpoints. A [`SessionAuthority`](crate::SessionAuthority) makes it, so that all parts have one
/// configuration.
pub(crate) struct State<S: SessionStore> {
    pub(crate) admin: MasterAuthLayer,
    pub(crate) session: SessionAuthLayer<S>,
    pub(crate) strict_session: SessionAuthLayer<S>,
    pub(crate) renewal: RenewalLayer<S>,
    pub(crate) verifier: TokenVerifier,
    pub(crate) sessions: SessionManager<S>,
    pub(crate) store: S,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) readiness: Readiness,
    /// True if `/readyz` is a 503 while the store refuses writes.
    pub(crate) unready_without_writes: AtomicBool,
    pub(crate) space: ProtectionSpace,
    /// The resource whose metadata is published.
    pub(crate) resource: Option<ProtectedResource>,
    /// The OpenAPI document, built by the first request for it.
    pub(crate) openapi: OnceLock<serde_json::Value>,
    pub(crate) rejections: RejectionMetrics,
}

impl<S: SessionStore> State<S> {
    /// The layer of an endpoint for OAuth clients: an administrator, also by HTTP Basic (RFC 6749, section 2.3.1).
    pub(super) fn oauth_client(&self, right: Right) -> MasterAuthLayer {
        let space = self.space.clone();
        let respond =
            move |error: &AuthError, headers: &HeaderMap| oauth::error_response(error, &space, headers);
        self.admin.clone().right(right).basic_auth().on_rejection(respond)
    }
}
