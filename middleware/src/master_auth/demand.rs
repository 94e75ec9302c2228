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
    let decoded = percent_decoded(path);
    ["v4.public.", "k4.secret.", ADMIN_KEY_PREFIX]
        .iter()
        .any(|secret| decoded.contains(secret))
}

/// Decodes `%2e` and the like (RFC 3986, section 2.1). Bytes outside ASCII are left out.
fn percent_decoded(path: &str) -> String {
    let mut decoded = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('%') {
        decoded.push_str(before);
        let byte = after
            .get(..2)
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte {
            Some(byte) => {
                decoded.extend(byte.is_ascii().then_some(char::from(byte)));
                rest = &after[2..];
            }
            None => {
                decoded.push('%');
                rest = after;
            }
        }
    }
    decoded.push_str(rest);
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_with_a_token_or_a_key_has_a_secret_in_any_encoding() {
        for path in [
            "/v1/wai_admin_x",
            "/v1/wai_sess_v4.public.x",
            "/v1/v4%2Epublic%2ex",
            "/%77ai%5fadmin_x",
            "/k4.secret.x",
        ] {
            assert!(has_secret(path), "{path}");
        }
        for path in ["/v1/sessions", "/%", "/%zz", "/v4.publi", "/%e9%"] {
            assert!(!has_secret(path), "{path}");
        }
    }
}
