use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body_util::Full;
use tower::Layer;

use super::{
    MasterAuth,
    password::{InvalidPasswordHash, MasterPassword},
};
use crate::{clock::Clock, error::AuthError, response::Rejections, telemetry::ProtectedBy};

/// Admits requests that carry the master password. See [`master_auth`](crate::master_auth) for the rules.
///
/// It locks addresses only for requests with a [`ClientAddr`](super::ClientAddr) extension: add a
/// [`ClientAddrLayer`](super::ClientAddrLayer) outside of this layer.
///
/// ```
/// use tower_session_auth::MasterAuthLayer;
///
/// // The output of `session-auth-server hash-password`.
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
    /// Creates a layer that verifies passwords against an Argon2id PHC string.
    ///
    /// ASCII whitespace around the string and a UTF-8 byte order mark at the start are ignored, so the content of a file can be
    /// passed as it is. All clones of the layer and all of their services share one count of failures.
    ///
    /// # Errors
    /// When the text is not a complete Argon2id PHC string.
    pub fn new(phc: &str) -> Result<Self, InvalidPasswordHash> {
        Ok(Self {
            password: MasterPassword::new(phc)?,
            rejections: Arc::new(Rejections::of(ProtectedBy::Admin)),
        })
    }

    /// Sets the clock. Default: the system's clock.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.password.clock = Arc::new(clock);
        self
    }

    /// Sets the realm of the `WWW-Authenticate` challenge. Default: `session`.
    ///
    /// Quotes, backslashes and characters other than visible ASCII are removed.
    #[must_use]
    pub fn realm(mut self, realm: &str) -> Self {
        Arc::make_mut(&mut self.rejections).set_realm(realm);
        self
    }

    /// Answers every rejected request with a problem document, gRPC calls too: for services that judge by the HTTP status, such as an
    /// auth service behind a proxy.
    #[must_use]
    pub fn only_problem_documents(mut self) -> Self {
        Arc::make_mut(&mut self.rejections).set_only_problems();
        self
    }

    /// Sets the function that builds the response of a rejection. Default: a problem document.
    ///
    /// The [`AuthError`] is in the response's extensions in both cases.
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
