//! The queue for Argon2 is bounded and fair.

use std::time::Duration;

use super::{
    threads::{Threads, begin, fill, finish, pass_without_argon2, service, strangers},
    *,
};
use crate::{
    ErrorKind, RejectionReason,
    master_auth::queue::{MAX_WAITING, MAX_WAITING_PER_CLIENT},
    test_support::{kind, pass, reason},
};

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
