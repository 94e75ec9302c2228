mod ending;
mod eviction;
mod opening;
mod renewing;
mod repeating;
mod rotating;

use std::time::Duration;

use http::{Request, header};

use super::*;
use crate::{
    MemoryStore, SessionAuthLayer,
    clock::ManualClock,
    session::{Constraints, CreateSession, SessionStatus},
    session_auth::PresentedSession,
    store::{Agent, AgentStore, PageRequest, RegisteredAgents, SessionCursor, StoreError},
    testing::{self, NOW, Stub, other_agent, signer, verifier},
};

const TTL: u64 = 86_400;
const LIFETIME: u64 = 2_592_000;

struct Setup {
    store: MemoryStore,
    clock: ManualClock,
    sessions: SessionManager<MemoryStore>,
}

fn setup() -> Setup {
    let (store, clock) = (MemoryStore::new(), ManualClock::new(NOW));
    let sessions = SessionManager::new(store.clone(), signer()).clock(clock.clone());
    Setup {
        store,
        clock,
        sessions,
    }
}

fn request() -> CreateSession {
    CreateSession::new(testing::agent())
}

fn first_page(limit: usize) -> PageRequest<SessionCursor> {
    PageRequest { after: None, limit }
}

impl Setup {
    fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    async fn open(&self) -> IssuedSession {
        self.sessions.create(request()).await.unwrap()
    }

    /// What the renewal layer hands on for a token.
    async fn present(&self, token: &SessionToken) -> PresentedSession {
        let layer = SessionAuthLayer::for_renewal(verifier(), self.store.clone());
        let given = testing::pass(&layer, bearing(token)).await.unwrap();
        given.extensions().get::<PresentedSession>().unwrap().clone()
    }

    async fn renew(&self, token: &SessionToken) -> Result<IssuedSession, AuthError> {
        self.sessions.renew(&self.present(token).await, None).await
    }

    /// `None` when the token passes for API access, else why not.
    async fn refusal(&self, token: &SessionToken) -> Option<ErrorKind> {
        let layer = SessionAuthLayer::new(verifier(), self.store.clone()).clock(self.clock.clone());
        let verdict = testing::pass(&layer, bearing(token)).await;
        verdict.err().map(|refusal| testing::kind(&refusal))
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
async fn a_store_that_fails_is_said_to_fail_whatever_was_asked() {
    let setup = setup();
    let presented = {
        let token = setup.open().await.token;
        setup.advance(TTL / 2);
        setup.present(&token).await
    };
    for error in [
        StoreError::Timeout,
        StoreError::Unavailable("READONLY".into()),
        StoreError::Unexpected("?".into()),
    ] {
        let store = Stub::answering(Err(error));
        let sessions = SessionManager::new(store, signer()).clock(setup.clock.clone());
        let id = presented.session_id();
        for (asked, outcome) in [
            ("create", sessions.create(request()).await.map(drop)),
            ("renew", sessions.renew(&presented, None).await.map(drop)),
            ("rotate", sessions.rotate(id).await.map(drop)),
            ("revoke", sessions.revoke(id).await),
            (
                "revoke_agent",
                sessions.revoke_agent(testing::agent()).await.map(drop),
            ),
            ("get", sessions.get(id).await.map(drop)),
            ("list", sessions.list(None, first_page(1)).await.map(drop)),
        ] {
            let error = outcome.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::StoreUnavailable, "{asked}");
            assert_eq!(error.retry_after(), Some(1), "{asked}");
        }
    }
}
