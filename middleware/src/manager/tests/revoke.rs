use super::*;
use crate::store::RegisteredAgents;

#[tokio::test]
async fn revoked_session_is_rejected_and_keeps_the_time_of_its_first_revocation() {
    let setup = setup();
    let issued = setup.create().await;
    for _ in 0..2 {
        setup.sessions.revoke(issued.record.id).await.unwrap();
        setup.advance(1);
    }
    let record = setup.sessions.get(issued.record.id).await.unwrap();
    assert_eq!(record.revoked_at, Some(NOW));
    assert_eq!(record.status(NOW), SessionStatus::Revoked);
    assert_eq!(
        setup.rejection(&issued.token).await,
        Some(ErrorKind::SessionRevoked)
    );
}

#[tokio::test]
async fn unknown_session_is_not_found() {
    let setup = setup();
    let id = test_support::claims().session_id;
    for error in [
        setup.sessions.get(id).await.unwrap_err(),
        setup.sessions.revoke(id).await.unwrap_err(),
    ] {
        assert_eq!(
            (error.kind(), error.status().as_u16()),
            (ErrorKind::SessionNotFound, 404)
        );
    }
}

#[tokio::test]
async fn revoke_agent_revokes_all_its_sessions_and_counts_the_active_ones() {
    let setup = setup();
    let [first, second] = [setup.create().await, setup.create().await];
    let others = setup
        .sessions
        .create(CreateSession::new(other_agent()))
        .await
        .unwrap();
    setup.sessions.revoke(first.record.id).await.unwrap();
    assert_eq!(
        setup
            .sessions
            .revoke_agent(test_support::agent())
            .await
            .unwrap()
            .active,
        1
    );
    assert_eq!(
        setup
            .sessions
            .revoke_agent(test_support::agent())
            .await
            .unwrap()
            .active,
        0
    );
    for (token, rejection) in [
        (first.token, Some(ErrorKind::SessionRevoked)),
        (second.token, Some(ErrorKind::SessionRevoked)),
        (others.token, None),
    ] {
        assert_eq!(setup.rejection(&token).await, rejection);
    }
}

#[tokio::test]
async fn sessions_of_an_agent_outside_the_directory_can_be_revoked() {
    let setup = setup();
    setup.create().await;
    let directory = RegisteredAgents(setup.store.clone());
    let registered =
        SessionManager::with_directory(setup.store.clone(), signer(), directory).clock(setup.clock.clone());
    assert_eq!(
        registered
            .revoke_agent(test_support::agent())
            .await
            .unwrap()
            .active,
        1
    );
    let again = registered.revoke_agent(test_support::agent()).await;
    assert_kind(again, ErrorKind::AgentNotFound);
}

#[tokio::test]
async fn list_pages_through_unrevoked_sessions_newest_first() {
    let setup = setup();
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(setup.create().await.record.id);
        setup.advance(1);
    }
    let other = setup
        .sessions
        .create(CreateSession::new(other_agent()))
        .await
        .unwrap();
    setup.sessions.revoke(ids.remove(1)).await.unwrap();
    ids.reverse();

    let list = async |agent, page| {
        let page = setup.sessions.list(agent, page).await.unwrap();
        let ids: Vec<_> = page.items.iter().map(|record| record.id).collect();
        (ids, page.next)
    };
    let agent = Some(test_support::agent());
    let (first, next) = list(agent, first_page(2)).await;
    assert_eq!(first, ids[..2]);
    let page = PageRequest {
        after: next,
        limit: 2,
    };
    assert_eq!(list(agent, page).await, (ids[2..].to_vec(), None));

    let (all, next) = list(None, first_page(10)).await;
    assert_eq!((all.len(), next), (4, None));
    assert!(all.contains(&other.record.id));
}
