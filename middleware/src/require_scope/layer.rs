use std::sync::Arc;

use tower::Layer;

use super::{RequireScope, ScopeRequirement};
use crate::{
    layer_settings::{LayerSettings, rejection_methods},
    session::InvalidScopes,
    telemetry::ProtectedBy,
};

/// Admits a request only if its session has the required scopes. See [`require_scope`](crate::require_scope) for the rules.
///
/// Put it inside of a [`SessionAuthLayer`](crate::SessionAuthLayer):
///
/// ```
/// use axum::{Router, routing::get};
/// use tower::ServiceBuilder;
/// use tower_session_auth::{KeySet, MemoryStore, SessionAuthority, SigningKey, require_scope::RequireScopeLayer};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let authority = SessionAuthority::builder(KeySet::single(SigningKey::generate()?), MemoryStore::new()).build()?;
/// let reports: Router = Router::new().route("/reports", get(async || "the reports")).route_layer(
///     ServiceBuilder::new()
///         .layer(authority.layer())
///         .layer(authority.scope_layer(RequireScopeLayer::all("reports:read")?)),
/// );
/// # let _ = reports;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RequireScopeLayer {
    config: Arc<RequireScopeConfig>,
}

/// The configuration that all services of a layer share.
#[derive(Clone)]
pub(super) struct RequireScopeConfig {
    pub(super) requirement: ScopeRequirement,
    pub(super) settings: LayerSettings,
}

impl RequireScopeLayer {
    /// Requires all of these scopes. A space separates two scopes.
    ///
    /// # Errors
    /// If the text is not a list of scopes, or names none.
    pub fn all(scopes: &str) -> Result<Self, InvalidScopes> {
        ScopeRequirement::all(scopes).map(Self::new)
    }

    /// Requires one of these scopes. A space separates two scopes.
    ///
    /// # Errors
    /// If the text is not a list of scopes, or names none.
    pub fn any(scopes: &str) -> Result<Self, InvalidScopes> {
        ScopeRequirement::any(scopes).map(Self::new)
    }

    fn new(requirement: ScopeRequirement) -> Self {
        Self {
            config: Arc::new(RequireScopeConfig {
                requirement,
                settings: LayerSettings::of(ProtectedBy::Scope),
            }),
        }
    }

    rejection_methods!(session, layer => Arc::make_mut(&mut layer.config).settings);
}

impl<S> Layer<S> for RequireScopeLayer {
    type Service = RequireScope<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RequireScope::new(self.config.clone(), inner)
    }
}

impl std::fmt::Debug for RequireScopeLayer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RequireScopeLayer")
            .field("requirement", &self.config.requirement)
            .finish_non_exhaustive()
    }
}
