//! Limits how many Argon2 computations run at once. A cancelled request does not free the thread of its computation.
//!
//! A test that holds the gate of the threads sees which requests need Argon2.

use std::{
    pin::Pin,
    sync::{Arc, MutexGuard},
    task::Poll,
    time::Duration,
};

use http::Response;
use tower::{Layer, Service, ServiceExt};
use tower_test::mock;

use super::*;
use crate::{
    ErrorKind,
    master_auth::{
        argon2_threads::Argon2Threads,
        queue::{MAX_WAITING, MAX_WAITING_PER_CLIENT},
    },
    response::ResponseBody,
    test_support::{Body, Inner, InnerHandle, kind, pass, poll_once},
};

type Waiting = Pin<Box<ResponseFuture<Inner, ()>>>;

/// The threads of a layer, for their counts and their gate.
struct Threads(Arc<Argon2Threads>);

impl Threads {
    fn of(layer: &MasterAuthLayer) -> Self {
        Self(layer.shared.threads.clone())
    }

    /// Delays all computations until the result is dropped.
    fn hold(&self) -> MutexGuard<'_, ()> {
        self.0.gate.lock().unwrap()
    }

    /// Waits until the threads have taken all jobs that they can take.
    async fn have_taken(&self, submitted: usize) {
        self.reach(|waiting, _| waiting == submitted.saturating_sub(self.0.limit))
            .await;
    }

    async fn are_idle(&self) {
        self.reach(|_, running| running == 0).await;
    }

    async fn reach(&self, reached: impl Fn(usize, usize) -> bool) {
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

/// Different wrong passwords of one client.
fn guesses(client: &str) -> impl Iterator<Item = Request<()>> {
    (0..).map(move |n: u32| request_from(client, format!("guess {n}").as_bytes()))
}

/// Wrong passwords of different clients.
fn strangers() -> impl Iterator<Item = Request<()>> {
    (0..=u16::MAX).map(|n| request_from(&format!("198.18.{}.{}", n >> 8, n & 255), WRONG))
}

#[tokio::test]
async fn a_verified_password_is_cached_for_60_seconds() {
    let clock = ManualClock::new(NOW);
    let layer = layer_at(&clock);
    pass(&layer, request(&[RIGHT])).await.unwrap();
    let (mut service, mut handle) = service(&layer);
    let threads = Threads::of(&layer);
    threads.are_idle().await;
    let hold = threads.hold();
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

    threads.are_idle().await;
    assert!(pass(&layer, request(&[RIGHT])).await.is_ok());
}

#[tokio::test]
async fn a_wrong_password_is_not_cached_and_does_not_replace_the_right_one() {
    let layer = layer();
    pass(&layer, request(&[RIGHT])).await.unwrap();
    pass(&layer, request(&[WRONG])).await.unwrap_err();
    let threads = Threads::of(&layer);
    let _hold = threads.hold();
    let (mut service, mut handle) = service(&layer);
    assert!(pass(&layer, request(&[RIGHT])).await.is_ok());
    let wrong = begin(&mut service, request(&[WRONG])).await.unwrap();
    drop((wrong, service));
    assert!(handle.next_request().await.is_none(), "it waits for Argon2");
}

#[tokio::test]
async fn a_full_queue_rejects_and_a_cancelled_request_frees_its_place() {
    let layer = layer();
    let (mut service, _handle) = service(&layer);
    let threads = Threads::of(&layer);
    let hold = threads.hold();
    let mut strangers = strangers();
    let mut waiting = Vec::new();
    for n in 1..=threads.0.limit + MAX_WAITING {
        waiting.push(begin(&mut service, strangers.next().unwrap()).await.unwrap());
        if n <= threads.0.limit {
            threads.have_taken(n).await;
        }
    }
    let rejected = begin(&mut service, request_from("192.0.2.1", RIGHT)).await;
    assert_eq!(rejected.map(drop), Err(ErrorKind::Overloaded));

    waiting.pop();
    waiting.push(begin(&mut service, strangers.next().unwrap()).await.unwrap());
    let rejected = begin(&mut service, request_from("192.0.2.1", RIGHT)).await;
    assert_eq!(rejected.map(drop), Err(ErrorKind::Overloaded));

    drop(hold);
    for future in waiting {
        assert_eq!(kind(&finish(future).await), ErrorKind::InvalidMasterPassword);
    }
}

#[tokio::test]
async fn in_a_full_queue_an_address_with_failures_gives_way() {
    let layer = layer();
    pass(&layer, request_from("192.0.2.66", WRONG)).await.unwrap_err();
    let (mut service, _handle) = service(&layer);
    let threads = Threads::of(&layer);
    threads.are_idle().await;
    let hold = threads.hold();
    let mut strangers = strangers();
    let mut waiting = Vec::new();
    for n in 1..threads.0.limit + MAX_WAITING {
        waiting.push(begin(&mut service, strangers.next().unwrap()).await.unwrap());
        if n <= threads.0.limit {
            threads.have_taken(n).await;
        }
    }
    let guess = request_from("192.0.2.66", b"another guess");
    let gives_way = begin(&mut service, guess).await.unwrap();
    let administrator = begin(&mut service, request_from("192.0.2.1", WRONG))
        .await
        .unwrap();
    assert_eq!(kind(&finish(gives_way).await), ErrorKind::Overloaded);
    drop(hold);
    assert_eq!(
        kind(&finish(administrator).await),
        ErrorKind::InvalidMasterPassword
    );
}

#[tokio::test]
async fn one_client_or_ipv6_network_cannot_fill_the_queue() {
    for clients in [["192.0.2.1", "192.0.2.1"], ["2001:db8::1", "2001:db8::2"]] {
        let layer = layer();
        let (mut service, _handle) = service(&layer);
        let threads = Threads::of(&layer);
        let _hold = threads.hold();
        let passwords = (0..).map(|n: u32| format!("guess {n}"));
        let mut requests = clients.iter().cycle().zip(passwords);
        let mut requests = std::iter::from_fn(|| {
            let (client, password) = requests.next()?;
            Some(request_from(client, password.as_bytes()))
        });
        let mut waiting = Vec::new();
        for n in 1..=threads.0.limit + MAX_WAITING_PER_CLIENT {
            waiting.push(begin(&mut service, requests.next().unwrap()).await.unwrap());
            if n <= threads.0.limit {
                threads.have_taken(n).await;
            }
        }
        let rejected = begin(&mut service, requests.next().unwrap()).await;
        assert_eq!(rejected.map(drop), Err(ErrorKind::Overloaded));
        let other = request_from("192.0.2.2", WRONG);
        assert!(begin(&mut service, other).await.is_ok());
    }
}

#[tokio::test]
async fn equal_passwords_of_one_client_share_one_computation_and_count_once() {
    let layer = layer();
    let (mut service, _handle) = service(&layer);
    let threads = Threads::of(&layer);
    let hold = threads.hold();
    let mut waiting = Vec::new();
    // The first ones are computed already. The others arrive while they wait.
    for n in 1..=threads.0.limit {
        waiting.push(begin(&mut service, strangers().nth(n).unwrap()).await.unwrap());
        threads.have_taken(n).await;
    }
    for _ in 0..50 {
        let guess = request_from("192.0.2.1", WRONG);
        waiting.push(begin(&mut service, guess).await.unwrap());
    }
    assert_eq!(threads.0.counts().0, 1);
    drop(hold);
    for future in waiting {
        assert_eq!(kind(&finish(future).await), ErrorKind::InvalidMasterPassword);
    }
    assert!(pass(&layer, request_from("192.0.2.1", RIGHT)).await.is_ok());
}

#[tokio::test]
async fn right_after_a_restart_the_administrator_is_served_while_100_addresses_guess() {
    let layer = layer();
    let (mut service, mut handle) = service(&layer);
    let threads = Threads::of(&layer);
    let hold = threads.hold();
    let mut waiting = Vec::new();
    for n in 0..100 {
        for guess in guesses(&format!("198.51.100.{n}")).take(MAX_WAITING_PER_CLIENT) {
            waiting.extend(begin(&mut service, guess).await);
        }
    }
    let administrator = begin(&mut service, request_from("192.0.2.1", RIGHT))
        .await
        .unwrap();
    drop(hold);
    let (response, ()) = tokio::join!(finish(administrator), async {
        let (_, send) = handle.next_request().await.unwrap();
        send.send_response(Response::new(Body::default()));
    });
    assert_eq!(response.status(), 200);
    let unanswered = waiting.iter_mut().map(poll_once);
    assert!(unanswered.count() > 200, "{}", waiting.len());
}

#[tokio::test]
async fn a_cancelled_request_keeps_its_thread_until_argon2_ends() {
    let layer = layer();
    let (mut service, _handle) = service(&layer);
    let threads = Threads::of(&layer);
    let hold = threads.hold();
    let mut strangers = strangers();
    for n in 1..=threads.0.limit {
        let cancelled = begin(&mut service, strangers.next().unwrap()).await.unwrap();
        threads
            .reach(|waiting, running| (waiting, running) == (0, n))
            .await;
        drop(cancelled);
    }
    // If a thread were free, one of these requests would leave the queue, and one more would find a place.
    let mut waiting = Vec::new();
    for _ in 0..MAX_WAITING {
        waiting.push(begin(&mut service, strangers.next().unwrap()).await.unwrap());
    }
    let rejected = begin(&mut service, strangers.next().unwrap()).await;
    assert_eq!(rejected.map(drop), Err(ErrorKind::Overloaded));

    drop(hold);
    for future in waiting {
        assert_eq!(kind(&finish(future).await), ErrorKind::InvalidMasterPassword);
    }
}

#[tokio::test]
async fn a_cancelled_guess_counts_against_its_address() {
    let layer = layer();
    let (mut service, _handle) = service(&layer);
    let threads = Threads::of(&layer);
    for guess in guesses("192.0.2.1").take(5) {
        let hold = threads.hold();
        let guess = begin(&mut service, guess).await.unwrap();
        threads.have_taken(1).await;
        drop((guess, hold));
        threads.are_idle().await;
    }
    let rejected = begin(&mut service, request_from("192.0.2.1", RIGHT)).await;
    assert_eq!(rejected.map(drop), Err(ErrorKind::MasterPasswordLocked));
}

#[tokio::test]
async fn waiting_guesses_are_rejected_once_their_address_is_locked() {
    let layer = layer();
    for guess in guesses("192.0.2.1").take(4) {
        pass(&layer, guess).await.unwrap_err();
    }
    let (mut service, _handle) = service(&layer);
    let threads = Threads::of(&layer);
    threads.are_idle().await;
    let hold = threads.hold();
    let mut waiting = Vec::new();
    for guess in guesses("192.0.2.1").skip(4).take(MAX_WAITING_PER_CLIENT) {
        waiting.push(begin(&mut service, guess).await.unwrap());
    }
    drop(hold);
    let mut wrong = 0;
    for future in waiting {
        match kind(&finish(future).await) {
            ErrorKind::InvalidMasterPassword => wrong += 1,
            other => assert_eq!(other, ErrorKind::MasterPasswordLocked),
        }
    }
    // When the fifth guess failed, the other threads may have computed already.
    assert!((1..=threads.0.limit).contains(&wrong), "{wrong}");
}

#[tokio::test]
async fn a_cancelled_request_does_not_reach_the_inner_service() {
    let layer = layer();
    let (mut service, mut handle) = service(&layer);
    let threads = Threads::of(&layer);
    let hold = threads.hold();
    drop(begin(&mut service, request(&[RIGHT])).await.unwrap());
    drop(hold);
    threads.are_idle().await;
    drop(service);
    assert!(handle.next_request().await.is_none());
}

#[tokio::test]
async fn a_password_that_was_replaced_during_its_computation_is_rejected() {
    let layer = layer();
    let (mut service, mut handle) = service(&layer);
    let threads = Threads::of(&layer);
    for (new, right) in [(phc(b"new"), false), (phc(RIGHT), true)] {
        let hold = threads.hold();
        let future = begin(&mut service, request(&[RIGHT])).await.unwrap();
        threads.have_taken(1).await;
        layer.replace_credentials(Credentials::master_password(&new).unwrap());
        drop(hold);
        if right {
            let (response, ()) = tokio::join!(finish(future), async {
                let (_, send) = handle.next_request().await.unwrap();
                send.send_response(Response::new(Body::default()));
            });
            assert_eq!(response.status(), 200);
        } else {
            assert_eq!(kind(&finish(future).await), ErrorKind::InvalidMasterPassword);
        }
    }
}

#[tokio::test]
async fn an_admitted_request_waits_until_the_inner_service_is_ready() {
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
}
