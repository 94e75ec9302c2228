//! Argon2 runs only if it must, and a cancelled request does not free the thread of its computation.

use std::time::Duration;

use http::Response;
use tower::ServiceExt;

use super::{
    threads::{Threads, begin, finish, guesses, pass_without_argon2, service, strangers},
    *,
};
use crate::{
    ErrorKind,
    master_auth::queue::{MAX_WAITING, MAX_WAITING_PER_CLIENT},
    test_support::{Body, kind, pass, poll_once},
};

#[tokio::test]
async fn a_verified_password_is_cached_for_60_seconds() {
    let clock = ManualClock::new(NOW);
    let layer = layer_at(&clock);
    pass(&layer, request(&[RIGHT])).await.unwrap();
    let (mut service, mut handle) = service(&layer);
    let threads = Threads::of(&layer);
    threads.are_idle().await;
    let hold = threads.hold().await;
    // A cache hit does not extend the time: it counts from the verification.
    for advance in [0, 30, 29] {
        clock.advance(Duration::from_secs(advance));
        assert!(
            pass_without_argon2(&layer, request(&[RIGHT])).await.is_ok(),
            "{advance}"
        );
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
    let _hold = threads.hold().await;
    let (mut service, mut handle) = service(&layer);
    assert!(pass_without_argon2(&layer, request(&[RIGHT])).await.is_ok());
    let wrong = begin(&mut service, request(&[WRONG])).await.unwrap();
    drop((wrong, service));
    assert!(handle.next_request().await.is_none(), "it waits for Argon2");
}

#[tokio::test]
async fn a_cancelled_request_keeps_its_thread_until_argon2_ends() {
    let layer = layer();
    let (mut service, _handle) = service(&layer);
    let threads = Threads::of(&layer);
    let hold = threads.hold().await;
    let mut strangers = strangers();
    for n in 1..=threads.0.limit {
        let cancelled = begin(&mut service, strangers.next().unwrap()).await.unwrap();
        threads
            .reach(|waiting, running| (waiting, running) == (0, n))
            .await;
        drop(cancelled);
    }
    // If a thread were free, one of these requests would leave the queue.
    let mut waiting = Vec::new();
    for _ in 0..MAX_WAITING {
        waiting.push(begin(&mut service, strangers.next().unwrap()).await.unwrap());
    }
    assert_eq!(threads.0.counts(), (MAX_WAITING, threads.0.limit));

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
        let hold = threads.hold().await;
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
    let hold = threads.hold().await;
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
    let hold = threads.hold().await;
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
        let hold = threads.hold().await;
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

/// The scheduler can suspend a thread of the lowest priority for seconds. If it held a lock then, requests would wait for it.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn state_is_changed_at_the_usual_priority_only() {
    use std::sync::{Arc, Mutex};

    use rustix::process::getpriority_process;

    use crate::clock::{Clock, Timestamp};

    /// Records the priorities of the threads that read it. Each change of the state reads it.
    #[derive(Clone, Default)]
    struct PriorityClock(Arc<Mutex<Vec<i32>>>);

    impl Clock for PriorityClock {
        fn now_millis(&self) -> u64 {
            self.0.lock().unwrap().push(getpriority_process(None).unwrap());
            NOW.0 * 1_000
        }

        fn now(&self) -> Timestamp {
            Timestamp::from_millis(self.now_millis())
        }
    }

    let clock = PriorityClock::default();
    let usual = getpriority_process(None).unwrap();
    let layer = MasterAuthLayer::new(&phc(RIGHT)).unwrap().clock(clock.clone());
    pass(&layer, request_from("192.0.2.1", WRONG)).await.unwrap_err();
    pass(&layer, request_from("192.0.2.1", RIGHT)).await.unwrap();
    let priorities = clock.0.lock().unwrap().clone();
    // Each of the two requests reads it when it begins, and on the thread for the lock, the cached password and the result.
    assert!(priorities.len() >= 2 * 4, "{priorities:?}");
    assert!(
        priorities.iter().all(|priority| *priority == usual),
        "{priorities:?}"
    );
}
