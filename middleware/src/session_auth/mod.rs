//! [`SessionAuthLayer`]: lets a request pass when its bearer token is the current one of a session that stands.
//!
//! In this order:
//!
//! 1. There is exactly one `Authorization` header, of at most 4 KiB, with the scheme `Bearer` in any case (RFC 6750,
//!    section 2.1), and no token in the query. Else `INVALID_TOKEN`.
//! 2. The token proves itself: see [`TokenVerifier`](crate::TokenVerifier). Else `INVALID_TOKEN`.
//! 3. The store answers within its deadline. Else `STORE_UNAVAILABLE`: never a pass, never a 401. With
//!    [`Freshness::Bounded`] a copy of the session's record in memory answers instead, if the store vouches for one and 4 to 7 let
//!    the request pass by it; nobody is refused without a read.
//! 4. The session exists. Else `SESSION_NOT_FOUND`, or `TOKEN_EXPIRED` when the token has expired.
//! 5. It is not revoked. Else `SESSION_REVOKED`. It is a session of the token's agent. Else `INVALID_TOKEN`.
//! 6. The token has not expired. Else `TOKEN_EXPIRED`. (A `nbf`, which no token of this crate has, has passed. Else
//!    `INVALID_TOKEN`.)
//! 7. The token is the session's current one, or the one before it in its
//!    [overlap](crate::session::ReplacedTokenPolicy::previous_token_overlap). Else `TOKEN_SUPERSEDED`, or `SESSION_STATE_LOST` when the store
//!    has lost writes.
//!
//! Then the request goes to the inner service with an [`AuthenticatedSession`] in its extensions. A refusal never reaches the
//! inner service; its response has the [`AuthError`](crate::AuthError) in its extensions.
//!
//! A layer [for renewal](SessionAuthLayer::for_renewal) asks 1 to 5 and leaves the rest to
//! [`SessionManager::renew`](crate::SessionManager::renew), which it hands a [`PresentedSession`].

mod credentials;
mod extension;
mod future;
mod layer;
mod service;
#[cfg(test)]
mod tests;

pub use extension::{AuthenticatedSession, PresentedSession};
pub use future::ResponseFuture;
pub use layer::{Freshness, SessionAuthLayer};
pub use service::SessionAuth;
