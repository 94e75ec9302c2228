//! [`RequireScopeLayer`]: admits a request only if its session has the required scopes (RFC 6750, section 3.1).
//!
//! The rules, in this order:
//!
//! 1. A [`SessionAuthLayer`](crate::SessionAuthLayer) outside of this layer has added an
//!    [`AuthenticatedSession`](crate::AuthenticatedSession). If an [optional](crate::SessionAuthLayer::optional) layer admitted a request
//!    without a token, the rejection is 401 `INVALID_TOKEN`. Without any such layer, it is 500 `INTERNAL_ERROR`.
//! 2. The session has all of the required scopes, or one of them ([`any`](RequireScopeLayer::any)). Else 403 `INSUFFICIENT_SCOPE`. The
//!    challenge names all scopes of the requirement, also if one of them suffices. A session without scopes is rejected.

mod layer;
mod requirement;
mod service;
#[cfg(test)]
mod tests;

pub use layer::RequireScopeLayer;
pub(crate) use requirement::ScopeRequirement;
pub use service::{RequireScope, RequireScopeFuture};
