use std::sync::{Arc, atomic::AtomicBool};

use super::health::Readiness;
use crate::{
    clock::Clock,
    manager::SessionManager,
    master_auth::MasterAuthLayer,
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
    pub(crate) realm: String,
    pub(crate) rejections: RejectionMetrics,
}
