//! The agent's side: adds a session's token to requests, and renews the session over an unreliable network.
//!
//! A [`ClientSession`] is the session of one process. Its [layer](ClientSession::layer) wraps any HTTP client that is a tower
//! service:
//!
//! ```no_run
//! # async fn example() -> Result<(), tower::BoxError> {
//! use http::Request;
//! use http_body_util::Full;
//! use hyper_util::{client::legacy::Client, rt::TokioExecutor};
//! use tower::{Layer, Service, ServiceExt};
//! use tower_session_auth::client::{ClientSession, FileStorage, SessionOver};
//!
//! // The response to `POST /v1/sessions`, in a file that only the agent can read.
//! let storage = FileStorage::new("/var/lib/agent/session.json");
//! let http = Client::builder(TokioExecutor::new()).build_http();
//! // For https, use a client with a TLS connector, such as hyper-rustls.
//! let session = ClientSession::builder(http, "http://127.0.0.1:3100".parse()?)
//!     .open(storage)
//!     .await?;
//!
//! let http = Client::builder(TokioExecutor::new()).build_http();
//! let mut api = session.layer().resend_cloned().layer(http);
//! let request = Request::get("http://127.0.0.1:3000/orders").body(Full::<bytes::Bytes>::default())?;
//! match api.ready().await?.call(request).await {
//!     Ok(response) => println!("{}", response.status()),
//!     Err(error) => match error.downcast_ref::<SessionOver>() {
//!         Some(over) => println!("ask the administrator: {over}"),
//!         None => println!("{error}"),
//!     },
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Rules
//!
//! 1. Each request is sent with the current token. It replaces any `Authorization` header of the request. Wrap only clients of
//!    services that may receive the token, and configure them to follow no redirects. With another
//!    [header](ClientSessionBuilder::header), the request's `Authorization` stays.
//! 2. The session is renewed in the background from `renewAfter` on, with or without requests. One renewal runs at a time.
//! 3. A renewal without a final response is sent again with the same idempotency key, with back-off.
//! 4. The key is saved before it is sent, and the new token before it is used: see [`SessionStorage`]. A process that crashed
//!    continues its renewal, if it starts again within the server's retry window (60 seconds by default).
//! 5. Processes that share a storage share the session. Each process adopts the token that another one has saved, and can
//!    finish a renewal that another one has begun. After a suspend, a process reloads the storage before it sends an old token.
//! 6. A service may reject a request because its token was just replaced. The next request then has the new token. The rejected
//!    request is sent again only if [configured](ClientSessionLayer#sending-again), since that needs a copy of its body. Two
//!    responses reject a token: a 401 whose challenge has `error="invalid_token"`, and the gRPC status UNAUTHENTICATED in a
//!    response of trailers only.
//! 7. When the session is over, each request fails with a [`SessionOver`]. To continue, store a new session and call
//!    [`ClientSession::reload`]. Any service may report that the session was revoked. Every other reason is confirmed by a
//!    request to the session server, since another service may read another store.
//! 8. The schedule follows the session server's clock. It is estimated from the `Date` of its responses, from the token's `iat`
//!    and `exp`, and from `RENEWAL_TOO_EARLY` responses. So the local clock may be wrong by hours. The token's signature is not
//!    checked for this, and its times are used for nothing else.
//! 9. [`open`](ClientSessionBuilder::open) fails with an [`OpenError`] if a renewed session could not be saved, or if the URI
//!    is not that of this session's server. It follows no redirects. The HTTP client must not follow them either, because it
//!    would send the token to the target.

mod attempt;
mod backoff;
mod builder;
mod challenge;
mod error;
mod file;
mod header;
mod http_time;
mod rejection;
mod renewal;
mod resend;
mod server;
mod server_clock;
mod service;
mod session;
mod state;
mod storage;
#[cfg(test)]
mod tests;
mod token_times;

pub use builder::ClientSessionBuilder;
pub use error::{OpenError, SessionOver};
pub use file::FileStorage;
pub use resend::{CloneBody, CopyBody, CopyWith, SendOnce};
pub use service::{ClientSessionLayer, ClientSessionService, ResponseFuture};
pub use session::ClientSession;
pub use storage::{MemoryStorage, SavedSession, SessionStorage};
