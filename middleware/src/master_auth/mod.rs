//! [`MasterAuthLayer`]: lets a request pass that carries the master password.
//!
//! In this order:
//!
//! 1. There is exactly one `X-Master-Password` header. Else `INVALID_MASTER_PASSWORD`.
//! 2. The client's address is not locked. Else `MASTER_PASSWORD_LOCKED` with `Retry-After`.
//! 3. The password was verified a short time ago (it is remembered as a keyed hash): the request passes at once.
//! 4. There is room to wait for Argon2. Else `OVERLOADED`.
//! 5. The password matches the Argon2id hash. Else `INVALID_MASTER_PASSWORD`, and the failure counts against the address.
//!
//! Five failures in a row lock an address for a second, and each further one for twice as long as the one before, up to five
//! minutes. The address is the [`ClientAddr`] in the request's extensions (an IPv6 one by its /64 network). Where there is none,
//! nobody is locked, since that would lock out everybody: then the few permits of Argon2 alone limit how fast one can guess.
//! A failure never counts against another address, so a stranger cannot lock out an administrator who comes from elsewhere. Behind
//! a proxy, make the address that of the proxy's client.

mod future;
mod layer;
mod lockout;
mod password;
mod queue;
mod service;
#[cfg(test)]
mod tests;

pub use future::ResponseFuture;
pub use layer::{InvalidPasswordHash, MasterAuthLayer};
pub use service::MasterAuth;

use std::net::IpAddr;

use http::HeaderName;

/// The header that carries the master password.
pub const X_MASTER_PASSWORD: HeaderName = HeaderName::from_static("x-master-password");

/// The longest master password, in bytes. Longer ones are wrong without being looked at.
pub const MAX_PASSWORD_LEN: usize = 1024;

/// The address of a request's client. The server puts it into the request's extensions; failures are counted by it.
///
/// In axum: `.layer(axum::middleware::map_request(…))` around the layer, from `ConnectInfo<SocketAddr>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddr(pub IpAddr);
