//! Concurrent requests over HTTP: session limit, renewal, deletion.

use std::collections::BTreeMap;

use http::Method;
use serde_json::json;
use session_auth_tests::{api::Reply, on_both_stores, server::TestServer};
use tokio::task::JoinSet;

fn counts(replies: &[Reply]) -> BTreeMap<(u16, String), usize> {
    let mut counts = BTreeMap::new();
    for reply in replies {
        *counts.entry((reply.status, reply.code().to_owned())).or_default() += 1;
    }
    counts
}

on_both_stores! {
    #[allow(clippy::needless_pass_by_value)]
    async fn of_64_concurrent_creations_exactly_5_succeed(server: TestServer) {
        let agent = server.api.agent().await;
        let mut creations = JoinSet::new();
        for _ in 0..64 {
            let (api, agent) = (server.api.clone(), agent.clone());
            creations.spawn(async move { api.create(json!({ "agentId": agent })).await });
        }
        let replies = creations.join_all().await;
        let expected = BTreeMap::from([
            ((201, String::new()), 5),
            ((403, "SESSION_LIMIT_EXCEEDED".to_owned()), 59),
        ]);
        assert_eq!(counts(&replies), expected);
        let list = server.api.list(&format!("?agentId={agent}")).await.expect(200);
        assert_eq!(list.body.as_array().map(Vec::len), Some(5));
    }

    async fn of_64_concurrent_renewals_exactly_one_succeeds(server: TestServer) {
        let session = server.api.session(&server.api.agent().await).await;
        server.advance(43_200);
        let mut renewals = JoinSet::new();
        for _ in 0..64 {
            let (api, session) = (server.api.clone(), session.clone());
            renewals.spawn(async move { api.renew(&session.id, &session.token).await });
        }
        let replies = renewals.join_all().await;
        let expected = BTreeMap::from([
            ((200, String::new()), 1),
            ((403, "SESSION_RENEWAL_MISMATCH".to_owned()), 63),
        ]);
        assert_eq!(counts(&replies), expected);
        let winner = replies.into_iter().find(|reply| reply.status == 200).expect("a winner").issued();
        server.api.access(&winner.token).await.expect(200);
        server.api.access(&session.token).await.rejected(401, "TOKEN_SUPERSEDED");
        let own = server.api.access(&winner.token).await.expect(200);
        assert_eq!(own.number("renewalCount"), 1);
    }

    async fn deletion_of_an_agent_revokes_concurrently_created_sessions(server: TestServer) {
        for _ in 0..10 {
            let agent = server.api.agent().await;
            let mut creations = JoinSet::new();
            for _ in 0..8 {
                let (api, agent) = (server.api.clone(), agent.clone());
                creations.spawn(async move { api.create(json!({ "agentId": agent })).await });
            }
            let path = format!("/v1/agents/{agent}");
            server.api.master(Method::DELETE, &path, None).await.expect(200);
            for reply in creations.join_all().await {
                if reply.status == 201 {
                    let rejected = server.api.access(&reply.text("token")).await;
                    rejected.rejected(401, "SESSION_REVOKED");
                } else {
                    assert!(["AGENT_NOT_FOUND", "SESSION_LIMIT_EXCEEDED"].contains(&reply.code()));
                }
            }
        }
    }
}
