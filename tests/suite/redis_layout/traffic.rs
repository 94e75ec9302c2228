//! The commands that the store sends.

use std::collections::{BTreeMap, BTreeSet};

use session_auth_tests::fixtures::{NOW, agent, constraints, layout::LayoutStore, renewal, retry, session};
use tower_session_auth::{
    AgentId,
    session::OnSessionLimit,
    store::{AgentStore as _, CreateOutcome, NewSession, PageRequest, SessionStore as _},
};

use super::commands::{commands, sent};

#[tokio::test]
async fn scripts_name_all_their_keys_in_the_slot_of_the_agent() {
    let layout = LayoutStore::start();
    layout.store.ping().await.unwrap();
    let mut monitor = layout.redis.monitor();
    let agents = layout.run_every_operation().await;
    let evicting = layout.store.create(&evicting(agents[0])).await.unwrap();
    assert!(
        matches!(&evicting, CreateOutcome::Created { evicted } if !evicted.is_empty()),
        "{evicting:?}"
    );
    let tags = agents.map(|agent| format!("{{{:04x}}}", agent.bucket()));

    let (mut named, mut scripts, mut calls) = (Vec::new(), BTreeMap::new(), 0);
    for command in commands(&mut monitor) {
        let script = matches!(&*command.words[0], "EVALSHA" | "EVAL");
        if script {
            named = command.keys().to_vec();
            *scripts.entry(command.words[1].clone()).or_insert(0) += 1;
        } else if command.in_script {
            calls += 1;
            let known = command.keys().iter().all(|key| named.contains(key));
            assert!(known, "{command:?} is not in {named:?}");
        }
        // The reservation of an agent's id has one key, outside the slots of agents.
        let reserves = command.keys().iter().all(|key| key.starts_with("retry:agents:"));
        if (script || command.in_script) && !reserves {
            let tag = |key: &String| key[key.find('{').unwrap()..=key.find('}').unwrap()].to_owned();
            let used: Vec<_> = command.keys().iter().map(tag).collect();
            assert!(
                used.iter().all(|tag| *tag == used[0] && tags.contains(tag)),
                "{command:?}"
            );
        }
    }
    assert!(scripts.len() >= 5 && calls > 500, "{scripts:?}, {calls}");
}

/// A creation that evicts the agent's other sessions.
fn evicting(agent: AgentId) -> NewSession {
    let mut session = session(agent, NOW);
    session.limit = 1;
    session.on_limit = OnSessionLimit::EvictOldest;
    session
}

#[tokio::test]
async fn no_command_scans_the_keyspace() {
    let layout = LayoutStore::start();
    let mut monitor = layout.redis.monitor();
    layout.run_every_operation().await;
    for command in commands(&mut monitor) {
        let name = command.words[0].to_uppercase();
        let scans = name.ends_with("SCAN") || ["KEYS", "SMEMBERS", "HGETALL", "SORT"].contains(&&*name);
        assert!(!scans, "{command:?}");
    }
}

#[tokio::test]
async fn each_call_sends_the_documented_commands() {
    let layout = LayoutStore::start();
    // Loads the scripts.
    layout.run_every_operation().await;
    let mut monitor = layout.redis.monitor();
    for constraints in [None, constraints(64), constraints(4_096)] {
        let mut session = session(agent(), NOW);
        session.record.constraints = constraints;
        let record = layout.add(session).await;
        assert_eq!(sent(&mut monitor), ["ZADD", "EVALSHA"], "creating");
        layout.store.read(record.id).await.unwrap();
        assert_eq!(sent(&mut monitor), ["MGET"], "reading");
        layout
            .store
            .replace_token(&renewal(&record, "1", NOW))
            .await
            .unwrap();
        assert_eq!(sent(&mut monitor), ["EVALSHA"], "renewing");
        let mut refused = evicting(record.agent_id);
        refused.on_limit = OnSessionLimit::Refuse;
        layout.store.create(&refused).await.unwrap();
        assert_eq!(
            sent(&mut monitor),
            ["ZADD", "EVALSHA", "EVALSHA"],
            "at the maximum"
        );
        layout.store.create(&evicting(record.agent_id)).await.unwrap();
        assert_eq!(sent(&mut monitor), ["ZADD", "EVALSHA", "EVALSHA"], "evicting");
        let mut repeatable = evicting(agent());
        repeatable.retry = Some(retry(repeatable.record.agent_id, "a-creations-key", "a", NOW));
        for action in ["creating with a key", "repeating"] {
            layout.store.create(&repeatable).await.unwrap();
            assert_eq!(sent(&mut monitor), ["ZADD", "EVALSHA"], "{action}");
        }
        layout.store.revoke(record.id, NOW).await.unwrap();
        assert_eq!(sent(&mut monitor), ["GETRANGE", "EVALSHA"], "revoking");
    }
}

/// A command after another one waits for its answer, unless both are of the same step.
#[tokio::test]
async fn lists_of_several_agents_take_a_constant_number_of_steps() {
    const AGENTS: usize = 20;
    let layout = LayoutStore::start();
    let mut agents = BTreeSet::new();
    for _ in 0..AGENTS {
        let record = layout.add(session(agent(), NOW)).await;
        layout.register(record.agent_id, "build-bot").await;
        agents.insert(record.agent_id);
    }
    let mut monitor = layout.redis.monitor();
    let page = PageRequest {
        after: None,
        limit: 100,
    };
    let listed = layout.store.list_of(&agents, page).await.unwrap();
    assert_eq!((listed.items.len(), listed.next.is_some()), (AGENTS, false));
    let mut steps = sent(&mut monitor);
    assert_eq!(steps.len(), 3 * AGENTS);
    steps.dedup();
    assert_eq!(steps, ["ZCARD", "ZRANGE", "MGET"]);

    let ids: Vec<_> = agents.iter().copied().collect();
    assert_eq!(layout.store.agents_of(&ids).await.unwrap().len(), AGENTS);
    assert_eq!(sent(&mut monitor), ["HMGET"; AGENTS]);
}

/// Counts the commands inside scripts too.
#[tokio::test]
async fn commands_per_call_do_not_grow_with_the_stored_sessions() {
    let layout = LayoutStore::start();
    let (one, other) = (agent(), agent());
    let fill = async |agent: AgentId, count: usize| {
        for _ in 0..count {
            let mut session = session(agent, NOW);
            session.limit = u32::MAX;
            layout.add(session).await;
        }
    };
    fill(one, 20).await;
    fill(other, 20).await;
    let mut monitor = layout.redis.monitor();
    let mut measured = Vec::new();
    for _ in 0..2 {
        let mut counts = Vec::new();
        let mut count = || counts.push(commands(&mut monitor).len());
        fill(one, 1).await;
        count();
        for agent in [Some(one), None] {
            let request = PageRequest {
                after: None,
                limit: 10,
            };
            let page = layout.store.list(agent, request).await.unwrap();
            assert_eq!(page.items.len(), 10);
            count();
        }
        measured.push(counts);
        for agent in [one, other] {
            fill(agent, 200).await;
        }
        for _ in 0..50 {
            fill(agent(), 1).await;
        }
        commands(&mut monitor);
    }
    println!("commands of a creation and of two pages of 10: {measured:?}");
    let [before, after] = &*measured else {
        unreachable!()
    };
    // Some creations also extend the ttl of the index.
    assert!(before[0].max(after[0]) <= 12, "{measured:?}");
    assert_eq!(after[1], before[1]);
    // Counts the index of one agent more than the page has places, and reads the index of no further agent.
    assert!(after[2] <= 1 + 11 + 10 + 10, "{measured:?}");
}
