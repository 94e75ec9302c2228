//! [`SessionAuthLayer`]: admits a request if its bearer token is the current token of an active session.
//!
//! The rules, in this order:
//!
//! 1. The request has exactly one header with the token (`Authorization` by default) of at most 4 KiB. `Authorization` must have the
//!    scheme `Bearer` in any case; another header may hold the bare token (RFC 6750,
//!    section 2.1), and no session token in the query. Else `INVALID_TOKEN`.
//! 2. The [verifier](crate::TokenVerifier) accepts the token. Else `INVALID_TOKEN`.
//! 3. The store answers within its deadline. Else `STORE_UNAVAILABLE`: never an admission, never a 401. In a
//!    [bounded](SessionAuthLayer::bounded) layer a cached record can admit the request by rules 5 to 7. Every rejection is
//!    confirmed by a read from the store.
//! 4. The session exists. Else `SESSION_NOT_FOUND`, or `TOKEN_EXPIRED` if the token has expired.
//! 5. The session is not revoked. Else `SESSION_REVOKED`. It belongs to the token's agent. Else `INVALID_TOKEN`.
//! 6. The token has not expired. Else `TOKEN_EXPIRED`. If the token has an `nbf` claim, that time has come. Else
//!    `INVALID_TOKEN`. (No token of this crate has one.)
//! 7. The token is the current one of the session, or the previous one within its
//!    [overlap](crate::session::ReplacedTokenPolicy::previous_token_overlap). Else `TOKEN_SUPERSEDED`, or `SESSION_STATE_LOST`
//!    if the store has lost writes.
//!
//! An admitted request reaches the inner service with an [`AuthenticatedSession`] in its extensions. A rejected request never
//! reaches it. The response to a rejected request has the [`AuthError`](crate::AuthError) in its extensions. A gRPC request is
//! rejected with a gRPC status, any other request with a problem document: see [`response`](crate::response).
//!
//! [`RenewalLayer`] is for the renewal endpoint. It checks rules 1 to 5.
//! [`SessionManager::renew`](crate::SessionManager::renew) takes its [`PresentedSession`] and checks the others.
//!
//! # CORS
//!
//! Put a CORS layer **outside** this layer. A browser sends its preflight request without a token, and reads a rejection only if
//! the rejection carries the CORS headers too. In axum: `.route_layer(auth)` on the routes, then `.layer(cors)` on the router.

mod check;
mod config;
mod extension;
mod future;
mod layer;
mod renewal;
mod service;
#[cfg(test)]
mod tests;

pub use config::Freshness;
pub(crate) use extension::NoSession;
pub use extension::{AuthenticatedSession, PresentedSession};
pub use future::ResponseFuture;
pub use layer::SessionAuthLayer;
pub use renewal::{RenewalAuth, RenewalFuture, RenewalLayer};
pub use service::SessionAuth;
