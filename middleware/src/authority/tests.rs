use super::*;
use crate::{
    clock::ManualClock,
    error::ErrorKind,
    session::CreateSession,
    session_auth::{AuthenticatedSession, PresentedSession},
    store::{Agent, AgentStore as _, MemoryStore},
    test_support::{self, NOW, agent, key, kind, pass},
};

fn builder() -> SessionAuthorityBuilder<MemoryStore, RegisteredAgents<MemoryStore>> {
    SessionAuthority::builder(KeySet::single(key()), MemoryStore::new()).clock(ManualClock::new(NOW))
}

#[tokio::test]
async fn all_parts_agree_on_keys_token_settings_store_clock_and_header() {
    let store = MemoryStore::new();
    store.register(&Agent::new(agent(), NOW)).await.unwrap();
    let clock = ManualClock::new(NOW);
    let authority = SessionAuthority::builder(KeySet::single(key()), store)
        .prefix("key_")
        .issuer("https://sessions.example")
        .audience("https://api.example")
        .header(http::HeaderName::from_static("x-session-token"))
        .clock(clock.clone())
        .build()
        .unwrap();
    let issued = authority
        .manager()
        .create(CreateSession::new(agent()))
        .await
        .unwrap();
    let request = || {
        let mut request = http::Request::new(());
        let bearer = format!("Bearer {}", issued.token.expose()).parse().unwrap();
        request.headers_mut().insert("x-session-token", bearer);
        request
    };
    let admitted = pass(&authority.layer(), request()).await.unwrap();
    assert!(admitted.extensions().get::<AuthenticatedSession>().is_some());
    let presented = pass(&authority.renewal_layer(), request()).await.unwrap();
    let presented = presented.extensions().get::<PresentedSession>().unwrap();
    clock.advance(std::time::Duration::from_secs(43_200));
    authority.manager().renew(presented, None).await.unwrap();
    let rejected = pass(&authority.layer(), request()).await.unwrap_err();
    assert_eq!(kind(&rejected), ErrorKind::TokenSuperseded);
}

#[tokio::test]
async fn sessions_are_created_only_for_registered_agents_by_default() {
    let request = || CreateSession::new(test_support::other_agent());
    let registered = builder().build().unwrap();
    let error = registered.manager().create(request()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AgentNotFound);
    let any = builder().any_agent().build().unwrap();
    any.manager().create(request()).await.unwrap();
}

#[test]
fn invalid_settings_are_rejected_with_their_name() {
    let policy = crate::session::SessionPolicy {
        min_ttl: 1_000_000,
        ..Default::default()
    };
    let too_long = crate::session::SessionPolicy {
        absolute_lifetime: u64::MAX,
        ..Default::default()
    };
    for (builder, name) in [
        (builder().prefix("with space"), "prefix"),
        (builder().prefix("x".repeat(65)), "prefix"),
        (builder().prefix(""), "prefix"),
        (
            builder().header(http::HeaderName::from_static("idempotency-key")),
            "header",
        ),
        (builder().policy(too_long), "policy: absolute_lifetime"),
        (builder().issuer(""), "issuer"),
        (builder().audience("line\nbreak"), "audience"),
        (builder().policy(policy), "policy: min_ttl"),
    ] {
        let error = builder.build().unwrap_err().to_string();
        assert!(error.starts_with(name), "{error}");
    }
}

#[tokio::test]
async fn new_keys_apply_to_every_part_that_was_handed_out() {
    let authority = builder().any_agent().build().unwrap();
    let (layer, manager) = (authority.layer(), authority.manager());
    let old = manager.create(CreateSession::new(agent())).await.unwrap();
    let request = |issued: &crate::manager::IssuedSession| {
        let mut request = http::Request::new(());
        let bearer = format!("Bearer {}", issued.token.expose()).parse().unwrap();
        request.headers_mut().insert(http::header::AUTHORIZATION, bearer);
        request
    };
    let next = crate::SigningKey::generate().unwrap();
    let keys = format!("{}\n{}", next.to_paserk(), key().to_paserk());
    authority.set_keys(&KeySet::parse(&keys).unwrap());
    let new = manager.create(CreateSession::new(agent())).await.unwrap();
    pass(&layer, request(&old)).await.unwrap();
    pass(&layer, request(&new)).await.unwrap();

    let change = authority.set_keys(&KeySet::single(next));
    assert_eq!(change.removed, [key().verifying_key().id()]);
    let rejected = pass(&layer, request(&old)).await.unwrap_err();
    assert_eq!(kind(&rejected), ErrorKind::InvalidToken);
    pass(&layer, request(&new)).await.unwrap();
}

#[tokio::test]
async fn realm_and_rejections_are_those_of_the_builder_in_both_layers() {
    let authority = builder()
        .realm("vault")
        .on_rejection(|error, _| http::Response::new(error.kind().code().into()))
        .build()
        .unwrap();
    let rejected = pass(&authority.layer(), http::Request::new(()))
        .await
        .unwrap_err();
    assert_eq!(rejected.status(), 200);
    let rejected = pass(&authority.renewal_layer(), http::Request::new(()))
        .await
        .unwrap_err();
    assert_eq!(rejected.status(), 200);
    let authority = builder().realm("vault").build().unwrap();
    for rejected in [
        pass(&authority.layer(), http::Request::new(()))
            .await
            .unwrap_err(),
        pass(&authority.renewal_layer(), http::Request::new(()))
            .await
            .unwrap_err(),
    ] {
        let challenge = rejected.headers()[http::header::WWW_AUTHENTICATE].clone();
        assert_eq!(challenge, "Bearer realm=\"vault\"");
    }
}
