//! Limits how many Argon2 computations run at once. A cancelled request keeps its permit until its computation ends.
//!
//! The runtime of these tests has one thread for blocking work. A test that holds it sees which requests need Argon2.

use std::{pin::Pin, sync::mpsc, task::Poll, time::Duration};

use http::Response;
use tokio::{
    runtime::Builder,
    task::{JoinHandle, spawn_blocking},
};
use tower::{Layer, Service, ServiceExt};
use tower_test::mock;

use super::*;
use crate::{
    ErrorKind,
    response::ResponseBody,
    test_support::{Body, Inner, InnerHandle, kind, pass, poll_once},
};

const PERMITS: usize = 2;
const MAX_WAITING: usize = 64;

type Waiting = Pin<Box<ResponseFuture<Inner, ()>>>;

fn run(test: impl Future<Output = ()>) {
    let mut runtime = Builder::new_current_thread();
    let runtime = runtime.max_blocking_threads(1).enable_time().build().unwrap();
    // The deadline ends a failing test that waits for Argon2 while the thread is held.
    let finished = runtime.block_on(async { tokio::time::timeout(Duration::from_secs(10), test).await });
    finished.expect("no request waits for the held thread");
}

/// Blocks the only thread that can run Argon2, until it is dropped.
struct Hold {
    _release: mpsc::Sender<()>,
}

impl Hold {
    fn new() -> Self {
        let (release, held) = mpsc::channel();
        spawn_blocking(move || held.recv());
        Self { _release: release }
    }
}

/// Waits until all blocking work that was started before is done.
fn blocking_work_is_done() -> JoinHandle<()> {
    spawn_blocking(|| ())
}

fn service(layer: &MasterAuthLayer) -> (MasterAuth<Inner>, InnerHandle) {
    let (inner, handle) = mock::pair();
    (layer.layer(inner), handle)
}

/// Sends a request. `Ok` when it waits, `Err` when it is rejected immediately.
async fn begin(service: &mut MasterAuth<Inner>, request: Request<()>) -> Result<Waiting, ErrorKind> {
    let mut future = Box::pin(service.call(request));
    match poll_once(&mut future).await {
        Poll::Pending => Ok(future),
        Poll::Ready(response) => Err(kind(&response.unwrap())),
    }
}

async fn finish(future: Waiting) -> Response<ResponseBody<Body>> {
    future.await.unwrap()
}

#[test]
fn a_verified_password_is_cached_for_60_seconds() {
    run(async {
        let clock = ManualClock::new(NOW);
        let layer = layer_at(&clock);
        pass(&layer, request(&[RIGHT])).await.unwrap();
        let (mut service, mut handle) = service(&layer);
        let hold = Hold::new();
        // A cache hit does not extend the time: it counts from the verification.
        for advance in [0, 30, 29] {
            clock.advance(Duration::from_secs(advance));
            assert!(pass(&layer, request(&[RIGHT])).await.is_ok(), "{advance}");
        }
        let wrong = begin(&mut service, request(&[WRONG])).await.unwrap();
        clock.advance(Duration::from_secs(1));
        let expired = begin(&mut service, request(&[RIGHT])).await.unwrap();
        drop((wrong, expired, service));
        assert!(handle.next_request().await.is_none(), "both wait for Argon2");
        drop(hold);

        blocking_work_is_done().await.unwrap();
        assert!(pass(&layer, request(&[RIGHT])).await.is_ok());
    });
}

#[test]
fn a_wrong_password_is_not_cached_and_does_not_replace_the_right_one() {
    run(async {
        let layer = layer();
        pass(&layer, request(&[RIGHT])).await.unwrap();
        pass(&layer, request(&[WRONG])).await.unwrap_err();
        let _hold = Hold::new();
        let (mut service, mut handle) = service(&layer);
        assert!(pass(&layer, request(&[RIGHT])).await.is_ok());
        let wrong = begin(&mut service, request(&[WRONG])).await.unwrap();
        drop((wrong, service));
        assert!(handle.next_request().await.is_none(), "it waits for Argon2");
    });
}

#[test]
fn a_full_queue_rejects_and_a_cancelled_request_frees_its_place() {
    run(async {
        let (mut service, _handle) = service(&layer());
        let hold = Hold::new();
        let mut waiting = Vec::new();
        for _ in 0..PERMITS + MAX_WAITING {
            waiting.push(begin(&mut service, request(&[WRONG])).await.unwrap());
        }
        let rejected = begin(&mut service, request(&[RIGHT])).await;
        assert_eq!(rejected.map(drop), Err(ErrorKind::Overloaded));

        waiting.pop();
        waiting.push(begin(&mut service, request(&[WRONG])).await.unwrap());
        let rejected = begin(&mut service, request(&[RIGHT])).await;
        assert_eq!(rejected.map(drop), Err(ErrorKind::Overloaded));

        drop(hold);
        for future in waiting {
            assert_eq!(kind(&finish(future).await), ErrorKind::InvalidMasterPassword);
        }
    });
}

#[test]
fn one_client_or_ipv6_network_cannot_fill_the_queue() {
    run(async {
        for clients in [["192.0.2.1", "192.0.2.1"], ["2001:db8::1", "2001:db8::2"]] {
            let (mut service, _handle) = service(&layer());
            let _hold = Hold::new();
            let mut requests = clients.iter().cycle().map(|client| request_from(client, WRONG));
            let mut waiting = Vec::new();
            for request in requests.by_ref().take(PERMITS + 16) {
                waiting.push(begin(&mut service, request).await.unwrap());
            }
            let rejected = begin(&mut service, requests.next().unwrap()).await;
            assert_eq!(rejected.map(drop), Err(ErrorKind::Overloaded));
            let other = request_from("192.0.2.2", WRONG);
            assert!(begin(&mut service, other).await.is_ok());
        }
    });
}

#[test]
fn a_cancelled_request_keeps_its_permit_until_argon2_ends() {
    run(async {
        let (mut service, _handle) = service(&layer());
        let hold = Hold::new();
        for _ in 0..PERMITS {
            drop(begin(&mut service, request(&[WRONG])).await.unwrap());
        }
        // If the permits were free, two of these requests would leave the queue, and all would find a place.
        let mut waiting = Vec::new();
        for _ in 0..MAX_WAITING {
            waiting.push(begin(&mut service, request(&[WRONG])).await.unwrap());
        }
        let rejected = begin(&mut service, request(&[WRONG])).await;
        assert_eq!(rejected.map(drop), Err(ErrorKind::Overloaded));

        drop(hold);
        for future in waiting {
            assert_eq!(kind(&finish(future).await), ErrorKind::InvalidMasterPassword);
        }
    });
}

#[test]
fn a_cancelled_guess_counts_against_its_address() {
    run(async {
        let layer = layer();
        let (mut service, _handle) = service(&layer);
        for _ in 0..5 {
            let hold = Hold::new();
            let guess = begin(&mut service, request_from("192.0.2.1", WRONG)).await;
            drop(guess.unwrap());
            drop(hold);
            blocking_work_is_done().await.unwrap();
        }
        let rejected = begin(&mut service, request_from("192.0.2.1", RIGHT)).await;
        assert_eq!(rejected.map(drop), Err(ErrorKind::MasterPasswordLocked));
    });
}

#[test]
fn waiting_guesses_are_rejected_once_their_address_is_locked() {
    run(async {
        let (mut service, _handle) = service(&layer());
        let hold = Hold::new();
        let mut waiting = Vec::new();
        for _ in 0..PERMITS + 16 {
            let request = request_from("192.0.2.1", WRONG);
            waiting.push(begin(&mut service, request).await.unwrap());
        }
        drop(hold);
        let mut wrong = 0;
        for future in waiting {
            match kind(&finish(future).await) {
                ErrorKind::InvalidMasterPassword => wrong += 1,
                other => assert_eq!(other, ErrorKind::MasterPasswordLocked),
            }
        }
        // When the fifth guess failed, the other permits may have been in use already.
        assert!((5..5 + PERMITS).contains(&wrong), "{wrong}");
    });
}

#[test]
fn a_cancelled_request_does_not_reach_the_inner_service() {
    run(async {
        let (mut service, mut handle) = service(&layer());
        let hold = Hold::new();
        drop(begin(&mut service, request(&[RIGHT])).await.unwrap());
        drop(hold);
        blocking_work_is_done().await.unwrap();
        drop(service);
        assert!(handle.next_request().await.is_none());
    });
}

#[test]
fn an_admitted_request_waits_until_the_inner_service_is_ready() {
    run(async {
        let layer = layer();
        pass(&layer, request(&[RIGHT])).await.unwrap();
        let (mut service, mut handle) = service(&layer);
        handle.allow(0);
        assert!(poll_once(&mut service.ready()).await.is_ready(), "always ready");
        let future = begin(&mut service, request(&[RIGHT])).await.unwrap();
        handle.allow(1);
        let (response, ()) = tokio::join!(finish(future), async {
            let (_, send) = handle.next_request().await.unwrap();
            send.send_response(Response::new(Body::default()));
        });
        assert_eq!(response.status(), 200);
    });
}
