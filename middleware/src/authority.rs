//! [`SessionAuthority`]: one configuration, shared by all parts that must agree.

mod builder;
mod error;
mod key_change;
#[cfg(test)]
mod tests;

pub use builder::SessionAuthorityBuilder;
pub use error::InvalidAuthority;
pub use key_change::KeyChange;

use std::sync::{Arc, Mutex};

use crate::{
    clock::Clock,
    manager::SessionManager,
    protected_resource::ProtectedResource,
    require_scope::RequireScopeLayer,
    security::SecurityEvents,
    session_auth::{RenewalLayer, SessionAuthLayer},
    store::{AgentDirectory, RegisteredAgents, SessionStore},
    sync::lock,
    token::{KeySet, TokenVerifier},
};

/// Builds layers, a manager and endpoints from one configuration: keys, token settings, store, policy, clock and realm.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use tower_session_auth::{KeySet, MemoryStore, SessionAuthority, SigningKey};
///
/// let keys = KeySet::single(SigningKey::generate()?);
/// let authority = SessionAuthority::builder(keys, MemoryStore::new())
///     .audience("https://api.example")
///     .build()?;
///
/// let layer = authority.layer(); // around the routes of the API
/// let sessions = authority.manager(); // creates and revokes sessions
/// # let _ = (layer, sessions);
/// # Ok(())
/// # }
/// ```
///
/// A service that only verifies needs no authority: it makes a [`SessionAuthLayer`] from public keys and the store.
///
/// Invalid combinations do not compile. A store without a near cache cannot be bounded:
///
/// ```compile_fail
/// # use tower_session_auth::{KeySet, MemoryStore, SessionAuthority, SigningKey};
/// # let keys = KeySet::single(SigningKey::generate().unwrap());
/// let authority = SessionAuthority::builder(keys, MemoryStore::new()).bounded().build();
/// ```
///
/// Invalid settings are rejected by [`build`](SessionAuthorityBuilder::build):
///
/// ```
/// # use tower_session_auth::{KeySet, MemoryStore, SessionAuthority, SigningKey};
/// # let keys = KeySet::single(SigningKey::generate().unwrap());
/// let error = SessionAuthority::builder(keys, MemoryStore::new()).issuer("").build().unwrap_err();
/// assert_eq!(error.to_string(), "issuer: must have 1 to 255 bytes and no control characters");
/// ```
#[derive(Clone)]
pub struct SessionAuthority<S: SessionStore, D = RegisteredAgents<S>> {
    manager: SessionManager<S, D>,
    layer: SessionAuthLayer<S>,
    renewal_layer: RenewalLayer<S>,
    verifier: TokenVerifier,
    events: SecurityEvents,
    /// Held while the keys are replaced, so that two changes do not mix.
    key_change: Arc<Mutex<()>>,
    #[cfg_attr(
        not(feature = "endpoints"),
        expect(dead_code, reason = "read by the endpoints")
    )]
    store: S,
    #[cfg_attr(
        not(feature = "master-auth"),
        expect(dead_code, reason = "read by the administrators' layer")
    )]
    clock: Arc<dyn Clock>,
    realm: String,
    resource: Option<ProtectedResource>,
}

impl<S: SessionStore + crate::store::AgentStore> SessionAuthority<S> {
    /// An authority for the agents that are registered in the store.
    ///
    /// The first key signs tokens. All keys of the set are accepted.
    pub fn builder(keys: KeySet, store: S) -> SessionAuthorityBuilder<S, RegisteredAgents<S>> {
        let agents = RegisteredAgents(store.clone());
        SessionAuthorityBuilder::new(keys, store, agents)
    }
}

impl<S: SessionStore, D: AgentDirectory + Clone> SessionAuthority<S, D> {
    /// An authority for the agents of a directory of the application. It has no endpoints, since those manage registered agents.
    pub fn with_directory(keys: KeySet, store: S, directory: D) -> SessionAuthorityBuilder<S, D> {
        SessionAuthorityBuilder::new(keys, store, directory)
    }

    /// The layer for the API: strict, or bounded if the builder set that.
    #[must_use]
    pub fn layer(&self) -> SessionAuthLayer<S> {
        self.layer.clone()
    }

    /// The layer for the renewal endpoint.
    #[must_use]
    pub fn renewal_layer(&self) -> RenewalLayer<S> {
        self.renewal_layer.clone()
    }

    /// The manager of the sessions.
    #[must_use]
    pub fn manager(&self) -> SessionManager<S, D> {
        self.manager.clone()
    }

    /// The verifier of the tokens. It shares its signature cache with the layers.
    #[must_use]
    pub fn verifier(&self) -> TokenVerifier {
        self.verifier.clone()
    }

    /// Replaces the keys of all parts, also of those that were handed out. All parts accept the new keys before any part signs with
    /// one. `GET /v1/keys` publishes them at once.
    ///
    /// It applies any set of keys, because a stolen key must be replaced at once. [`KeyChange::keeps_all_requests`] is false if the
    /// change rejects valid tokens. A step of a rotation, as `session-auth-server keys rotate` makes it, rejects none.
    ///
    /// ```
    /// use tower_session_auth::{KeySet, MemoryStore, SessionAuthority, SigningKey};
    ///
    /// let (old, new) = (SigningKey::generate()?, SigningKey::generate()?);
    /// let authority = SessionAuthority::builder(KeySet::single(old.clone()), MemoryStore::new()).build()?;
    /// // The new key is published first. It signs after all services have it.
    /// let change = authority.set_keys(&KeySet::single(old.clone()).with_previous(new.clone()));
    /// assert!(change.keeps_all_requests());
    /// let change = authority.set_keys(&KeySet::single(new).with_previous(old));
    /// assert!(change.keeps_all_requests());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_keys(&self, keys: &KeySet) -> KeyChange {
        let _changing = lock(&self.key_change);
        let before = self.verifier.verifying_keys();
        self.verifier.set_keys(keys.verifying_keys().iter().cloned());
        let signing_before = self.manager.set_keys(keys);
        KeyChange::new(&signing_before, &before, keys)
    }

    /// The counts of security events of all parts.
    #[must_use]
    pub fn events(&self) -> SecurityEvents {
        self.events.clone()
    }
}

impl<S: SessionStore, D> SessionAuthority<S, D> {
    /// A layer for scopes, with the realm of this authority and the metadata of its resource.
    #[must_use]
    pub fn scope_layer(&self, layer: RequireScopeLayer) -> RequireScopeLayer {
        let layer = layer.realm(&self.realm);
        match &self.resource {
            Some(resource) => layer.resource_metadata(&resource.metadata_url()),
            None => layer,
        }
    }

    /// The protection space of the endpoints.
    #[cfg(feature = "endpoints")]
    fn protection_space(&self) -> crate::response::ProtectionSpace {
        let space = crate::response::ProtectionSpace::new(&self.realm);
        match &self.resource {
            Some(resource) => space.resource_metadata(&resource.metadata_url()),
            None => space,
        }
    }
}

#[cfg(feature = "master-auth")]
impl<S: SessionStore, D> SessionAuthority<S, D> {
    /// The layer for administrators, with the clock and the realm of this authority. Clones of it count failures together.
    #[must_use]
    pub fn admin_layer(
        &self,
        layer: crate::master_auth::MasterAuthLayer,
    ) -> crate::master_auth::MasterAuthLayer {
        layer.clock(self.clock.clone()).realm(&self.realm)
    }
}

#[cfg(feature = "endpoints")]
impl<S: SessionStore + crate::store::AgentStore> SessionAuthority<S> {
    /// The HTTP API as a tower service. The endpoints for administrators are behind `admin`, which gets the clock and the realm of
    /// this authority. For routes of your own behind the same layer, see [`admin_layer`](Self::admin_layer).
    #[must_use]
    pub fn endpoints(&self, admin: crate::master_auth::MasterAuthLayer) -> crate::endpoints::Endpoints<S> {
        crate::endpoints::Endpoints::new(crate::endpoints::State {
            // The endpoints are not gRPC services, and a proxy may rely on their HTTP status.
            admin: self.admin_layer(admin).only_problem_documents(),
            session: self.layer().only_problem_documents(),
            strict_session: self.layer().strict().only_problem_documents(),
            renewal: self.renewal_layer().only_problem_documents(),
            verifier: self.verifier(),
            sessions: self.manager(),
            store: self.store.clone(),
            clock: self.clock.clone(),
            readiness: crate::endpoints::Readiness::default(),
            unready_without_writes: std::sync::atomic::AtomicBool::default(),
            space: self.protection_space(),
            resource: self.resource.clone(),
            openapi: std::sync::OnceLock::new(),
            // Those of the layer, since this method may be called outside the scope of the recorder.
            rejections: self.layer.rejection_metrics(),
        })
    }
}

impl<S: SessionStore, D> std::fmt::Debug for SessionAuthority<S, D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionAuthority")
            .field("realm", &self.realm)
            .finish_non_exhaustive()
    }
}
