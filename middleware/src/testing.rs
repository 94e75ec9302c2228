//! Tools for tests of your code (feature `testing`): they need no server and no Redis, and have a manual clock.
//!
//! A unit test of a handler needs a session and no layer:
//!
//! ```
//! use tower_session_auth::{AuthenticatedSession, testing};
//!
//! async fn hello(session: AuthenticatedSession) -> String {
//!     format!("hello, agent {}", session.agent_id)
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let mut session = testing::session(testing::agent());
//! session.renewal_count = 3; // all fields can be changed
//! assert!(hello(session).await.starts_with("hello, agent "));
//! # }
//! ```
//!
//! A test of a whole service sends a token through the layer:
//!
//! ```
//! use http::{Request, Response, StatusCode};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use tower_session_auth::testing::TestAuthority;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let authority = TestAuthority::new();
//! let service = ServiceBuilder::new()
//!     .layer(authority.layer())
//!     .service(service_fn(async |_: Request<String>| {
//!         Ok::<_, std::convert::Infallible>(Response::new(String::new()))
//!     }));
//! let issued = authority.create_session(authority.agent()).await;
//! let request = || Request::builder().header("authorization", authority.bearer(&issued)).body(String::new()).unwrap();
//!
//! let response = service.clone().oneshot(request()).await.unwrap();
//! assert_eq!(response.status(), StatusCode::OK);
//!
//! authority.clock().advance(std::time::Duration::from_secs(86_400)); // the token has expired
//! let response = service.oneshot(request()).await.unwrap();
//! assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
//! # }
//! ```

#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a test may panic, and nothing here depends on input"
)]

use std::ops::Deref;

use http::HeaderValue;

use crate::{
    authority::SessionAuthority,
    clock::{Clock as _, ManualClock, Timestamp},
    id::{AgentId, SessionId},
    manager::IssuedSession,
    session::{CreateSession, SessionLimits, SessionRecord},
    session_auth::AuthenticatedSession,
    store::{AnyAgent, MemoryStore},
    token::{Claims, KeySet, SigningKey, TokenHash},
};

/// The time of a new [`TestAuthority`]: 2025-10-09T08:53:20Z.
pub const START: Timestamp = Timestamp(1_760_000_000);

/// An agent for tests, always the same.
#[must_use]
pub fn agent() -> AgentId {
    AgentId::from_uuid(uuid::Uuid::from_u128(0x6f1c_7a52_2f39_4b0e_9c55_0b7f_3e3d_2a11))
}

/// The session that a layer would pass to a handler. It was created at [`START`] and expires after a day.
#[must_use]
pub fn session(agent: AgentId) -> AuthenticatedSession {
    let millis = START.0.saturating_mul(1000);
    let id = SessionId::generate(agent, millis).expect("the operating system has randomness");
    let limits = SessionLimits::new(86_400, 30, START.plus(2_592_000));
    let record = SessionRecord::new(id, agent, TokenHash::of("a token of a test"), &limits);
    let claims = Claims::new(id, agent, 0, START, record.expires_at());
    AuthenticatedSession::new(&record, &claims)
}

/// A [`SessionAuthority`] with a new key, a memory store, and a manual clock that starts at [`START`]. It creates sessions for
/// any agent.
#[derive(Debug, Clone)]
pub struct TestAuthority {
    authority: SessionAuthority<MemoryStore, AnyAgent>,
    clock: ManualClock,
}

impl Default for TestAuthority {
    fn default() -> Self {
        Self::new()
    }
}

impl TestAuthority {
    /// Creates an authority without any session.
    #[must_use]
    pub fn new() -> Self {
        let clock = ManualClock::new(START);
        let key = SigningKey::generate().expect("the operating system has randomness");
        let authority = SessionAuthority::builder(KeySet::single(key), MemoryStore::new())
            .any_agent()
            .clock(clock.clone())
            .build()
            .expect("the default settings work");
        Self { authority, clock }
    }

    /// The clock of all parts.
    #[must_use]
    pub const fn clock(&self) -> &ManualClock {
        &self.clock
    }

    /// The current time of the clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// An agent for tests, always the same.
    #[must_use]
    pub fn agent(&self) -> AgentId {
        agent()
    }

    /// Creates a session with the default policy.
    pub async fn create_session(&self, agent: AgentId) -> IssuedSession {
        let issued = self.authority.manager().create(CreateSession::new(agent)).await;
        issued.expect("the agent has less than its maximum of sessions")
    }

    /// The `Authorization` header of a session's token.
    #[must_use]
    pub fn bearer(&self, issued: &IssuedSession) -> HeaderValue {
        let bearer = format!("Bearer {}", issued.token.expose());
        let mut bearer = HeaderValue::try_from(bearer).expect("a token is ASCII");
        bearer.set_sensitive(true);
        bearer
    }
}

/// All parts of the authority: layers, manager, verifier, events.
impl Deref for TestAuthority {
    type Target = SessionAuthority<MemoryStore, AnyAgent>;

    fn deref(&self) -> &Self::Target {
        &self.authority
    }
}
