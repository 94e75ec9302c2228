//! [`MasterAuthLayer`]: admits requests that carry the master password.
//!
//! # Rules
//!
//! The checks run in this order:
//!
//! 1. The request has exactly one `X-Master-Password` header. Otherwise `INVALID_MASTER_PASSWORD`.
//! 2. The client's address is not locked. Otherwise `MASTER_PASSWORD_LOCKED` with `Retry-After`.
//! 3. A password that was verified less than 60 seconds ago is admitted without Argon2. It is cached as a keyed hash.
//! 4. The queue for Argon2 has a free place. Otherwise `OVERLOADED`.
//! 5. The password matches the Argon2id hash. Otherwise `INVALID_MASTER_PASSWORD`, and the failure counts against the address.
//!
//! # Lockout
//!
//! Five failures in a row lock an address for one second. Each further failure doubles the lock, up to five minutes. IPv6
//! addresses are counted by their /64 network. A failure never counts against another address. So an attacker cannot lock out
//! an administrator at another address.
//!
//! **The lockout needs the client's address.** The layer reads it from the [`ClientAddr`] extension of the request, which
//! [`ClientAddrLayer`] sets. For a request without that extension, rules 2 and 5 lock no address: a shared lock would lock out
//! all clients. The number of Argon2 computations at once is then the only limit for guessing. The layer and its clones log one
//! warning for the first such request.
//!
//! Behind a proxy, configure [`ClientAddrLayer::trusted_proxies`]. Otherwise all clients share the proxy's address.

mod client_addr;
mod future;
mod layer;
mod lockout;
mod password;
mod proxies;
mod queue;
mod service;
#[cfg(test)]
mod tests;

pub use client_addr::{ClientAddr, ClientAddrLayer, SetClientAddr};
pub use future::ResponseFuture;
pub use layer::MasterAuthLayer;
pub use password::InvalidPasswordHash;
pub use proxies::{IpNet, TrustedProxies};
pub use service::MasterAuth;

use http::HeaderName;

/// The header that carries the master password.
pub const X_MASTER_PASSWORD: HeaderName = HeaderName::from_static("x-master-password");

/// Maximum length of a master password, in bytes. A longer one is rejected before Argon2 runs.
pub const MAX_PASSWORD_LEN: usize = 1024;
