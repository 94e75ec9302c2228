//! [`VerifyOnlyLayer`]: admits a request if its token has a valid signature and has not expired. It needs no store and no secret.
//!
//! The rules, in this order:
//!
//! 1. The request has one token in its header, as in rule 1 of [`session_auth`](crate::session_auth). Else `INVALID_TOKEN`.
//! 2. The [verifier](crate::TokenVerifier) accepts the token. Else `INVALID_TOKEN`.
//! 3. The token has not expired. Else `TOKEN_EXPIRED`. If it has an `nbf` claim, that time has come. Else `INVALID_TOKEN`.
//!
//! If the verifier follows the keys of a server (feature `key-follower`) and the token's key is unknown, the request waits for a
//! refresh of the keys, and rule 2 is checked again. If the key is still unknown and the server has not confirmed that it does
//! not exist, the response is 503 `STORE_UNAVAILABLE`.
//!
//! **This layer cannot see that a session was revoked, or that its token was replaced.** Such a token is admitted until it
//! expires. If that matters, use [`SessionAuthLayer`](crate::SessionAuthLayer). Otherwise keep ttls short.

mod layer;
mod service;
#[cfg(test)]
mod tests;

pub use layer::VerifyOnlyLayer;
pub use service::{VerifyOnly, VerifyOnlyFuture};
