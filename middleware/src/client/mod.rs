//! The agent's side: attaches a session's token to requests and renews the session, whatever the network does.
//!
//! A [`ClientSession`] holds the session of a process. Its [layer](ClientSession::layer) goes around any HTTP client that is a
//! tower service:
//!
//! ```no_run
//! # async fn example() -> Result<(), tower::BoxError> {
//! use http::Request;
//! use http_body_util::Full;
//! use hyper_util::{client::legacy::Client, rt::TokioExecutor};
//! use tower::{Layer, Service, ServiceExt};
//! use tower_session_auth::client::{ClientSession, FileStorage, SessionOver};
//!
//! // What `POST /v1/sessions` answered, in a file that only the agent can read.
//! let storage = FileStorage::new("/var/lib/agent/session.json");
//! let http = Client::builder(TokioExecutor::new()).build_http();
//! // For https, a client with a connector that speaks it, such as hyper-rustls.
//! let session = ClientSession::builder(http, "http://127.0.0.1:3100".parse()?)
//!     .open(storage)
//!     .await?;
//!
//! let http = Client::builder(TokioExecutor::new()).build_http();
//! let mut api = session.layer().layer(http);
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
//! 1. Every request carries the current token, in place of any `Authorization` header it had. So put the layer only around
//!    clients of services that are to see the token, and let none of them follow redirects elsewhere.
//! 2. The session is renewed in the background, from `renewAfter` on, whether there are requests or not. However many requests
//!    there are, one renewal runs at a time.
//! 3. A renewal that gets no final answer is sent again, with growing pauses and the same idempotency key.
//! 4. The key is saved before it is sent, the new token before it is used: see [`SessionStorage`]. A process that crashed goes on
//!    where it was, as long as it is back inside the server's retry window (60 seconds by default).
//! 5. Processes that share a storage share the session: what one of them has saved, the others pick up; a renewal that one began,
//!    any of them can end.
//!    A process that slept looks there before it sends a token that should have been renewed meanwhile.
//! 6. A request that is refused because its token was replaced meanwhile is sent again with the new one, which is safe: the
//!    service behind the refusal has not seen it. That is why request bodies must be `Clone`.
//! 7. When the session is over, every request fails with a [`SessionOver`] that says why. Put a new session into the storage and
//!    call [`ClientSession::reload`] to go on. That it was revoked is believed of any service; everything else is for the session
//!    server to say, since another service may look into another store.
//!
//! Keep the clock in step with the server's: a session whose token has expired cannot be renewed.

mod backoff;
mod builder;
mod endpoint;
mod error;
mod file;
mod renewal;
mod saved;
mod service;
mod session;
#[cfg(test)]
mod tests;

pub use builder::ClientSessionBuilder;
pub use error::SessionOver;
pub use file::FileStorage;
pub use saved::{MemoryStorage, SavedSession, SessionStorage};
pub use service::{ClientSessionLayer, ClientSessionService, ResponseFuture};
pub use session::ClientSession;
