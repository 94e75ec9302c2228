//! What lies in Redis, and what is sent to it, as LAYOUT.md says.

#[path = "support/commands.rs"]
mod commands;
#[path = "support/fixtures.rs"]
mod fixtures;
#[path = "support/layout/subject.rs"]
mod subject;
#[path = "support/layout/traffic.rs"]
mod traffic;

use std::collections::BTreeMap;

use fixtures::{NOW, TTL, agent, constraints, key, renewal, session};
use redis::InfoDict;
use subject::{Subject, agent_key};
use tokio::task::JoinSet;
use tower_session_auth::{
    AgentStore as _, CreateSession, Created, RetryHash, SessionManager, SessionStore as _, SigningKey,
    TokenSigner,
};

#[tokio::test]
async fn every_key_ends_but_the_registry_and_its_agents() {
    let subject = Subject::new();
    let agents = subject.work().await;
    let mut endless: Vec<_> = subject.keys("*");
    endless.retain(|key| subject.ask::<i64>(&["TTL", key]) < 0);
    endless.sort();
    let mut living = vec![agent_key("agent", agents[0]), agent_key("agent", agents[1])];
    living.push("agents".to_owned());
    living.sort();
    assert_eq!(endless, living);
}

#[tokio::test]
async fn every_record_is_a_listpack() {
    let subject = Subject::new();
    subject.work().await;
    let records = subject.keys("session:*");
    assert_eq!(records.len(), 4 * 16);
    for record in records {
        let encoding: String = subject.ask(&["OBJECT", "ENCODING", &record]);
        assert_eq!(encoding, "listpack", "{record}");
    }
}

#[tokio::test]
async fn a_prefix_selects_what_it_says() {
    let subject = Subject::new();
    subject.work().await;
    let mut count = 0;
    for (prefix, kind, len) in [
        ("session:*", "hash", 4 * 16),
        ("constraints:*", "string", 4 * 8),
        ("index:*", "zset", 2),
        ("agent:*", "hash", 3),
        ("agents", "zset", 1),
    ] {
        let keys = subject.keys(prefix);
        assert_eq!(keys.len(), len, "{prefix}");
        count += len;
        for key in keys {
            assert_eq!(subject.ask::<String>(&["TYPE", &key]), kind, "{key}");
        }
    }
    assert_eq!(
        subject.ask::<usize>(&["DBSIZE"]),
        count,
        "and there is nothing else"
    );
}

#[tokio::test]
async fn tokens_are_stored_as_hashes_alone() {
    let subject = Subject::new();
    let signer = TokenSigner::new(SigningKey::generate().unwrap());
    let sessions = SessionManager::new(subject.store.clone(), signer);
    let mut wish = CreateSession::new(agent());
    wish.constraints = constraints(65);
    let issued = sessions.create(wish).await.unwrap();

    // Else it might be there and not be seen.
    let _: String = subject.ask(&["CONFIG", "SET", "rdbcompression", "no"]);
    let mut everything = Vec::new();
    for key in subject.keys("*") {
        everything.extend_from_slice(key.as_bytes());
        everything.extend(subject.ask::<Vec<u8>>(&["DUMP", &key]));
    }
    let holds = |bytes: &[u8]| everything.windows(bytes.len()).any(|window| window == bytes);
    assert!(holds(issued.record.token_hash.as_bytes()), "the hash is seen");
    assert!(holds(&[b'x'; 57]), "so is what lies apart");
    let token = issued.token.expose().as_bytes();
    for part in token.chunks_exact(16) {
        assert!(!holds(part), "{}", String::from_utf8_lossy(part));
    }
}

#[tokio::test]
async fn a_record_has_the_fields_of_the_layout() {
    let subject = Subject::new();
    let agent = agent();
    let fields = |id| -> BTreeMap<String, Vec<u8>> { subject.ask(&["HGETALL", &key("session", id)]) };
    let expected = |pairs: &[(&str, &[u8])]| -> BTreeMap<String, Vec<u8>> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.to_vec()))
            .collect()
    };
    let number = |number: u64| number.to_string().into_bytes();
    let (end, lifetime) = (number(NOW.0 + TTL), number(NOW.0 + 30 * TTL));

    let record = subject.add(session(agent, NOW)).await;
    let mut fresh = expected(&[
        ("h", record.token_hash.as_bytes()),
        ("a", agent.as_uuid().as_bytes()),
        ("n", b"0"),
        ("x", b"30"),
        ("t", b"86400"),
        ("e", &end),
        ("l", &lifetime),
    ]);
    assert_eq!(fields(record.id), fresh);

    let mut swap = renewal(&record, "1", NOW.plus(10));
    swap.next.generation = 3;
    swap.next.rotated_generation = Some(2);
    swap.next.previous_token_hash = Some(record.token_hash);
    let retry = RetryHash::of(
        &record.token_hash,
        &swap.next.token_hash,
        &"a-key-of-a-client".parse().unwrap(),
    );
    swap.next.retry_hash = Some(retry);
    subject.store.replace_token(&swap).await.unwrap();
    subject.store.revoke(record.id, NOW.plus(20)).await.unwrap();
    fresh.extend(expected(&[
        ("h", swap.next.token_hash.as_bytes()),
        ("n", b"1"),
        ("o", b"2"),
        ("e", &number(NOW.0 + 10 + TTL)),
        ("u", &number(NOW.0 + 10)),
        ("r", &number(NOW.0 + 20)),
        ("k", retry.as_bytes()),
        ("p", record.token_hash.as_bytes()),
        ("g", b"2"),
    ]));
    assert_eq!(fields(record.id), fresh);

    for (len, apart) in [(64, false), (65, true)] {
        let mut session = session(agent, NOW);
        session.record.constraints = constraints(len);
        let record = subject.add(session).await;
        let text = record.constraints.as_ref().unwrap().as_str();
        let shown = if apart { "*" } else { text };
        assert_eq!(fields(record.id)["c"], shown.as_bytes());
        let kept: Option<String> = subject.ask(&["GET", &key("constraints", record.id)]);
        assert_eq!(kept.as_deref(), apart.then_some(text));
    }
}

#[tokio::test]
async fn an_agent_has_the_keys_of_the_layout() {
    let subject = Subject::new();
    let agent = agent();
    subject.register(agent, "build-bot").await;
    let record = subject.add(session(agent, NOW)).await;
    let gone = subject.add(session(agent, NOW)).await;
    subject.store.revoke(gone.id, NOW).await.unwrap();

    let hash = |agent| -> BTreeMap<String, String> { subject.ask(&["HGETALL", &agent_key("agent", agent)]) };
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let created = pair("c", &NOW.to_string());
    assert_eq!(hash(agent), BTreeMap::from([created, pair("n", "build-bot")]));
    let index: Vec<(Vec<u8>, u64)> =
        subject.ask(&["ZRANGE", &agent_key("index", agent), "0", "-1", "WITHSCORES"]);
    assert_eq!(index, [(record.id.as_uuid().as_bytes().to_vec(), NOW.0 + TTL)]);
    let registry: Vec<(Vec<u8>, u64)> = subject.ask(&["ZRANGE", "agents", "0", "-1", "WITHSCORES"]);
    assert_eq!(registry, [(agent.as_uuid().as_bytes().to_vec(), 0)]);

    subject.store.delete_agent(agent, NOW.plus(5)).await.unwrap();
    assert_eq!(hash(agent), BTreeMap::from([pair("d", &NOW.plus(5).to_string())]));
    let left: Vec<i64> = vec![
        subject.ask(&["EXISTS", "agents"]),
        subject.ask(&["EXISTS", &agent_key("index", agent)]),
    ];
    assert_eq!(left, [0, 0]);
}

/// A creation that is refused names the agent to the registry all the same.
#[tokio::test]
async fn the_registry_forgets_an_agent_that_was_deleted() {
    let subject = Subject::new();
    let agent = agent();
    subject.register(agent, "build-bot").await;
    assert_eq!(subject.store.delete_agent(agent, NOW).await.unwrap(), Some(0));
    let refused = subject.store.create(&session(agent, NOW)).await.unwrap();
    assert_eq!(refused, Created::AgentDeleted);
    subject.store.delete_agent(agent, NOW).await.unwrap();
    assert_eq!(subject.ask::<i64>(&["ZCARD", "agents"]), 0);
}

#[tokio::test]
async fn a_session_takes_at_most_400_bytes() {
    const AGENTS: u64 = 4_000;
    const EACH: u64 = 5;
    let subject = Subject::new();
    let used = || {
        let info: InfoDict = subject.ask(&["INFO", "memory"]);
        info.get::<u64>("used_memory").unwrap()
    };
    subject.work().await;
    let before = used();
    let mut tasks = JoinSet::new();
    for task in 0..32 {
        let store = subject.store.clone();
        tasks.spawn(async move {
            for _ in (task..AGENTS).step_by(32) {
                let agent = agent();
                for _ in 0..EACH {
                    let created = store.create(&session(agent, NOW)).await.unwrap();
                    assert_eq!(created, Created::Done);
                }
            }
        });
    }
    tasks.join_all().await;
    let each = (used() - before) / (AGENTS * EACH);
    println!(
        "{} sessions of {AGENTS} agents: {each} bytes of used_memory each",
        AGENTS * EACH
    );
    assert!(each <= 400, "{each}");
}
