//! Tokens of unknown keys.

use super::*;

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
    for _ in 0..2_000 {
        let response = service.clone().oneshot(forged.clone()).await.unwrap();
        assert_eq!(outcome(&response), (401, Some("INVALID_TOKEN")));
        sleep(Duration::from_millis(50)).await;
    }
    let fetches = server.fetches();
    assert!((9..=11).contains(&fetches), "{fetches} in 100 s");
    let admitted = service.oneshot(request(&key())).await.unwrap();
    assert_eq!(outcome(&admitted), (200, None));
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
async fn verifier_of_another_layer_rejects_at_once_and_starts_the_fetch() {
    let (old, new) = (key(), other_key());
    let server = KeyServer::new(&[&old]);
    let verifier = server.follow().await.verifier();
    server.publish(&[&new, &old]);
    sleep(seconds(10)).await;
    assert!(!accepts(&verifier, &new));
    sleep(Duration::from_millis(1)).await;
    assert!(accepts(&verifier, &new));
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
