//! The start of renewals, and requests that wait for them.

use super::*;

#[tokio::test(start_paused = true)]
async fn idle_session_is_renewed_when_due_until_its_last_handle_is_dropped() {
    let (server, clock) = (Server::default(), clock());
    let storage = MemoryStorage::new(saved("1", 0));
    let session = server.open(&clock, storage.clone()).await;
    clock.set(NOW.plus(59));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(server.renewals(), 0);
    clock.set(NOW.plus(60));
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert_eq!(server.renewals(), 1);
    assert_eq!(storage.load().await.unwrap(), saved("2", 60));

    drop(session);
    clock.set(NOW.plus(1_000));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(server.renewals(), 1);
}

#[tokio::test(start_paused = true)]
async fn expired_token_is_still_renewed_while_the_server_fails_for_a_moment() {
    let (server, clock) = (Server::default(), clock());
    let session = server.open(&clock, MemoryStorage::new(saved("1", 0))).await;
    *server.rejections.lock().unwrap() = vec![ErrorKind::StoreUnavailable; 3];
    clock.set(NOW.plus(TTL + 1));
    assert_eq!(session.token().await.unwrap().expose(), "2");

    // The wait ends if the server fails for long.
    let session = server.open(&clock, MemoryStorage::new(saved("1", 0))).await;
    *server.rejections.lock().unwrap() = vec![ErrorKind::StoreUnavailable; 100];
    assert_eq!(session.token().await.unwrap_err(), SessionOver::Expired);
}

#[tokio::test(start_paused = true)]
async fn new_token_is_kept_although_the_local_clock_says_that_it_has_expired() {
    let (server, clock) = (Server::default(), clock());
    let storage = MemoryStorage::new(saved("1", 0));
    let session = server.open(&clock, storage.clone()).await;
    clock.set(NOW.plus(100 * TTL));
    assert_eq!(session.token().await.unwrap().expose(), "2");
    assert_eq!(storage.load().await.unwrap(), saved("2", 60));
}

#[tokio::test(start_paused = true)]
async fn renewal_that_was_too_early_is_repeated_when_it_is_due() {
    let (server, clock) = (Server::default(), ManualClock::new(NOW.plus(100 * TTL)));
    let session = server.open(&clock, MemoryStorage::new(saved("1", 0))).await;
    *server.rejections.lock().unwrap() = vec![ErrorKind::RenewalTooEarly];
    assert_eq!(session.token().await.unwrap().expose(), "1");
    clock.set(NOW.plus(60));
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert_eq!(session.fresh_token().await.unwrap().expose(), "2");
}

#[tokio::test(start_paused = true)]
async fn panic_in_the_http_client_is_followed_by_slow_attempts() {
    let calls = Arc::new(AtomicU32::new(0));
    let counted = calls.clone();
    let http = service_fn(move |_: Request<Full<Bytes>>| {
        counted.fetch_add(1, Ordering::SeqCst);
        async { panic!("a defect") as Result<Response<Full<Bytes>>, BoxError> }
    });
    let clock = clock();
    let session = builder(http)
        .clock(clock.clone())
        .without_server_check()
        .open(MemoryStorage::new(saved("1", 0)))
        .await
        .unwrap();
    clock.set(NOW.plus(2 * TTL));
    for _ in 0..100 {
        assert_eq!(session.token().await.unwrap().expose(), "1");
    }
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert!((2..=31).contains(&calls.load(Ordering::SeqCst)));
}

#[tokio::test(start_paused = true)]
async fn requests_that_wait_for_a_renewal_do_not_hold_the_capacity_that_it_needs() {
    let (server, clock) = (Server::default(), clock());
    let shared = ServiceBuilder::new()
        .layer(tower::limit::GlobalConcurrencyLimitLayer::new(1))
        .service(server.http());
    let session = ClientSession::builder(shared.clone(), BASE.parse().unwrap())
        .clock(clock.clone())
        .open(MemoryStorage::new(saved("1", 0)))
        .await
        .unwrap();
    clock.set(NOW.plus(TTL));
    let mut api = session.layer().layer(shared);
    let ready = api.ready().await.unwrap();
    let (one, two) = (ready.call(get()), ready.call(get()));
    let (one, two) = tokio::join!(one, two);
    assert_eq!(one.unwrap().status(), StatusCode::OK);
    assert_eq!(two.unwrap().status(), StatusCode::OK);
    assert_eq!(server.renewals(), 1);
}

#[tokio::test(start_paused = true)]
async fn process_that_was_asleep_adopts_the_token_of_a_sibling_before_it_sends_its_own() {
    let (server, clock) = (Server::default(), clock());
    let storage = MemoryStorage::new(saved("1", 0));
    let session = server.open(&clock, storage.clone()).await;
    storage.replace(&saved("1", 0), &saved("2", 60)).await.unwrap();
    clock.set(NOW.plus(60 + 30));
    assert_eq!(session.token().await.unwrap().expose(), "2");
    assert_eq!(server.renewals(), 0);
}
