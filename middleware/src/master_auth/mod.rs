//! [`MasterAuthLayer`]: admits requests that carry the credential of an administrator.
//!
//! An administrator sends the master password in the header `X-Master-Password`, or a named admin key as `Authorization: Bearer
//! wai_admin_…`. A key has its own [rights](Right), may be restricted to agents, and may expire. The master password has every
//! right.
//!
//! # Rules
//!
//! The checks run in this order:
//!
//! 1. The request has a credential: an `X-Master-Password` header, or an `Authorization` header with an admin key. Otherwise
//!    `INVALID_MASTER_PASSWORD`. Another `Authorization` header is ignored: it is for another service.
//! 2. It has exactly one. A request with two is ambiguous: `INVALID_MASTER_PASSWORD`. So is an admin key beside a second
//!    `Authorization` header.
//! 3. An admin key is known and not expired. Otherwise `INVALID_MASTER_PASSWORD`. Rules 4 to 7 do not apply to admin keys: a secret of
//!    256 bits cannot be guessed.
//! 4. For the master password: the client's address is not locked. Otherwise `MASTER_PASSWORD_LOCKED` with `Retry-After`.
//! 5. A password that was verified less than 60 seconds ago is admitted without Argon2. It is cached as a keyed hash.
//! 6. The queue for Argon2 has a place. Otherwise `OVERLOADED`.
//! 7. The password matches the Argon2id hash. Otherwise `INVALID_MASTER_PASSWORD`, and the failure counts against the address.
//! 8. The administrator has the right that the layer demands. Otherwise `FORBIDDEN`.
//!
//! Each use of a valid credential is logged once, at the level info with the target `tower_session_auth::security`: name, right,
//! method and path.
//!
//! # Lockout
//!
//! Five failures lock an address for one second. Each further failure doubles the lock, up to five minutes. Failures are forgotten 15
//! minutes after the last one or the end of its lock. A success does not reset them: an attacker may share the administrator's
//! address, for example behind the same NAT. While that address is locked, the master password is rejected from it. Admin keys are
//! accepted throughout.
//!
//! IPv6 addresses are counted by their /64 network. A failure never counts against another address.
//!
//! **The lockout needs the client's address.** The layer reads it from the [`ClientAddr`] extension of the request, which
//! [`ClientAddrLayer`] sets. For a request without that extension, rules 4 and 7 lock no address: a shared lock would lock out
//! all clients. The number of Argon2 computations at once is then the only limit for guessing. The layer and its clones log one
//! warning for the first such request.
//!
//! Behind a proxy, configure [`ClientAddrLayer::trusted_proxies`]. Otherwise all clients share the proxy's address.
//!
//! # Queue
//!
//! Argon2 runs on one or two threads, always fewer than cores if there are several. On Linux, it has the lowest priority, so it does
//! not delay other requests. At most 256 requests wait, and at most 64 of one address. Requests of one address with the
//! same password share a computation. They are served in this order:
//!
//! 1. Addresses that sent the right password within the last 24 hours. They have a further thread, of the usual priority, so that they
//!    wait neither for guesses nor for the load of the machine. At most 1,024 addresses are remembered. They are forgotten when the
//!    password is replaced. Their failures still lock them.
//! 2. Other addresses, those with fewer failures first.
//!
//! The rank of a request is the number of failures of its address, plus the number of requests of that address that wait already. A full
//! queue rejects a random request of the highest rank. At equal rank, the new request displaces a waiting one. The rejected request is
//! answered with `OVERLOADED` at once.
//!
//! So an attacker cannot keep the queue full for others. If new addresses guess faster than Argon2 runs, a right password from another new
//! address succeeds with a probability of *computations per second* divided by *requests from new addresses per second*, at most 1. Each
//! attempt has this probability. An admin key is never affected.

mod admin_key_entry;
mod admin_keys;
mod admin_secret;
mod administrator;
mod argon2_threads;
mod client_addr;
mod clients;
mod credential_change;
mod credentials;
mod demand;
mod future;
mod job;
mod layer;
mod lockout;
mod lowest_priority;
mod password;
mod presented;
mod proxies;
mod queue;
mod right;
mod service;
mod state;
#[cfg(test)]
mod tests;

pub use admin_key_entry::{AdminKeyEntry, AdminKeyIssue, InvalidAdminKeys};
pub use admin_keys::AdminKeys;
pub use admin_secret::{ADMIN_KEY_PREFIX, AdminSecret};
pub use administrator::Administrator;
pub use client_addr::{ClientAddr, ClientAddrLayer, SetClientAddr};
pub use credential_change::CredentialChange;
pub use credentials::Credentials;
pub use demand::has_secret;
pub use future::ResponseFuture;
pub use layer::MasterAuthLayer;
pub use password::InvalidPasswordHash;
pub use presented::has_credential;
pub use proxies::{IpNet, TrustedProxies};
pub use right::{Right, Rights, UnknownRight};
pub use service::MasterAuth;

use http::HeaderName;

/// The header that carries the master password.
pub const X_MASTER_PASSWORD: HeaderName = HeaderName::from_static("x-master-password");

/// Maximum length of a master password, in bytes. A longer one is rejected before Argon2 runs.
pub const MAX_PASSWORD_LEN: usize = 1024;
