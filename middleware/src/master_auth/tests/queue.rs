//! The queue for Argon2 is bounded and fair.

use http::Response;

use super::{
    threads::{Threads, begin, finish, guesses, service, strangers},
    *,
};
use crate::{
    ErrorKind,
    master_auth::{
        argon2_threads::MAX_SHARED,
        queue::{MAX_WAITING, MAX_WAITING_PER_CLIENT},
    },
    test_support::{Body, kind, pass},
};

#[tokio::test]
async fn a_full_queue_rejects_and_a_cancelled_request_frees_its_place() {
    let layer = layer();
    let (mut service, _handle) = service(&layer);
    let threads = Threads::of(&layer);
    let hold = threads.hold().await;
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
    let hold = threads.hold().await;
    let mut waiting = Vec::new();
    // The first ones are computed already. The others arrive while they wait.
    for n in 1..=threads.0.limit {
        waiting.push(begin(&mut service, strangers().nth(n).unwrap()).await.unwrap());
        threads.have_taken(n).await;
    }
    for _ in 0..MAX_SHARED {
        let guess = request_from("192.0.2.1", WRONG);
        waiting.push(begin(&mut service, guess).await.unwrap());
    }
    assert_eq!(threads.0.counts().0, 1);
    let further = begin(&mut service, request_from("192.0.2.1", WRONG)).await;
    assert_eq!(
        further.map(drop),
        Err(ErrorKind::Overloaded),
        "each of them holds a connection"
    );
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
