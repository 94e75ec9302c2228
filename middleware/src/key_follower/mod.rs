//! [`KeyFollower`]: a verifier whose keys follow those that a session server publishes at `GET /v1/keys`.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use http::{Request, Response};
//! use hyper_util::{client::legacy::Client, rt::TokioExecutor};
//! use tower::{ServiceBuilder, service_fn};
//! use tower_session_auth::{TokenVerifier, key_follower::KeyFollower, verify_only::VerifyOnlyLayer};
//!
//! // For https, use a client with a TLS connector, such as hyper-rustls. It must not follow redirects.
//! let http = Client::builder(TokioExecutor::new()).build_http();
//! let keys = KeyFollower::builder(http, "http://127.0.0.1:3100/v1/keys".parse()?)
//!     .verifier(TokenVerifier::new([]).audience("https://api.example"))
//!     .start()
//!     .await?;
//! let service = ServiceBuilder::new()
//!     .layer(VerifyOnlyLayer::new(keys.verifier()))
//!     .service(service_fn(async |_: Request<String>| {
//!         Ok::<_, std::convert::Infallible>(Response::new(String::from("hello")))
//!     }));
//! # let _ = service;
//! # Ok(())
//! # }
//! ```
//!
//! # Rules
//!
//! 1. The keys are fetched again after 75 % to 95 % of the response's `max-age`, at a random time. So services that started
//!    together do not fetch together. The time is at least 10 s and at most 10 min
//!    ([`refresh_bounds`](KeyFollowerBuilder::refresh_bounds)).
//! 2. One fetch runs at a time. It has a deadline of 5 s, and reads at most 64 KiB and 64 keys.
//! 3. A response that is not a list of public keys changes nothing: another status than 200, a body that is too large, a list
//!    without keys, a key that cannot be parsed. The last good keys stay in use, and the fetch is repeated with back-off.
//! 4. A token of an unknown key starts a fetch at once, if none has started in the last 10 s
//!    ([`early_refresh_interval`](KeyFollowerBuilder::early_refresh_interval)). So forged tokens cause at most one fetch in that time.
//! 5. A request with such a token waits for this fetch, or for one that runs already, for at most 2 s
//!    ([`max_wait`](KeyFollowerBuilder::max_wait)). At most 1,024 requests wait. This needs a
//!    [`VerifyOnlyLayer`](crate::verify_only::VerifyOnlyLayer). Other layers reject the request, and the fetch runs.
//! 6. Keys that the server has not confirmed for 24 h ([`max_staleness`](KeyFollowerBuilder::max_staleness)) are dropped. All
//!    tokens are rejected until a fetch succeeds: by a `VerifyOnlyLayer` with 503, by other layers with 401.
//! 7. The background task ends when the follower and all verifiers from [`KeyFollower::verifier`] are dropped.
//!
//! # Removed keys
//!
//! A stolen signing key is revoked by its removal from the key file of the servers. A service that reaches its server rejects the
//! tokens of a removed key after the next fetch: within `max-age`, 5 minutes. A service that is cut off from its server accepts
//! them until rule 6 applies. A shorter `max_staleness` closes that gap earlier. It also shortens the outage of the session server that
//! the service survives.
//!
//! Fetch the keys over TLS, or over a network that you trust. An attacker who can change the response can sign tokens that are
//! accepted.

mod builder;
mod error;
mod fetch;
mod follower;
mod lifetime;
mod task;
#[cfg(test)]
mod tests;

pub use builder::KeyFollowerBuilder;
pub use error::KeyFetchError;
pub use follower::{KeyFollower, KeyFollowerStatus};
