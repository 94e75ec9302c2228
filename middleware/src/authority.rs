//! [`SessionAuthority`]: one configuration for all parts that must have the same.

mod builder;
mod error;
#[cfg(test)]
mod tests;

pub use builder::SessionAuthorityBuilder;
pub use error::InvalidAuthority;

use crate::{
    manager::SessionManager,
    security::SecurityEvents,
    session_auth::{RenewalLayer, SessionAuthLayer},
    store::{RegisteredAgents, SessionStore},
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
/// A service that only verifies needs no authority: it makes a [`SessionAuthLayer`] from public keys.
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
#[derive(Debug, Clone)]
pub struct SessionAuthority<S: SessionStore, D = RegisteredAgents<S>> {
    manager: SessionManager<S, D>,
    layer: SessionAuthLayer<S>,
    renewal_layer: RenewalLayer<S>,
    verifier: TokenVerifier,
    events: SecurityEvents,
    #[cfg(feature = "endpoints")]
    mount: Mount<S>,
}

/// The settings for the endpoints only.
#[cfg(feature = "endpoints")]
#[derive(Clone)]
struct Mount<S> {
    store: S,
    clock: std::sync::Arc<dyn crate::clock::Clock>,
    realm: String,
}

#[cfg(feature = "endpoints")]
impl<S> std::fmt::Debug for Mount<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mount")
            .field("realm", &self.realm)
            .finish_non_exhaustive()
    }
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

impl<S: SessionStore, D: Clone> SessionAuthority<S, D> {
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

    /// The counts of security events of all parts.
    #[must_use]
    pub fn events(&self) -> SecurityEvents {
        self.events.clone()
    }
}

#[cfg(feature = "endpoints")]
impl<S: SessionStore + crate::store::AgentStore> SessionAuthority<S> {
    /// The HTTP API as a tower service. The administrator's endpoints are behind `admin`, which gets the clock and the realm of
    /// this authority.
    #[must_use]
    pub fn endpoints(&self, admin: crate::master_auth::MasterAuthLayer) -> crate::endpoints::Endpoints<S> {
        let Mount { store, clock, realm } = self.mount.clone();
        crate::endpoints::Endpoints::new(crate::endpoints::State {
            admin: admin.clock(clock.clone()).realm(&realm),
            session: self.layer(),
            renewal: self.renewal_layer(),
            sessions: self.manager(),
            store,
            clock,
            realm,
        })
    }
}
