use super::*;

#[tokio::test]
async fn a_revoked_token_is_refused_and_the_first_revocation_counts() {
    let setup = setup();
    let issued = setup.open().await;
    for _ in 0..2 {
        setup.sessions.revoke(issued.record.id).await.unwrap();
        setup.advance(1);
    }
    let record = setup.sessions.get(issued.record.id).await.unwrap();
    assert_eq!(record.revoked_at, Some(NOW));
    assert_eq!(record.status(NOW), SessionStatus::Revoked);
    assert_eq!(
        setup.refusal(&issued.token).await,
        Some(ErrorKind::SessionRevoked)
    );
}

#[tokio::test]
async fn a_session_that_never_was_cannot_be_found_or_revoked() {
    let setup = setup();
    let id = testing::claims().session_id;
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
async fn an_agents_sessions_end_together_and_active_ones_are_counted() {
    let setup = setup();
    let [first, second] = [setup.open().await, setup.open().await];
    let others = setup
        .sessions
        .create(CreateSession::new(other_agent()))
        .await
        .unwrap();
    setup.sessions.revoke(first.record.id).await.unwrap();
    assert_eq!(setup.sessions.revoke_agent(testing::agent()).await.unwrap(), 1);
    assert_eq!(setup.sessions.revoke_agent(testing::agent()).await.unwrap(), 0);
    for (token, refusal) in [
        (first.token, Some(ErrorKind::SessionRevoked)),
        (second.token, Some(ErrorKind::SessionRevoked)),
        (others.token, None),
    ] {
        assert_eq!(setup.refusal(&token).await, refusal);
    }
}

#[tokio::test]
async fn an_agent_that_the_directory_forgot_can_still_be_cut_off() {
    let setup = setup();
    setup.open().await;
    let registered = setup
        .sessions
        .clone()
        .directory(RegisteredAgents(setup.store.clone()));
    assert_eq!(registered.revoke_agent(testing::agent()).await.unwrap(), 1);
    let again = registered.revoke_agent(testing::agent()).await;
    assert_kind(again, ErrorKind::AgentNotFound);
}

#[tokio::test]
async fn sessions_come_newest_first_by_page_without_revoked_ones() {
    let setup = setup();
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(setup.open().await.record.id);
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
    let agent = Some(testing::agent());
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
