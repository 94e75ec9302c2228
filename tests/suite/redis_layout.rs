//! What lies in Redis, and what is sent to it, as LAYOUT.md says.

#[path = "support/commands.rs"]
mod commands;
#[path = "support/fixtures.rs"]
mod fixtures;
#[path = "support/layout/subject.rs"]
mod subject;
#[path = "support/layout/traffic.rs"]
mod traffic;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use fixtures::{NOW, TTL, agent, constraints, key, renewal, session};
use redis::{InfoDict, Value};
use subject::{Subject, agent_key};
use tokio::task::JoinSet;
use tower_session_auth::{
    SessionManager, SigningKey,
    session::{CreateSession, RetryHash},
    store::{AgentStore as _, CachedStore as _, CreateOutcome, SessionStore as _},
    token::TokenSigner,
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
async fn the_user_that_is_advised_may_do_everything_and_see_nothing_else() {
    let subject = Subject::of_the_advised_user();
    subject.work().await;
    subject.store.ping().await.unwrap();
    subject.store.enable_cache().unwrap();
    let began = Instant::now();
    while !subject.store.cache_stats().unwrap().coherent {
        assert!(began.elapsed() < Duration::from_secs(10), "never coherent");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for (command, allowed) in [
        (&["GET", "session:{0000}:0"][..], true),
        (&["GET", "others"], false),
        (&["KEYS", "*"], false),
        (&["CONFIG", "GET", "*"], false),
        (&["SUBSCRIBE", "others"], false),
    ] {
        let mut dry_run = vec!["ACL", "DRYRUN", "sessions"];
        dry_run.extend(command);
        let answer: String = subject.ask(&dry_run);
        assert_eq!(answer == "OK", allowed, "{command:?}: {answer}");
    }
}

#[tokio::test]
async fn a_prefix_selects_what_it_says() {
    let subject = Subject::new();
    subject.work().await;
    let mut count = 0;
    for (prefix, kind, len) in [
        ("session:*", "string", 4 * 16),
        ("idx:*", "zset", 2),
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
    let mut request = CreateSession::new(agent());
    request.constraints = constraints(65);
    let issued = sessions.create(request).await.unwrap();

    // Else it might be there and not be seen.
    let _: String = subject.ask(&["CONFIG", "SET", "rdbcompression", "no"]);
    let mut everything = Vec::new();
    for key in subject.keys("*") {
        everything.extend_from_slice(key.as_bytes());
        everything.extend(subject.ask::<Vec<u8>>(&["DUMP", &key]));
    }
    let holds = |bytes: &[u8]| everything.windows(bytes.len()).any(|window| window == bytes);
    assert!(holds(issued.record.token_hash.as_bytes()), "the hash is seen");
    assert!(holds(&[b'x'; 57]), "so are constraints");
    let token = issued.token.expose().as_bytes();
    for part in token.chunks_exact(16) {
        assert!(!holds(part), "{}", String::from_utf8_lossy(part));
    }
}

/// Byte by byte, since people and other programs read it.
#[tokio::test]
async fn a_record_has_the_bytes_of_the_layout() {
    let subject = Subject::new();
    let agent = agent();
    let packed = |id| -> Vec<u8> { subject.ask(&["GET", &key(id)]) };

    let record = subject.add(session(agent, NOW)).await;
    let (hash, owner) = (
        record.token_hash.as_bytes().as_slice(),
        agent.as_uuid().as_bytes(),
    );
    // 30 renewals; 1,440 minutes; 43,200 minutes.
    let terms: &[u8] = &[30, 0xc0, 0x16, 0x80, 0xa3, 0x05];
    assert_eq!(packed(record.id), [&[0], hash, owner, terms].concat());

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
    swap.next.constraints = constraints(65);
    subject.store.replace_token(&swap).await.unwrap();
    subject.store.revoke(record.id, NOW.plus(20)).await.unwrap();
    let revoked_at = &(NOW.0 + 20).to_be_bytes()[3..];
    let text = swap.next.constraints.as_ref().unwrap().as_str();
    let expected = [
        &[0b1100_0101],
        swap.next.token_hash.as_bytes().as_slice(),
        owner,
        revoked_at,
        // Renewed 10 seconds after the creation, once.
        &[10, 1],
        terms,
        // Rare: two other replacements, rotated as generation 2, previous token, retry.
        &[0b1111, 2, 2],
        hash,
        retry.as_bytes(),
        text.as_bytes(),
    ];
    assert_eq!(packed(record.id), expected.concat());
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
        subject.ask(&["ZRANGE", &agent_key("idx", agent), "0", "-1", "WITHSCORES"]);
    assert_eq!(index, [(record.id.as_uuid().as_bytes().to_vec(), NOW.0 + TTL)]);
    let registry: Vec<(Vec<u8>, u64)> = subject.ask(&["ZRANGE", "agents", "0", "-1", "WITHSCORES"]);
    assert_eq!(registry, [(agent.as_uuid().as_bytes().to_vec(), 0)]);

    subject.store.delete_agent(agent, NOW.plus(5)).await.unwrap();
    assert_eq!(hash(agent), BTreeMap::from([pair("d", &NOW.plus(5).to_string())]));
    let left: Vec<i64> = vec![
        subject.ask(&["EXISTS", "agents"]),
        subject.ask(&["EXISTS", &agent_key("idx", agent)]),
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
    assert_eq!(refused, CreateOutcome::AgentDeleted);
    subject.store.delete_agent(agent, NOW).await.unwrap();
    assert_eq!(subject.ask::<i64>(&["ZCARD", "agents"]), 0);
}

#[tokio::test]
async fn a_session_takes_at_most_300_bytes() {
    const AGENTS: u64 = 20_000;
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
                    assert_eq!(created, CreateOutcome::Done);
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
    let explain = || {
        let stats: Value = subject.ask(&["MEMORY", "STATS"]);
        let clients: String = subject.ask(&["CLIENT", "LIST"]);
        format!("{before} bytes before; {stats:?}; {clients}")
    };
    assert!(each <= 300, "{each}: {}", explain());
}
