use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body_util::Full;
use tower::Layer;

use super::{MasterAuth, password::MasterPassword};
use crate::{clock::Clock, error::AuthError, response::Rejections};

/// A text that is not a complete Argon2id PHC string. It is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an Argon2id PHC string ($argon2id$v=19$…)")]
pub struct InvalidPasswordHash;

/// Lets requests pass that carry the master password. See [`master_auth`](crate::master_auth) for the rules.
///
/// ```
/// use tower_session_auth::MasterAuthLayer;
///
/// // As `session-auth-server hash-password` prints it.
/// let phc = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$\
///            WFXMnDdAUAWzKxjo4CUJEHe8hdlxZHJGIjAqAQFSRrE";
/// let layer = MasterAuthLayer::new(phc)?;
/// # let _ = layer;
/// # Ok::<(), tower_session_auth::master_auth::InvalidPasswordHash>(())
/// ```
#[derive(Clone)]
pub struct MasterAuthLayer {
    pub(super) password: MasterPassword,
    pub(super) rejections: Arc<Rejections>,
}

impl MasterAuthLayer {
    /// A layer that verifies against an Argon2id PHC string. Clones, and the services made by them, count failures together.
    ///
    /// # Errors
    /// When it is no complete Argon2id PHC string.
    pub fn new(phc: &str) -> Result<Self, InvalidPasswordHash> {
        Ok(Self {
            password: MasterPassword::new(phc)?,
            rejections: Arc::default(),
        })
    }

    /// Another clock than the system's.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.password.clock = Arc::new(clock);
        self
    }

    /// The realm of the `WWW-Authenticate` challenge: `session` by default. Quotes, backslashes and what is not visible ASCII are left out.
    #[must_use]
    pub fn realm(mut self, realm: &str) -> Self {
        Arc::make_mut(&mut self.rejections).set_realm(realm);
        self
    }

    /// Answers refusals in another shape than problem documents. The error goes into the response's extensions all the same.
    #[must_use]
    pub fn on_rejection(
        mut self,
        respond: impl Fn(&AuthError, &HeaderMap) -> Response<Full<Bytes>> + Send + Sync + 'static,
    ) -> Self {
        Arc::make_mut(&mut self.rejections).replace(respond);
        self
    }
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
