//! Token introspection (RFC 7662) and token revocation (RFC 7009), for OAuth clients.
//!
//! Requests are forms, and errors have the shape of RFC 6749, section 5.2.

mod error;
mod form;
mod introspect;
mod revoke;

pub(super) use error::error_response;
pub(super) use form::MAX_FORM;
pub(super) use introspect::introspect;
pub(super) use revoke::revoke;

use super::state::State;
use crate::{
    error::{AuthError, ErrorKind},
    store::SessionStore,
    token::VerifiedToken,
};

/// Verifies the token of a form. `None` if it is no valid token of this server.
fn verify<S: SessionStore>(state: &State<S>, token: &str) -> Result<Option<VerifiedToken>, AuthError> {
    match state.verifier.verify(token) {
        Ok(token) => Ok(Some(token)),
        Err(ErrorKind::InvalidToken) => Ok(None),
        Err(kind) => Err(kind.into()),
    }
}
