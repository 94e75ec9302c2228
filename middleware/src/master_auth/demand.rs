//! The rights that a layer demands, and the log line of each use of a credential.

use http::Request;

use super::{ADMIN_KEY_PREFIX, Administrator, ClientAddr, Right, state::SECURITY};
use crate::error::AuthError;

/// The rights that a layer demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Demand {
    /// Every right, for all agents.
    Everything,
    One(Right),
    /// None: the inner service checks the rights.
    Nothing,
}

impl Demand {
    fn check(self, administrator: &Administrator) -> Result<(), AuthError> {
        match self {
            Self::Everything => administrator.require_everything(),
            Self::One(right) => administrator.require(right),
            Self::Nothing => Ok(()),
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Everything => "all",
            Self::One(right) => right.as_str(),
            Self::Nothing => "none",
        }
    }

    /// Checks the rights of an authenticated administrator, logs the use of the credential, and adds the administrator to the
    /// request.
    pub(super) fn admit<B>(
        self,
        administrator: &Administrator,
        request: &mut Request<B>,
    ) -> Result<(), AuthError> {
        let outcome = self.check(administrator);
        let path = request.uri().path();
        let client = request.extensions().get::<ClientAddr>();
        tracing::info!(
            target: SECURITY,
            administrator = administrator.name(),
            right = self.as_str(),
            admitted = outcome.is_ok(),
            method = %request.method(),
            path = if has_secret(path) { "(left out)" } else { path },
            client = client.map(|client| tracing::field::display(client.0)),
            "administrator's credential used"
        );
        request.extensions_mut().insert(administrator.clone());
        outcome
    }
}

/// True if a path contains a token or an admin key: a mistake of the client. Such a path must not be logged.
#[must_use]
pub fn has_secret(path: &str) -> bool {
    path.contains("v4.public.") || path.contains(ADMIN_KEY_PREFIX)
}
