//! A server with a policy that evicts.

use std::time::{Duration, Instant};

use session_auth_tests::fixtures::{
    NOW, agent, key,
    layout::{LayoutStore, agent_key},
    session,
};
use tower_session_auth::store::SessionStore as _;

const AGENTS: usize = 400;

fn used_memory(layout: &LayoutStore) -> u64 {
    let info: redis::InfoDict = layout.query(&["INFO", "memory"]);
    info.get("used_memory").unwrap()
}

#[tokio::test]
async fn revocation_of_an_agent_holds_for_every_session_that_an_eviction_has_left() {
    let layout = LayoutStore::start();
    layout.store.revoke_agent(agent(), NOW).await.unwrap();
    let before = used_memory(&layout);
    let mut agents = Vec::new();
    for _ in 0..AGENTS {
        let agent = agent();
        let mut ids = Vec::new();
        for _ in 0..5 {
            ids.push(layout.add(session(agent, NOW)).await.id);
        }
        agents.push((agent, ids));
    }
    let limit = before + (used_memory(&layout) - before) * 7 / 10;
    layout.query::<String>(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
    layout.query::<String>(&["CONFIG", "SET", "maxmemory", &limit.to_string()]);
    let began = Instant::now();
    while used_memory(&layout) > limit {
        assert!(began.elapsed() < Duration::from_secs(10), "nothing is evicted");
    }
    let exists = |key: &str| layout.query::<i64>(&["EXISTS", key]) == 1;
    let mut lost_indices = 0;
    for (agent, ids) in agents {
        let has_index = exists(&agent_key("idx", agent));
        if !has_index && ids.iter().any(|id| exists(&key(*id))) {
            lost_indices += 1;
        }
        layout.store.revoke_agent(agent, NOW).await.unwrap();
        for id in ids {
            if let Some(record) = layout.store.read(id).await.unwrap() {
                assert!(record.revoked_at.is_some(), "{record:?}");
            }
        }
    }
    println!("{lost_indices} of {AGENTS} indices were evicted before all of their sessions");
    assert!(lost_indices > 0);
}
