//! Keys that the server does not confirm.

use super::*;

#[tokio::test(start_paused = true)]
async fn keys_that_are_too_old_are_dropped_until_a_fetch_succeeds() {
    let server = KeyServer::new(&[&key()]);
    let keys = server
        .builder()
        .max_staleness(seconds(3_600))
        .start()
        .await
        .unwrap();
    let service = service(&keys);
    let verifier = keys.verifier();
    let status = |service: &_| {
        let service = Clone::clone(service);
        async move { outcome(&ServiceExt::oneshot(service, request(&key())).await.unwrap()) }
    };
    // The last good fetch starts within the first 300 s.
    sleep(seconds(290)).await;
    let age = keys.status().age;
    server.answers(Answer::Error);
    sleep(seconds(3_599) - age).await;
    assert_eq!(status(&service).await, (200, None));
    sleep(seconds(2)).await;
    assert!(keys.status().stale);
    assert_eq!(status(&service).await, (503, Some("STORE_UNAVAILABLE")));
    assert_eq!(
        verifier.verify(token_of(&key()).expose()).unwrap_err(),
        crate::ErrorKind::StoreUnavailable
    );

    server.publish(&[&key()]);
    sleep(seconds(31)).await;
    assert_eq!(status(&service).await, (200, None));
    assert!(!keys.status().stale);
}

#[tokio::test(start_paused = true)]
async fn fetch_that_hangs_does_not_keep_keys_that_are_too_old() {
    let server = KeyServer::new(&[&key()]);
    let builder = server.builder().timeout(seconds(10_000));
    let keys = builder.max_staleness(seconds(1_000)).start().await.unwrap();
    server.answers(Answer::Never);
    sleep(seconds(999)).await;
    assert!(accepts(&keys.verifier(), &key()));
    sleep(Duration::from_millis(1_001)).await;
    assert!(!accepts(&keys.verifier(), &key()));
}

#[tokio::test(start_paused = true)]
async fn keys_are_confirmed_twice_within_a_short_staleness() {
    let server = KeyServer::new(&[&key()]);
    let keys = server.builder().max_staleness(seconds(60)).start().await.unwrap();
    for _ in 0..100 {
        sleep(seconds(7)).await;
        assert!(accepts(&keys.verifier(), &key()));
    }
}

#[tokio::test(start_paused = true)]
async fn unlimited_staleness_keeps_the_keys() {
    let server = KeyServer::new(&[&key()]);
    let keys = server
        .builder()
        .max_staleness(Duration::MAX)
        .start()
        .await
        .unwrap();
    server.answers(Answer::Error);
    sleep(seconds(400_000)).await;
    assert!(accepts(&keys.verifier(), &key()));
}
