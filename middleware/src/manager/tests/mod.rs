mod create;
mod eviction;
mod renew;
mod repeat;
mod repeat_creation;
mod revoke;
mod rotate;

use std::time::Duration;

use http::{Request, header};

use super::*;
use crate::{
    MemoryStore, SessionAuthLayer,
    clock::ManualClock,
    session::{Constraints, CreateSession, SessionStatus},
    session_auth::{PresentedSession, RenewalLayer},
    store::{Agent, AgentStore, PageRequest, SessionCursor, StoreError},
    test_support::{self, NOW, Stub, other_agent, signer, verifier},
};

const TTL: u64 = 86_400;
const LIFETIME: u64 = 2_592_000;

struct Setup {
    store: MemoryStore,
    clock: ManualClock,
    sessions: SessionManager<MemoryStore, AnyAgent>,
}

fn setup() -> Setup {
    let (store, clock) = (MemoryStore::new(), ManualClock::new(NOW));
    let sessions = SessionManager::for_any_agent(store.clone(), signer()).clock(clock.clone());
    Setup {
        store,
        clock,
        sessions,
    }
}

fn request() -> CreateSession {
    CreateSession::new(test_support::agent())
}

fn first_page(limit: usize) -> PageRequest<SessionCursor> {
    PageRequest { after: None, limit }
}

impl Setup {
    fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    async fn create(&self) -> IssuedSession {
        self.sessions.create(request()).await.unwrap()
    }

    /// The session that the renewal layer presents for a token.
    async fn present(&self, token: &SessionToken) -> PresentedSession {
        let layer = RenewalLayer::new(verifier(), self.store.clone());
        let admitted = test_support::pass(&layer, bearing(token)).await.unwrap();
        admitted.extensions().get::<PresentedSession>().unwrap().clone()
    }

    async fn renew(&self, token: &SessionToken) -> Result<IssuedSession, AuthError> {
        self.sessions.renew(&self.present(token).await, None).await
    }

    /// The error with which the token is rejected for API access. `None` if it is admitted.
    async fn rejection(&self, token: &SessionToken) -> Option<ErrorKind> {
        let layer = SessionAuthLayer::new(verifier(), self.store.clone()).clock(self.clock.clone());
        let outcome = test_support::pass(&layer, bearing(token)).await;
        outcome.err().map(|rejection| test_support::kind(&rejection))
    }
}

fn bearing(token: &SessionToken) -> Request<()> {
    let bearer = format!("Bearer {}", token.expose());
    Request::builder()
        .header(header::AUTHORIZATION, bearer)
        .body(())
        .unwrap()
}

#[track_caller]
fn assert_kind<T: std::fmt::Debug>(result: Result<T, AuthError>, expected: ErrorKind) {
    assert_eq!(result.unwrap_err().kind(), expected);
}

#[tokio::test]
async fn store_error_of_every_operation_is_store_unavailable() {
    let setup = setup();
    let presented = {
        let token = setup.create().await.token;
        setup.advance(TTL / 2);
        setup.present(&token).await
    };
    for error in [
        StoreError::Timeout,
        StoreError::Unavailable("READONLY".into()),
        StoreError::Unexpected("?".into()),
    ] {
        let cause = error.to_string();
        let store = Stub::answering(Err(error));
        let sessions = SessionManager::for_any_agent(store, signer()).clock(setup.clock.clone());
        let id = presented.session_id();
        for (operation, outcome) in [
            ("create", sessions.create(request()).await.map(drop)),
            ("renew", sessions.renew(&presented, None).await.map(drop)),
            ("rotate", sessions.rotate(id).await.map(drop)),
            ("revoke", sessions.revoke(id).await.map(drop)),
            (
                "revoke_agent",
                sessions.revoke_agent(test_support::agent()).await.map(drop),
            ),
            ("get", sessions.get(id).await.map(drop)),
            ("list", sessions.list(None, first_page(1)).await.map(drop)),
        ] {
            let error = outcome.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::StoreUnavailable, "{operation}");
            assert_eq!(error.retry_after(), Some(1), "{operation}");
            let source = std::error::Error::source(&error).map(ToString::to_string);
            assert_eq!(source, Some(cause.clone()), "{operation}");
        }
    }
}
