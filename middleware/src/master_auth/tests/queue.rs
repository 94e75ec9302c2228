//! The queue for Argon2 is bounded and fair.

use std::{task::Poll, time::Duration};

use http::{Response, StatusCode};
use tokio::task::yield_now;

use super::{
    threads::{Threads, Waiting, begin, finish, guesses, pass_without_argon2, service, strangers},
    *,
};
use crate::{
    ErrorKind, RejectionReason,
    master_auth::queue::{MAX_WAITING, MAX_WAITING_PER_CLIENT},
    test_support::{Body, Inner, kind, pass, poll_once, reason},
};

/// Fills the threads and the queue with guesses of different addresses.
async fn fill(
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

#[tokio::test]
async fn a_cancelled_request_frees_its_place() {
    let layer = layer();
    let (mut service, _handle) = service(&layer);
    let threads = Threads::of(&layer);
    let hold = threads.hold().await;
    let mut strangers = strangers();
    let mut waiting = fill(&mut service, &threads, &mut strangers).await;
    waiting.pop();
    waiting.push(begin(&mut service, strangers.next().unwrap()).await.unwrap());
    drop(hold);
    for future in waiting {
        assert_eq!(kind(&finish(future).await), ErrorKind::InvalidMasterPassword);
    }
}

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
async fn a_verified_address_waits_for_no_guess() {
    let clock = ManualClock::new(NOW);
    let layer = layer_at(&clock);
    pass(&layer, request_from("192.0.2.1", RIGHT)).await.unwrap();
    // The password is no longer cached.
    clock.advance(Duration::from_secs(3_600));
    let (mut service, _handle) = service(&layer);
    let threads = Threads::of(&layer);
    threads.are_idle().await;
    let _hold = threads.hold().await;
    let _waiting = fill(&mut service, &threads, &mut strangers()).await;
    let _administrator = begin(&mut service, request_from("192.0.2.1", RIGHT))
        .await
        .unwrap();
    // It displaces a guess, and a thread of its own takes it although the others are busy.
    threads
        .reach(|waiting, running| (waiting, running) == (MAX_WAITING - 1, threads.0.limit + 1))
        .await;
}

#[tokio::test]
async fn a_replaced_password_ends_the_preference_of_an_address() {
    let hash = phc(RIGHT);
    for (replacement, is_preferred) in [(hash.as_str(), true), (&phc(b"new"), false)] {
        let layer = MasterAuthLayer::new(&hash).unwrap();
        pass(&layer, request_from("192.0.2.1", RIGHT)).await.unwrap();
        layer.replace_credentials(Credentials::master_password(replacement).unwrap());
        let (mut service, _handle) = service(&layer);
        let threads = Threads::of(&layer);
        threads.are_idle().await;
        let _hold = threads.hold().await;
        let _waiting = fill(&mut service, &threads, &mut strangers()).await;
        let _former = begin(&mut service, request_from("192.0.2.1", WRONG))
            .await
            .unwrap();
        // The thread for preferred addresses counts from its start.
        let (_, running) = threads.0.counts();
        assert_eq!(running, threads.0.limit + usize::from(is_preferred));
    }
}

#[tokio::test]
async fn in_a_full_queue_an_address_with_failures_gives_way() {
    let layer = layer();
    pass(&layer, request_from("192.0.2.66", WRONG)).await.unwrap_err();
    let (mut service, _handle) = service(&layer);
    let threads = Threads::of(&layer);
    threads.are_idle().await;
    let hold = threads.hold().await;
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
    let rejection = finish(gives_way).await;
    assert_eq!(kind(&rejection), ErrorKind::Overloaded);
    assert_eq!(reason(&rejection), RejectionReason::Argon2QueueFull);
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
        let _hold = threads.hold().await;
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
        let rejected = pass_without_argon2(&layer, requests.next().unwrap()).await;
        let rejection = rejected.unwrap_err();
        assert_eq!(kind(&rejection), ErrorKind::Overloaded);
        assert_eq!(reason(&rejection), RejectionReason::Argon2QueueFull);
        let other = request_from("192.0.2.2", WRONG);
        assert!(begin(&mut service, other).await.is_ok());
    }
}

#[tokio::test]
async fn equal_passwords_of_one_client_share_one_computation_and_count_once() {
    let layer = layer();
    let (mut service, _handle) = service(&layer);
    let threads = Threads::of(&layer);
    let hold = threads.hold().await;
    let mut waiting = Vec::new();
    // The first ones are computed already. The others arrive while they wait.
    for n in 1..=threads.0.limit {
        waiting.push(begin(&mut service, strangers().nth(n).unwrap()).await.unwrap());
        threads.have_taken(n).await;
    }
    for _ in 0..MAX_WAITING_PER_CLIENT {
        let guess = request_from("192.0.2.1", WRONG);
        waiting.push(begin(&mut service, guess).await.unwrap());
    }
    assert_eq!(threads.0.counts().0, MAX_WAITING_PER_CLIENT, "each has a place");
    let further = begin(&mut service, request_from("192.0.2.1", WRONG)).await;
    assert_eq!(further.map(drop), Err(ErrorKind::Overloaded));
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
    let crowds: [(Box<dyn Iterator<Item = Request<()>>>, usize); 3] = [
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

/// Requests of one address take one place each, whether they share a computation or not.
#[tokio::test]
async fn requests_that_share_a_computation_are_displaced_like_others() {
    let layer = layer();
    let (mut service, _handle) = service(&layer);
    let threads = Threads::of(&layer);
    let hold = threads.hold().await;
    let waiting = fill(&mut service, &threads, &mut strangers()).await;
    drop(waiting);
    let mut sharing = Vec::new();
    for _ in 0..2 {
        let guess = request_from("192.0.2.66", WRONG);
        sharing.push(begin(&mut service, guess).await.unwrap());
    }
    let mut others = Vec::new();
    for guess in strangers().skip(1_000).take(MAX_WAITING - 1) {
        others.push(begin(&mut service, guess).await.unwrap());
    }
    let second = finish(sharing.pop().unwrap()).await;
    assert_eq!(kind(&second), ErrorKind::Overloaded, "its rank was the highest");
    drop(hold);
    let first = finish(sharing.pop().unwrap()).await;
    assert_eq!(kind(&first), ErrorKind::InvalidMasterPassword);
}
