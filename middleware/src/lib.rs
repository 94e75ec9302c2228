//! Tower middleware for the sessions of agents, services and other non-human API clients.
//!
//! An administrator opens a session for an agent and gets a token (PASETO v4.public). The agent sends the token with every
//! request, renews it by itself within hard limits, and loses it the moment somebody revokes it. Revocation, rotation and
//! limits live in a [store](SessionStore): Redis, or the process's own memory.
//!
//! # Rules
//!
//! 1. A request passes [`SessionAuthLayer`] only with a proven token that is the *current* one of a session that is neither
//!    expired nor revoked. Which question is asked when stands in [`session_auth`].
//! 2. A revoked token is refused from the next request on, everywhere, and so is a token that was replaced by a renewal. A layer
//!    with [`Freshness::Bounded`] hears of both within a push of Redis, and where it cannot be reached, within the stated bound.
//!    Either may read a master that was demoted without a word for a second or two more.
//! 3. Renewing replaces the token by a compare-and-swap: of any number of concurrent renewals one wins. The winner can be
//!    repeated for a while, and gives the same token again.
//! 4. Renewal is refused when the session was revoked, the token is not the current one, the renewal limit or the absolute
//!    lifetime is reached, or less than half of the token's lifetime has passed, in this order.
//! 5. An agent has at most its maximum of active sessions, however many are opened at once.
//! 6. Only hashes of tokens are stored, and only public keys are needed to verify.
//! 7. What needs the master password goes through [`MasterAuthLayer`].
//!
//! # When something fails
//!
//! | failure | answer |
//! |---|---|
//! | the store does not answer within its deadline, is read-only, full, or unreachable | 503 `STORE_UNAVAILABLE`, never a pass and never a 401 |
//! | the same, [`Freshness::Bounded`] | what is in memory still passes, until the bound is over (250 ms by default; at once when the connection was cut); then the same |
//! | a record in the store cannot be understood | the same, and an error in the log |
//! | the store lost a session | 401 `SESSION_NOT_FOUND` |
//! | the store lost its last writes (a failover, a restart without `appendfsync always`) | a revocation or renewal among them is undone; a token it no longer knows of is 401 `SESSION_STATE_LOST` |
//! | a renewal's answer is lost on its way | sent again with the same token and `Idempotency-Key`, it gives the same new token: see [`renewal`] |
//! | clocks of several servers differ | expiry is judged by each server's own clock; revocation does not depend on clocks |
//!
//! # Deployment
//!
//! Serve over TLS: whoever reads a token can use it until it is renewed or revoked. Keep the clocks of all servers in step.
//! Run Redis with `maxmemory-policy noeviction`, and with `client-output-buffer-limit normal 64mb 16mb 60` for
//! [`Freshness::Bounded`]. The layout in Redis is documented at [`RedisStore`].
//!
//! # Features
//!
//! `redis` (default): [`RedisStore`]. `tls`: `rediss://` URLs. `client`: the agent's side, [`client`].
#![cfg_attr(
    not(all(feature = "redis", feature = "client")),
    allow(rustdoc::broken_intra_doc_links)
)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

#[cfg(feature = "client")]
pub mod client;
mod clock;
mod error;
mod guarded;
mod id;
mod manager;
pub mod master_auth;
mod recently_used;
mod response;
mod security;
mod session;
pub mod session_auth;
mod store;
#[cfg(test)]
mod testing;
mod token;

#[doc = include_str!("../RENEWAL.md")]
pub mod renewal {}

/// The safety checks themselves, for those who build a layer of their own.
pub mod decisions {
    pub use crate::session::{
        MatchedToken, NextToken, Rejection, Renewal, SecurityEvent, admit, renew, renew_after, renewable_from, rotate,
        check_session,
    };
}

pub use clock::{Clock, ManualClock, SystemClock, Timestamp};
pub use error::{AuthError, ErrorKind, ValidationIssue};
pub use id::{AgentId, InvalidId, SessionId};
pub use manager::{IssuedSession, SessionManager};
pub use master_auth::{ClientAddr, MasterAuthLayer};
pub use response::{ResponseBody, X_REQUEST_ID, problem_response};
pub use security::SecurityEvents;
pub use session::{
    Constraints, CreateSession, IDEMPOTENCY_KEY, IdempotencyKey, InvalidConstraints, InvalidIdempotencyKey,
    MAX_CONSTRAINTS_LEN, OnReuse, OnSessionLimit, RetryHash, ReplacedTokenPolicy, SessionPolicy, SessionRecord,
    SessionStatus, SessionLimits,
};
pub use session_auth::{AuthenticatedSession, Freshness, PresentedSession, SessionAuthLayer};
pub use store::{
    Agent, AgentDirectory, AgentStore, AnyAgent, CachedStore, CreateOutcome, InvalidCursor, MemoryStore,
    NearCacheStats, NewSession, Page, PageRequest, RegisterOutcome, RegisteredAgents, SessionCursor, SessionStore,
    StoreError, SwapOutcome, TokenSwap,
};
#[cfg(feature = "redis")]
pub use store::{NearCacheConfig, RedisRead, RedisStore, RedisStoreConfig, RedisStoreError};
pub use token::{
    Claims, DEFAULT_ISSUER, DEFAULT_PREFIX, KeyError, VerifiedToken, SessionToken, SignError, SigningKey,
    TokenHash, TokenSigner, TokenVerifier, VerifyingKey,
};
