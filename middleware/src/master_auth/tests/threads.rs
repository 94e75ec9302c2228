//! Tools for tests about Argon2. A test that holds the gate of the threads sees which requests need Argon2.

use std::{pin::Pin, sync::Arc, task::Poll, time::Duration};

use http::Response;
use tokio::sync::MutexGuard;
use tower::{Layer, Service};
use tower_test::mock;

use super::*;
use crate::{
    ErrorKind,
    master_auth::{argon2_threads::Argon2Threads, queue::MAX_WAITING},
    response::ResponseBody,
    test_support::{Body, Inner, InnerHandle, kind, pass, poll_once},
};

pub(super) type Waiting = Pin<Box<ResponseFuture<Inner, ()>>>;

/// The threads of a layer, for their counts and their gate.
pub(super) struct Threads(pub(super) Arc<Argon2Threads>);

impl Threads {
    pub(super) fn of(layer: &MasterAuthLayer) -> Self {
        Self(layer.shared.threads.clone())
    }

    /// Delays all computations until the result is dropped.
    pub(super) async fn hold(&self) -> MutexGuard<'_, ()> {
        self.0.gate.lock().await
    }

    /// Waits until the threads have taken all jobs that they can take.
    pub(super) async fn have_taken(&self, submitted: usize) {
        self.reach(|waiting, _| waiting == submitted.saturating_sub(self.0.limit))
            .await;
    }

    pub(super) async fn are_idle(&self) {
        self.reach(|_, running| running == 0).await;
    }

    pub(super) async fn reach(&self, reached: impl Fn(usize, usize) -> bool) {
        let poll = async {
            loop {
                let (waiting, running) = self.0.counts();
                if reached(waiting, running) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let reached = tokio::time::timeout(Duration::from_secs(10), poll).await;
        reached.expect("the threads reach this state");
    }
}

pub(super) fn service(layer: &MasterAuthLayer) -> (MasterAuth<Inner>, InnerHandle) {
    let (inner, handle) = mock::pair();
    (layer.layer(inner), handle)
}

/// Sends a request. `Ok` when it waits, `Err` when it is rejected immediately.
pub(super) async fn begin(
    service: &mut MasterAuth<Inner>,
    request: Request<()>,
) -> Result<Waiting, ErrorKind> {
    let mut future = Box::pin(service.call(request));
    match poll_once(&mut future).await {
        Poll::Pending => Ok(future),
        Poll::Ready(response) => Err(kind(&response.unwrap())),
    }
}

pub(super) async fn finish(future: Waiting) -> Response<ResponseBody<Body>> {
    future.await.unwrap()
}

/// Fills the threads and the queue with guesses of different addresses.
pub(super) async fn fill(
    service: &mut MasterAuth<Inner>,
    threads: &Threads,
    guesses: &mut impl Iterator<Item = Request<()>>,
) -> Vec<Waiting> {
    let mut waiting = Vec::new();
    for n in 1..=threads.0.limit + MAX_WAITING {
        waiting.push(begin(service, guesses.next().unwrap()).await.unwrap());
        if n <= threads.0.limit {
            threads.have_taken(n).await;
        }
    }
    assert_eq!(threads.0.counts().0, MAX_WAITING);
    waiting
}

/// Different wrong passwords of one client.
pub(super) fn guesses(client: &str) -> impl Iterator<Item = Request<()>> {
    (0..).map(move |n: u32| request_from(client, format!("guess {n}").as_bytes()))
}

/// Wrong passwords of different clients.
pub(super) fn strangers() -> impl Iterator<Item = Request<()>> {
    (0..=u16::MAX).map(|n| request_from(&format!("198.18.{}.{}", n >> 8, n & 255), WRONG))
}

/// Sends a request that must not wait for Argon2. The deadline ends a failing test whose threads are held.
pub(super) async fn pass_without_argon2(
    layer: &MasterAuthLayer,
    request: Request<()>,
) -> Result<Request<()>, Response<ResponseBody<Body>>> {
    let answered = tokio::time::timeout(Duration::from_secs(10), pass(layer, request));
    answered.await.expect("the request does not wait for Argon2")
}
