use std::sync::Arc;

use tower::Layer;

use super::{
    CredentialChange, Credentials, MasterAuth, Right, demand::Demand, password::InvalidPasswordHash,
    state::Shared,
};
use crate::{
    clock::Clock,
    layer_settings::{LayerSettings, rejection_methods},
    telemetry::ProtectedBy,
};

/// Admits requests that carry the credential of an administrator: the master password or an admin key. See
/// [`master_auth`](crate::master_auth) for the rules.
///
/// It adds an [`Administrator`](super::Administrator) to the extensions of the request. Without [`right`](Self::right), it admits only
/// administrators with every right for all agents.
///
/// It locks addresses only for requests with a [`ClientAddr`](super::ClientAddr) extension: add a
/// [`ClientAddrLayer`](super::ClientAddrLayer) outside of this layer.
///
/// ```
/// use tower_session_auth::{MasterAuthLayer, master_auth::Right};
///
/// // The output of `session-auth-server hash-password`.
/// let phc = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$\
///            WFXMnDdAUAWzKxjo4CUJEHe8hdlxZHJGIjAqAQFSRrE";
/// let layer = MasterAuthLayer::new(phc)?;
/// // For routes of your own that only read. It shares credentials and failures with `layer`.
/// let reads = layer.clone().right(Right::List);
/// # let _ = reads;
/// # Ok::<(), tower_session_auth::master_auth::InvalidPasswordHash>(())
/// ```
#[derive(Clone)]
pub struct MasterAuthLayer {
    pub(super) shared: Arc<Shared>,
    pub(super) demand: Demand,
    pub(super) basic: bool,
    pub(super) settings: Arc<LayerSettings>,
}

impl MasterAuthLayer {
    /// Creates a layer that verifies passwords against an Argon2id PHC string, without admin keys.
    ///
    /// ASCII whitespace around the string and a UTF-8 byte order mark at the start are ignored, so the content of a file can be
    /// passed as it is. All clones of the layer and all of their services share their credentials and one count of failures.
    ///
    /// # Errors
    /// When the text is not a complete Argon2id PHC string.
    pub fn new(phc: &str) -> Result<Self, InvalidPasswordHash> {
        Credentials::master_password(phc).map(Self::from_credentials)
    }

    /// Creates a layer that accepts these credentials.
    #[must_use]
    pub fn from_credentials(credentials: Credentials) -> Self {
        Self {
            shared: Arc::new(Shared::new(credentials)),
            demand: Demand::Everything,
            basic: false,
            settings: Arc::new(LayerSettings::of(ProtectedBy::Admin)),
        }
    }

    /// Replaces the credentials of this layer, of its clones and of all of their services. The next request is checked against the new
    /// ones. The counts of failures stay. Returns what has changed, for a log.
    pub fn replace_credentials(&self, credentials: Credentials) -> CredentialChange {
        self.shared.replace_credentials(credentials)
    }

    /// Demands this right. Other administrators are rejected with `Forbidden`.
    ///
    /// A key that is restricted to agents is admitted too: check the agent with
    /// [`Administrator::require_agent`](super::Administrator::require_agent).
    #[must_use]
    pub const fn right(mut self, right: Right) -> Self {
        self.demand = Demand::One(right);
        self
    }

    /// Admits every administrator. The inner service must check the rights of the [`Administrator`](super::Administrator).
    #[must_use]
    pub const fn any_right(mut self) -> Self {
        self.demand = Demand::Nothing;
        self
    }

    /// Also accepts an admin key as HTTP Basic (RFC 7617), with the name of the key as the user and its secret as the password: for
    /// clients that cannot send a bearer token.
    #[must_use]
    pub const fn basic_auth(mut self) -> Self {
        self.basic = true;
        self
    }

    /// Sets the clock. Default: the system's clock.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        Arc::make_mut(&mut self.settings).set_clock(clock);
        self
    }

    rejection_methods!(layer => Arc::make_mut(&mut layer.settings));
}

impl<S> Layer<S> for MasterAuthLayer {
    type Service = MasterAuth<S>;

    fn layer(&self, inner: S) -> Self::Service {
        MasterAuth::new(self.clone(), inner)
    }
}

impl std::fmt::Debug for MasterAuthLayer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MasterAuthLayer").finish_non_exhaustive()
    }
}
