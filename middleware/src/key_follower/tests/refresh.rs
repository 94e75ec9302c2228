//! Regular fetches, and responses that change nothing.

use super::*;

#[tokio::test(start_paused = true)]
async fn first_fetch_must_succeed_or_keys_must_be_given() {
    let server = KeyServer::new(&[&key()]);
    server.answers(Answer::Error);
    let error = server.builder().start().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the server of the keys cannot be reached: connection refused"
    );
    let keys = server
        .builder()
        .start_with([key().verifying_key().clone()])
        .unwrap();
    assert!(accepts(&keys.verifier(), &key()));
    let new = other_key();
    server.publish(&[&new, &key()]);
    sleep(seconds(3)).await;
    assert!(accepts(&keys.verifier(), &new), "the fetch was repeated");

    for url in ["/v1/keys", "ftp://sessions.example/v1/keys"] {
        let builder = KeyFollower::builder(
            service_fn(async |_| respond(Answer::Error).await),
            url.parse().unwrap(),
        );
        assert!(matches!(builder.start_with([]), Err(KeyFetchError::Url)), "{url}");
    }
}

#[tokio::test(start_paused = true)]
async fn keys_are_fetched_again_before_max_age_and_only_then() {
    let (old, new) = (key(), other_key());
    let server = KeyServer::new(&[&old]);
    let keys = server.follow().await;
    let verifier = keys.verifier();
    server.publish(&[&new]);
    sleep(seconds(224)).await;
    assert_eq!(server.fetches(), 1);
    assert!(accepts(&verifier, &old));
    sleep(seconds(62)).await;
    assert_eq!(server.fetches(), 2);
    assert!(accepts(&verifier, &new));
    assert!(
        !accepts(&verifier, &old),
        "a token of a removed key is not admitted from the cache"
    );
    sleep(seconds(24 * 300)).await;
    assert!((26..=34).contains(&server.fetches()), "{}", server.fetches());
    assert_eq!(keys.status().failures, 0);
}

#[tokio::test(start_paused = true)]
async fn response_that_is_not_a_list_of_keys_changes_nothing() {
    let raw = |status: u16, body: &'static [u8]| {
        Answer::Raw(StatusCode::from_u16(status).unwrap(), Bytes::from_static(body))
    };
    let large = format!("{{\"keys\":[],\"more\":\"{}\"}}", "x".repeat(64 * 1024));
    let secret = format!(
        "{{\"keys\":[{{\"kid\":\"{}\",\"paserk\":\"{}\",\"status\":\"signing\"}}]}}",
        key().verifying_key().id(),
        key().to_paserk()
    );
    for (name, answer) in [
        ("an error", Answer::Error),
        ("no response", Answer::Never),
        ("a panic", Answer::Panic),
        ("503", raw(503, b"")),
        ("a redirect", raw(302, b"")),
        ("a login page", raw(200, b"<html>")),
        ("another document", raw(200, b"{}")),
        ("no keys", raw(200, b"{\"keys\":[]}")),
        ("a large body", Answer::Raw(StatusCode::OK, large.into())),
        ("a secret key", Answer::Raw(StatusCode::OK, secret.into())),
    ] {
        let server = KeyServer::new(&[&key()]);
        let keys = server.follow().await;
        let verifier = keys.verifier();
        server.answers(answer);
        sleep(seconds(300)).await;
        let status = keys.status();
        assert!(
            status.failures >= 1 && status.age >= seconds(285),
            "{name}: {status:?}"
        );
        assert!(accepts(&verifier, &key()), "{name}");
        let new = other_key();
        server.publish(&[&new, &key()]);
        sleep(seconds(36)).await;
        assert!(accepts(&verifier, &new), "{name}: the next good response is used");
        assert_eq!(keys.status().failures, 0, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn failed_fetches_are_repeated_with_back_off() {
    let server = KeyServer::new(&[&key()]);
    let _keys = server.follow().await;
    server.answers(Answer::Error);
    sleep(seconds(300)).await;
    let before = server.fetches();
    sleep(seconds(3_000)).await;
    let fetches = server.fetches() - before;
    assert!((100..=200).contains(&fetches), "{fetches} in 3,000 s");
}

#[tokio::test(start_paused = true)]
async fn fetches_end_when_the_follower_and_its_verifiers_are_dropped() {
    let server = KeyServer::new(&[&key()]);
    let keys = server.follow().await;
    let verifier = keys.verifier();
    drop(keys);
    sleep(seconds(300)).await;
    assert_eq!(server.fetches(), 2, "a verifier keeps its follower running");
    drop(verifier);
    sleep(seconds(3_000)).await;
    assert_eq!(server.fetches(), 2);
}
