//! Administrators are served while guesses fill the queue for Argon2.

use std::{task::Poll, time::Duration};

use http::{Response, StatusCode};
use tokio::task::yield_now;

use super::{
    threads::{Threads, begin, fill, finish, guesses, pass_without_argon2, service, strangers},
    *,
};
use crate::{
    ErrorKind,
    master_auth::queue::{MAX_WAITING, MAX_WAITING_PER_CLIENT},
    test_support::{Body, kind, pass, poll_once},
};

type Crowd = Box<dyn Iterator<Item = Request<()>>>;

#[tokio::test]
async fn guesses_of_new_addresses_do_not_keep_another_new_address_out_of_a_full_queue() {
    let layer = layer();
    let (mut service, mut handle) = service(&layer);
    let threads = Threads::of(&layer);
    let hold = threads.hold().await;
    let waiting = fill(&mut service, &threads, &mut strangers()).await;
    let administrator = begin(&mut service, request_from("192.0.2.1", RIGHT))
        .await
        .expect("a random guess gives way");
    drop(hold);
    let (response, ()) = tokio::join!(finish(administrator), async {
        let (_, send) = handle.next_request().await.unwrap();
        send.send_response(Response::new(Body::default()));
    });
    assert_eq!(response.status(), 200);
    let mut displaced = 0;
    for future in waiting {
        match kind(&finish(future).await) {
            ErrorKind::Overloaded => displaced += 1,
            other => assert_eq!(other, ErrorKind::InvalidMasterPassword),
        }
    }
    assert_eq!(displaced, 1);
}

#[tokio::test]
async fn right_after_a_restart_the_administrator_is_served_while_100_addresses_guess() {
    let layer = layer();
    let (mut service, mut handle) = service(&layer);
    let threads = Threads::of(&layer);
    let hold = threads.hold().await;
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
    assert!(waiting.len() >= MAX_WAITING - 1, "{}", waiting.len());
}

/// 300 guesses: from as many addresses, or from one address with one password or with several.
#[tokio::test]
async fn administrators_are_served_while_300_guesses_arrive() {
    const GUESSES: usize = 300;
    let crowds: [(Crowd, usize); 3] = [
        (Box::new(strangers()), MAX_WAITING),
        (Box::new(guesses("192.0.2.66")), MAX_WAITING_PER_CLIENT),
        (
            Box::new(std::iter::repeat_with(|| request_from("192.0.2.66", WRONG))),
            MAX_WAITING_PER_CLIENT,
        ),
    ];
    for (mut crowd, places) in crowds {
        let clock = ManualClock::new(NOW);
        let layer = layer_at(&clock);
        pass(&layer, request_from("192.0.2.1", RIGHT)).await.unwrap();
        let (mut service, mut handle) = service(&layer);
        let threads = Threads::of(&layer);
        threads.are_idle().await;
        let hold = threads.hold().await;
        let (mut waiting, mut overloaded) = (Vec::new(), 0);
        for n in 1..=GUESSES {
            // The budget of a task ends after 128 answers without a pause.
            yield_now().await;
            match begin(&mut service, crowd.next().unwrap()).await {
                Ok(guess) => waiting.push(guess),
                Err(kind) => {
                    assert_eq!(kind, ErrorKind::Overloaded);
                    overloaded += 1;
                }
            }
            if n <= threads.0.limit {
                threads.have_taken(n).await;
            }
        }
        assert_eq!(threads.0.counts(), (places, threads.0.limit));
        // Displaced guesses are answered at once, although no computation has ended.
        for guess in &mut waiting {
            yield_now().await;
            if let Poll::Ready(rejection) = poll_once(guess).await {
                assert_eq!(kind(&rejection.unwrap()), ErrorKind::Overloaded);
                overloaded += 1;
            }
        }
        assert_eq!(overloaded, GUESSES - places - threads.0.limit);

        let cached = pass_without_argon2(&layer, request_from("192.0.2.2", RIGHT)).await;
        assert!(cached.is_ok(), "a cached password has no place in the queue");
        clock.advance(Duration::from_secs(61));
        let verified = begin(&mut service, request_from("192.0.2.1", RIGHT)).await;
        let fresh = begin(&mut service, request_from("192.0.2.3", RIGHT)).await;
        drop(hold);
        let (verified, fresh, ()) = tokio::join!(finish(verified.unwrap()), finish(fresh.unwrap()), async {
            for _ in 0..2 {
                let (_, send) = handle.next_request().await.unwrap();
                send.send_response(Response::new(Body::default()));
            }
        });
        assert_eq!(
            (verified.status(), fresh.status()),
            (StatusCode::OK, StatusCode::OK)
        );
    }
}
