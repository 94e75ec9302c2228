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
//! 5. An unknown key is rejected with 401 only if the last fetch began after a token of this key was received, and did not list it.
//!    Otherwise the response is 503 with `Retry-After`: a client ends its session after a 401, and the key may have been published
//!    since. It is also 503 while the next fetch is due or running. So attackers cannot keep a new key out by tokens that spend the
//!    early fetches.
//! 6. Behind a [`VerifyOnlyLayer`](crate::verify_only::VerifyOnlyLayer), the request waits for the fetch, or for one that runs already,
//!    for at most 2 s ([`max_wait`](KeyFollowerBuilder::max_wait)). At most 1,024 requests wait. Other layers do not wait: the response
//!    is 503, and the fetch runs.
//! 7. Keys that the server has not confirmed for 24 h ([`max_staleness`](KeyFollowerBuilder::max_staleness)) are dropped. All
//!    tokens are rejected with 503 until a fetch succeeds. The log has an error, and the metric `session_auth_keys_stale` is 1.
//! 8. The keys are fetched with https, or from a loopback host, unless
//!    [`allow_plaintext`](KeyFollowerBuilder::allow_plaintext) permits another http URL.
//! 9. The background task ends when the follower and all verifiers from [`KeyFollower::verifier`] are dropped.
//!
//! # Removed keys
//!
//! A stolen signing key is revoked by its removal from the key file of the servers. A service that reaches its server rejects the
//! tokens of a removed key after the next fetch: within `max-age`, 5 minutes. A service that is cut off from its server accepts
//! them until rule 7 applies. A shorter `max_staleness` closes that gap earlier. It also shortens the outage of the session server that
//! the service survives.
//!
//! An attacker who can change the response can sign tokens that are accepted: hence rule 8.

mod builder;
mod error;
mod fetch;
mod follower;
mod lifetime;
mod task;
#[cfg(test)]
mod tests;
mod unknown_keys;

pub use builder::KeyFollowerBuilder;
pub use error::KeyFetchError;
pub use follower::{KeyFollower, KeyFollowerStatus};
