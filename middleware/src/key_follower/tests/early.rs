//! Tokens of unknown keys.

use super::*;
use crate::{ErrorKind, MemoryStore, SessionAuthLayer, test_support::pass};

#[tokio::test(start_paused = true)]
async fn request_with_a_new_key_waits_for_one_shared_fetch_and_is_admitted() {
    let (old, new) = (key(), other_key());
    let server = KeyServer::new(&[&old]);
    let keys = server.follow().await;
    server.publish(&[&new, &old]);
    *server.delay.lock().unwrap() = seconds(1);
    sleep(seconds(10)).await;
    let requests: Vec<_> = (0..100)
        .map(|_| tokio::spawn(service(&keys).oneshot(request(&new))))
        .collect();
    for response in requests {
        assert_eq!(outcome(&response.await.unwrap().unwrap()), (200, None));
    }
    assert_eq!(server.fetches(), 2);
}

#[tokio::test(start_paused = true)]
async fn forged_tokens_cause_at_most_one_fetch_in_the_interval() {
    let server = KeyServer::new(&[&key()]);
    let keys = server.follow().await;
    let service = service(&keys);
    let forged = request(&other_key());
    for number in 0..2_000 {
        let response = service.clone().oneshot(forged.clone()).await.unwrap();
        // The first 200 come within 10 s of the first fetch, which began before them.
        let expected = if number < 200 {
            (503, Some("STORE_UNAVAILABLE"))
        } else {
            (401, Some("INVALID_TOKEN"))
        };
        assert_eq!(outcome(&response), expected, "{number}");
        sleep(Duration::from_millis(50)).await;
    }
    let fetches = server.fetches();
    assert!((9..=11).contains(&fetches), "{fetches} in 100 s");
    let admitted = service.oneshot(request(&key())).await.unwrap();
    assert_eq!(outcome(&admitted), (200, None));
}

#[tokio::test(start_paused = true)]
async fn attackers_that_spend_the_early_fetches_do_not_keep_a_new_key_out() {
    let (old, new) = (key(), other_key());
    let server = KeyServer::new(&[&old]);
    let keys = server.follow().await;
    let service = service(&keys);
    sleep(seconds(10)).await;
    let forged = service.clone().oneshot(request(&other_key())).await.unwrap();
    assert_eq!(outcome(&forged), (401, Some("INVALID_TOKEN")));
    // The early fetch is spent. The key is published only now.
    server.publish(&[&new, &old]);
    sleep(seconds(4)).await;
    let early = service.clone().oneshot(request(&new)).await.unwrap();
    assert_eq!(outcome(&early), (503, Some("STORE_UNAVAILABLE")));
    assert_eq!(early.headers()[header::RETRY_AFTER], "6");
    // The attacker is first again.
    sleep(seconds(6)).await;
    let forged = tokio::spawn(service.clone().oneshot(request(&other_key())));
    let admitted = service.clone().oneshot(request(&new)).await.unwrap();
    assert_eq!(outcome(&admitted), (200, None));
    assert_eq!(outcome(&forged.await.unwrap().unwrap()).0, 401);
}

#[tokio::test(start_paused = true)]
async fn failed_fetches_do_not_raise_the_rate_of_early_ones() {
    let server = KeyServer::new(&[&key()]);
    let keys = server.follow().await;
    server.answers(Answer::Error);
    let service = service(&keys);
    let forged = request(&other_key());
    for _ in 0..2_000 {
        let _ = service.clone().oneshot(forged.clone()).await.unwrap();
        sleep(Duration::from_millis(50)).await;
    }
    // Early fetches fail, and are followed by the back-off of failed ones.
    assert!(server.fetches() <= 17, "{} in 100 s", server.fetches());
}

#[tokio::test(start_paused = true)]
async fn unknown_key_is_503_while_the_server_does_not_answer() {
    let (old, new) = (key(), other_key());
    let server = KeyServer::new(&[&old]);
    let keys = server.follow().await;
    sleep(seconds(10)).await;
    server.answers(Answer::Never);
    let started = tokio::time::Instant::now();
    let response = service(&keys).oneshot(request(&new)).await.unwrap();
    assert_eq!(outcome(&response), (503, Some("STORE_UNAVAILABLE")));
    assert_eq!(response.headers()[header::RETRY_AFTER], "1");
    assert_eq!(started.elapsed().as_secs(), 2, "the wait is bounded");
    let known = service(&keys).oneshot(request(&old)).await.unwrap();
    assert_eq!(outcome(&known), (200, None), "known keys are not affected");
}

#[tokio::test(start_paused = true)]
async fn number_of_waiting_requests_is_bounded() {
    let server = KeyServer::new(&[&key()]);
    let keys = server.follow().await;
    sleep(seconds(10)).await;
    server.answers(Answer::Never);
    let forged = request(&other_key());
    let waiting: Vec<_> = (0..1_024)
        .map(|_| tokio::spawn(service(&keys).oneshot(forged.clone())))
        .collect();
    sleep(Duration::from_millis(1)).await;
    let started = tokio::time::Instant::now();
    let response = service(&keys).oneshot(forged).await.unwrap();
    assert_eq!(outcome(&response).0, 503);
    assert_eq!(started.elapsed(), Duration::ZERO);
    for waiting in waiting {
        assert_eq!(outcome(&waiting.await.unwrap().unwrap()).0, 503);
    }
    assert_eq!(server.fetches(), 2);
}

#[tokio::test(start_paused = true)]
async fn verifier_of_another_layer_answers_503_at_once_and_starts_the_fetch() {
    let (old, new, removed) = (key(), other_key(), other_key());
    let server = KeyServer::new(&[&old]);
    let verifier = server.follow().await.verifier();
    server.publish(&[&new, &old]);
    sleep(seconds(10)).await;
    let verify = |key: &SigningKey| verifier.verify(token_of(key).expose()).map(drop);
    assert_eq!(verify(&new), Err(ErrorKind::StoreUnavailable), "no fetch yet");
    assert_eq!(verify(&removed), Err(ErrorKind::StoreUnavailable));
    sleep(Duration::from_millis(1)).await;
    assert_eq!(verify(&new), Ok(()));
    assert_eq!(verify(&removed), Err(ErrorKind::InvalidToken));
    // Once the keys can be fetched again, the key may have been published since.
    sleep(seconds(10)).await;
    assert_eq!(verify(&removed), Err(ErrorKind::StoreUnavailable));
    sleep(Duration::from_millis(1)).await;
    assert_eq!(verify(&removed), Err(ErrorKind::InvalidToken));
}

#[tokio::test(start_paused = true)]
async fn key_that_is_published_during_a_fetch_is_not_rejected_after_it() {
    let (old, new) = (key(), other_key());
    let server = KeyServer::new(&[&old]);
    let keys = server.follow().await;
    let (service, verifier) = (service(&keys), keys.verifier());
    *server.delay.lock().unwrap() = seconds(1);
    sleep(seconds(10)).await;
    // This fetch is answered with the old key only.
    let forged = tokio::spawn(service.clone().oneshot(request(&other_key())));
    sleep(Duration::from_millis(500)).await;
    server.publish(&[&new, &old]);
    let early = service.clone().oneshot(request(&new)).await.unwrap();
    assert_eq!(outcome(&early), (503, Some("STORE_UNAVAILABLE")));
    assert_eq!(early.headers()[header::RETRY_AFTER], "9");
    assert_eq!(
        verifier.verify(token_of(&new).expose()).unwrap_err(),
        ErrorKind::StoreUnavailable
    );
    assert_eq!(outcome(&forged.await.unwrap().unwrap()).0, 401);
    sleep(seconds(9)).await;
    let admitted = service.oneshot(request(&new)).await.unwrap();
    assert_eq!(outcome(&admitted), (200, None));
}

#[tokio::test(start_paused = true)]
async fn key_that_was_absent_is_503_while_the_next_fetch_is_due_or_too_slow() {
    let (old, new) = (key(), other_key());
    let server = KeyServer::new(&[&old]);
    let keys = server.follow().await;
    let (service, verifier) = (service(&keys), keys.verifier());
    let verify = || verifier.verify(token_of(&new).expose()).map(drop);
    sleep(seconds(10)).await;
    let absent = service.clone().oneshot(request(&new)).await.unwrap();
    assert_eq!(outcome(&absent), (401, Some("INVALID_TOKEN")));
    assert_eq!(verify(), Err(ErrorKind::InvalidToken));
    server.publish(&[&new, &old]);
    *server.delay.lock().unwrap() = seconds(4);
    sleep(seconds(10)).await;
    assert_eq!(verify(), Err(ErrorKind::StoreUnavailable), "a fetch is due");
    let slow = service.clone().oneshot(request(&new)).await.unwrap();
    assert_eq!(outcome(&slow), (503, Some("STORE_UNAVAILABLE")));
    assert_eq!(verify(), Err(ErrorKind::StoreUnavailable), "a fetch runs");
    sleep(seconds(3)).await;
    assert_eq!(verify(), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn fetch_that_takes_longer_than_the_interval_shows_that_a_key_does_not_exist() {
    let server = KeyServer::new(&[&key()]);
    let builder = server
        .builder()
        .early_refresh_interval(Duration::from_millis(100));
    let keys = builder.start().await.unwrap();
    *server.delay.lock().unwrap() = seconds(1);
    sleep(seconds(1)).await;
    let forged = service(&keys).oneshot(request(&other_key())).await.unwrap();
    assert_eq!(outcome(&forged), (401, Some("INVALID_TOKEN")));
}

#[tokio::test(start_paused = true)]
async fn session_layer_answers_503_until_keys_were_loaded() {
    let server = KeyServer::new(&[]);
    server.answers(Answer::Error);
    let keys = server.builder().start_with([]).unwrap();
    let layer = SessionAuthLayer::new(keys.verifier(), MemoryStore::new()).clock(ManualClock::new(NOW));
    for wait in [0, 1, 60] {
        sleep(seconds(wait)).await;
        let rejection = pass(&layer, request(&key())).await.unwrap_err();
        assert_eq!(
            outcome(&rejection),
            (503, Some("STORE_UNAVAILABLE")),
            "after {wait} s"
        );
        assert_eq!(rejection.headers()[header::RETRY_AFTER], "1");
        assert!(!rejection.headers().contains_key(header::WWW_AUTHENTICATE));
    }
    server.publish(&[&key()]);
    sleep(seconds(31)).await;
    let rejection = pass(&layer, request(&key())).await.unwrap_err();
    assert_eq!(
        outcome(&rejection),
        (401, Some("SESSION_NOT_FOUND")),
        "the key is known"
    );
}

#[tokio::test(start_paused = true)]
async fn malformed_key_ids_start_no_fetch() {
    let server = KeyServer::new(&[&key()]);
    let keys = server.follow().await;
    sleep(seconds(10)).await;
    let token = token_of(&other_key());
    let (head, _) = token.expose().rsplit_once('.').unwrap();
    for footer in ["", "e30", "eyJraWQiOiJ4In0", "eyJraWQiOiJrNC5waWQuIn0"] {
        let verified = keys.verifier().verify(&format!("{head}.{footer}"));
        assert!(verified.is_err());
    }
    sleep(seconds(1)).await;
    assert_eq!(server.fetches(), 1);
}
