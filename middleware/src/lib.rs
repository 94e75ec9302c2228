//! Tower middleware for the sessions of agents, services and other non-human API clients.
//!
//! An administrator creates a session for an agent and receives a token (PASETO v4.public). The agent sends the token with each
//! request and renews its session by itself, within hard limits. The token is rejected as soon as an administrator revokes the
//! session. Session records are kept in a [store](store::SessionStore): Redis, or the memory of the process.
//!
//! # Getting started
//!
//! - A server that issues sessions: [`SessionAuthority`] builds layers, a [`SessionManager`] and, with the feature `endpoints`,
//!   the whole HTTP API. All parts have one configuration: keys, store, policy and clock.
//! - A service that only verifies: [`SessionAuthLayer`] with a [`TokenVerifier`], which needs public keys and no secret.
//! - An agent: the module `client` (feature `client`) attaches the token to requests and renews the session.
//! - A test: the module `testing` (feature `testing`) has a fake session, a token, a store and a clock.
//!
//! # Rules
//!
//! 1. [`SessionAuthLayer`] admits a request only with a verified token that is the *current* token of a session that is neither
//!    expired nor revoked. [`session_auth`] lists the checks in their order.
//! 2. A revoked token is rejected from the next request on, in every process. So is a token that a renewal replaced. A
//!    [bounded](SessionAuthLayer::bounded) layer applies both after a push from Redis. If Redis cannot be reached, it applies
//!    them within its bound. Both kinds of layers may read a master that was silently demoted, for one or two seconds.
//! 3. A renewal replaces the token in a compare-and-swap. Of any number of concurrent renewals, one succeeds. With an
//!    idempotency key it can be repeated for some time and returns the same token again.
//! 4. A renewal is rejected for the first of these reasons: the session is revoked; the token is not the current one; the token
//!    has expired; the renewal limit is reached; the absolute lifetime has passed; less than half of the token's lifetime has
//!    passed.
//! 5. An agent has at most its maximum of active sessions, however many are created at once.
//! 6. A store keeps only hashes of tokens. A verifier needs only public keys.
//! 7. [Scopes](session::Scopes) are set when a session is created, and never change. [`RequireScopeLayer`](require_scope::RequireScopeLayer)
//!    admits only sessions that have the required ones.
//! 8. [`MasterAuthLayer`] protects the endpoints of administrators. Each of them demands one right.
//!
//! # Failure modes
//! | failure | response |
//! |---|---|
//! | the store does not answer within its deadline, is read-only, full, or unreachable | 503 `STORE_UNAVAILABLE`: never an admission, never a 401 |
//! | the same, in a bounded layer | cached records admit requests until the bound has passed (250 ms by default; at once if the connection was cut), then 503 |
//! | a record in the store is malformed | 503 `STORE_UNAVAILABLE`, and an error in the log |
//! | the store lost a session | 401 `SESSION_NOT_FOUND` |
//! | the store lost its last writes (a failover, a restart without `appendfsync always`) | a lost revocation or renewal is undone; a token that is ahead of its record is 401 `SESSION_STATE_LOST` |
//! | the response to a renewal is lost | the same token and `Idempotency-Key` return the same new token again: see [`renewal`] |
//! | the response to a creation is lost | the same request and `Idempotency-Key` return the same session and token again: see [`CreateSession`](session::CreateSession) |
//! | the clocks of servers differ | each server decides expiry by its own clock; revocation does not depend on clocks |
//!
//! # Deployment
//!
//! Serve over TLS: a token that leaks can be used until it expires, is replaced or is revoked. Synchronize the clocks of all
//! servers. Run Redis with `maxmemory-policy noeviction`, and for bounded layers with `client-output-buffer-limit normal 64mb
//! 16mb 60`. The stored layout is documented at [`RedisStore`].
//!
//! # Features
//!
//! | feature | content |
//! |---|---|
//! | `redis` (default) | [`RedisStore`] |
//! | `master-auth` (default) | [`MasterAuthLayer`]: admin keys, and a master password with Argon2id |
//! | `tls` | `rediss://` URLs |
//! | `endpoints` | the HTTP API as a tower service |
//! | `ext-authz` | `endpoints`, and external authorization of Envoy over gRPC |
//! | `axum` | [`AuthenticatedSession`] and required scopes as extractors, errors as responses |
//! | `client` | the agent's side |
//! | `key-follower` | [`KeyFollower`](key_follower::KeyFollower): a verifier whose keys follow a session server |
//! | `testing` | tools for tests of your own code |
#![cfg_attr(
    not(all(feature = "redis", feature = "client", feature = "key-follower")),
    allow(rustdoc::broken_intra_doc_links)
)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod api;
mod auth_future;
pub mod authority;
#[cfg(feature = "client")]
pub mod client;
pub mod clock;
#[cfg(feature = "endpoints")]
pub mod endpoints;
pub mod error;
#[cfg(feature = "axum")]
pub mod extract;
mod file_text;
pub mod id;
#[cfg(feature = "key-follower")]
pub mod key_follower;
mod layer_settings;
pub mod manager;
#[cfg(feature = "master-auth")]
pub mod master_auth;
pub mod protected_resource;
mod recently_used;
pub mod require_scope;
pub mod response;
pub mod security;
pub mod session;
pub mod session_auth;
pub mod store;
mod sync;
pub mod telemetry;
#[cfg(test)]
mod test_support;
#[cfg(feature = "testing")]
pub mod testing;
pub mod token;
pub mod verify_only;

/// The guide to renewals: lost answers, replaced tokens, reuse detection.
#[cfg_attr(doc, doc = include_str!("../../docs/renewal.md"))]
pub mod renewal {}

pub use authority::SessionAuthority;
pub use error::{AuthError, ErrorKind, RejectionReason};
pub use id::{AgentId, SessionId};
pub use manager::SessionManager;
#[cfg(feature = "master-auth")]
pub use master_auth::MasterAuthLayer;
pub use session_auth::{AuthenticatedSession, SessionAuthLayer};
pub use store::MemoryStore;
#[cfg(feature = "redis")]
pub use store::RedisStore;
pub use token::{KeySet, SigningKey, TokenVerifier, VerifyingKey, VerifyingKeys};
