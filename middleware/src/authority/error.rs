use crate::{protected_resource::InvalidResource, session::InvalidPolicy, store::StoreError};

/// An invalid configuration of an authority.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidAuthority {
    /// The token prefix has characters that a bearer token cannot have (RFC 6750, section 2.1), or is too long.
    #[error("prefix: must have 1 to 64 of the characters A-Z a-z 0-9 - . _ ~ + /")]
    Prefix,
    /// The issuer is empty, too long, or has control characters.
    #[error("issuer: must have 1 to 255 bytes and no control characters")]
    Issuer,
    /// The audience is empty, too long, or has control characters.
    #[error("audience: must have 1 to 255 bytes and no control characters")]
    Audience,
    /// The token's header has another meaning already.
    #[error("header: has another meaning in HTTP or in this API")]
    Header,
    /// The URL of the protected resource is not valid.
    #[error("resource: {0}")]
    Resource(#[from] InvalidResource),
    /// The policy is inconsistent.
    #[error("policy: {0}")]
    Policy(#[from] InvalidPolicy),
    /// The near cache of the store cannot start.
    #[error("the near cache cannot start: {0}")]
    Cache(StoreError),
}
