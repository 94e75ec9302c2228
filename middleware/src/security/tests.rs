//! [`SecurityEvents::handle`] in a layer that this crate does not provide.

use std::convert::Infallible;

use http::{Request, Response, header};
use tower::{Service, ServiceExt, service_fn};

use super::*;
use crate::{
    ErrorKind, MemoryStore,
    session::{SessionPolicy, decide},
    store::{NewSession, StoreError},
    test_support::{CapturedLogs, NOW, Stub, claims, record, sign, verifier},
    token::Claims,
};

/// A session that was renewed at `NOW` from the token of `claims()`, without retry window and overlap.
fn renewed(on_reuse: OnReuse) -> SessionRecord {
    let mut record = record(&Claims {
        generation: 1,
        ..claims()
    });
    let renewal = record.last_renewal.as_mut().unwrap();
    renewal.replaced.retry_window = 0;
    renewal.replaced.on_reuse = on_reuse;
    record
}

async fn store_with(record: &SessionRecord) -> MemoryStore {
    let store = MemoryStore::new();
    let session = NewSession::new(record.clone(), &SessionPolicy::default(), NOW);
    store.create(&session).await.unwrap();
    store
}

/// A service that authorizes by hand: it verifies, reads, decides, and leaves the rejection to `handle`.
fn by_hand<S: SessionStore>(
    store: S,
    events: SecurityEvents,
) -> impl Service<Request<()>, Response = Response<Result<(), AuthError>>, Error = Infallible> {
    service_fn(move |request: Request<()>| {
        let (store, events) = (store.clone(), events.clone());
        async move {
            let (parts, ()) = request.into_parts();
            let token = verifier().verify_request(&parts).unwrap();
            let record = store.read(token.claims().session_id).await.unwrap().unwrap();
            let outcome = match decide::admit(&record, &token, NOW) {
                Ok(_) => Ok(()),
                Err(rejection) => Err(events.handle(rejection, &record, &token, &store, NOW).await),
            };
            Ok(Response::new(outcome))
        }
    })
}

fn request(generation: u32) -> Request<()> {
    let token = sign(&Claims {
        generation,
        ..claims()
    });
    let bearer = format!("Bearer {}", token.expose());
    let request = Request::builder().header(header::AUTHORIZATION, bearer);
    request.body(()).unwrap()
}

/// The kind of error that a request with the token of this generation gets.
async fn send<S: SessionStore>(store: &S, events: &SecurityEvents, generation: u32) -> Option<ErrorKind> {
    let service = by_hand(store.clone(), events.clone());
    let response = service.oneshot(request(generation)).await.unwrap();
    response.into_body().err().map(|error| error.kind())
}

async fn revoked_at(store: &MemoryStore) -> Option<Timestamp> {
    let record = store.read(claims().session_id).await.unwrap();
    record.unwrap().revoked_at
}

#[tokio::test]
async fn layer_by_hand_counts_a_reuse_and_revokes_if_its_record_requires_it() {
    for (on_reuse, expected) in [(OnReuse::Reject, None), (OnReuse::Revoke, Some(NOW))] {
        let (store, events) = (store_with(&renewed(on_reuse)).await, SecurityEvents::new());
        assert_eq!(send(&store, &events, 1).await, None);
        assert_eq!((events.token_reuse(), events.state_lost()), (0, 0));

        let rejected = send(&store, &events, 0).await;
        assert_eq!(rejected, Some(ErrorKind::TokenSuperseded));
        assert_eq!((events.token_reuse(), events.state_lost()), (1, 0));
        assert_eq!(revoked_at(&store).await, expected, "{on_reuse:?}");

        let current = send(&store, &events, 1).await;
        assert_eq!(current, expected.map(|_| ErrorKind::SessionRevoked));
        assert_eq!(events.token_reuse(), 1);
    }
}

#[tokio::test]
async fn layer_by_hand_counts_a_lost_state_and_revokes_nothing() {
    let (store, events) = (store_with(&renewed(OnReuse::Revoke)).await, SecurityEvents::new());
    let rejected = send(&store, &events, 2).await;
    assert_eq!(rejected, Some(ErrorKind::SessionStateLost));
    assert_eq!((events.token_reuse(), events.state_lost()), (0, 1));
    assert_eq!(revoked_at(&store).await, None);
}

#[tokio::test]
async fn rejection_without_a_security_event_is_neither_counted_nor_revokes() {
    let (store, events) = (store_with(&renewed(OnReuse::Revoke)).await, SecurityEvents::new());
    let record = store.read(claims().session_id).await.unwrap().unwrap();
    let token = verifier().verify(sign(&claims()).expose()).unwrap();
    let rejection = Rejection {
        retry_after: Some(7),
        ..ErrorKind::RenewalTooEarly.into()
    };
    let error = events.handle(rejection, &record, &token, &store, NOW).await;
    assert_eq!(error.kind(), ErrorKind::RenewalTooEarly);
    assert_eq!(error.retry_after(), Some(7));
    assert_eq!((events.token_reuse(), events.state_lost()), (0, 0));
    assert_eq!(revoked_at(&store).await, None);
}

#[test]
fn revocation_needs_no_tokio_runtime() {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let mut reuse = Box::pin(async {
        let (store, events) = (store_with(&renewed(OnReuse::Revoke)).await, SecurityEvents::new());
        let rejected = send(&store, &events, 0).await;
        assert_eq!(rejected, Some(ErrorKind::TokenSuperseded));
        revoked_at(&store).await
    });
    let outcome = reuse.as_mut().poll(&mut context);
    assert_eq!(outcome, std::task::Poll::Ready(Some(NOW)));
}

#[tokio::test]
async fn failed_revocation_is_logged_and_the_token_is_still_rejected() {
    let logs = CapturedLogs::start();
    let events = SecurityEvents::new();
    let store = Stub::failing_after(Ok(Some(renewed(OnReuse::Revoke))), StoreError::Timeout);
    let rejected = send(&store, &events, 0).await;
    assert_eq!(rejected, Some(ErrorKind::TokenSuperseded));
    assert_eq!(events.token_reuse(), 1);
    let failures = logs.containing("session not revoked");
    assert_eq!(failures.len(), 1, "{failures:?}");
    assert_eq!(failures[0].0, tracing::Level::ERROR);
}
