//! Stored keys and sent commands are those that LAYOUT.md documents.

mod commands;
mod traffic;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use session_auth_tests::fixtures::{
    NOW, RETRY_WINDOW, TTL, agent, constraints, key,
    layout::{LayoutStore, agent_key},
    renewal, retry, session,
};
use tower_session_auth::{
    SessionManager, SigningKey,
    session::{CreateSession, LastRenewal, OnReuse, OnSessionLimit, ReplacedTokenPolicy, RetryHash},
    store::{AgentReservation, AgentStore as _, CachedStore as _, CreateOutcome, SessionStore as _},
    token::TokenSigner,
};

#[tokio::test]
async fn every_key_has_a_ttl_except_the_registry_and_its_agents() {
    let layout = LayoutStore::start();
    let agents = layout.run_every_operation().await;
    let mut endless: Vec<_> = layout.keys("*");
    endless.retain(|key| layout.query::<i64>(&["TTL", key]) < 0);
    endless.sort();
    let mut living = vec![agent_key("agent", agents[0]), agent_key("agent", agents[1])];
    living.push("agents".to_owned());
    living.sort();
    assert_eq!(endless, living);
}

#[tokio::test]
async fn documented_acl_user_may_run_the_stores_commands_only() {
    let layout = LayoutStore::as_documented_user();
    layout.run_every_operation().await;
    layout.store.ping().await.unwrap();
    layout.store.enable_cache().unwrap();
    let began = Instant::now();
    while !layout.store.cache_stats().unwrap().coherent {
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
        let answer: String = layout.query(&dry_run);
        assert_eq!(answer == "OK", allowed, "{command:?}: {answer}");
    }
}

#[tokio::test]
async fn key_prefixes_select_the_documented_types() {
    let layout = LayoutStore::start();
    layout.run_every_operation().await;
    let mut count = 0;
    for (prefix, kind, len) in [
        ("session:*", "string", 4 * 16 + 1),
        ("idx:*", "zset", 2),
        ("gone:{*", "string", 2),
        ("agent:*", "hash", 3),
        ("agents", "zset", 1),
        ("retry:{*", "string", 1),
        ("retry:agents:*", "string", 1),
    ] {
        let keys = layout.keys(prefix);
        assert_eq!(keys.len(), len, "{prefix}");
        count += len;
        for key in keys {
            assert_eq!(layout.query::<String>(&["TYPE", &key]), kind, "{key}");
        }
    }
    assert_eq!(
        layout.query::<usize>(&["DBSIZE"]),
        count,
        "no other key is stored"
    );
}

#[tokio::test]
async fn tokens_are_stored_only_as_hashes() {
    let layout = LayoutStore::start();
    let signer = TokenSigner::new(SigningKey::generate().unwrap());
    let sessions = SessionManager::for_any_agent(layout.store.clone(), signer);
    let mut request = CreateSession::new(agent());
    request.constraints = constraints(65);
    let issued = sessions.create(request).await.unwrap();

    // Compression could hide a stored token.
    let _: String = layout.query(&["CONFIG", "SET", "rdbcompression", "no"]);
    let mut everything = Vec::new();
    for key in layout.keys("*") {
        everything.extend_from_slice(key.as_bytes());
        everything.extend(layout.query::<Vec<u8>>(&["DUMP", &key]));
    }
    let holds = |bytes: &[u8]| everything.windows(bytes.len()).any(|window| window == bytes);
    assert!(holds(issued.record.token_hash.as_bytes()), "the hash is stored");
    assert!(holds(&[b'x'; 57]), "constraints are stored");
    let token = issued.token.expose().as_bytes();
    for part in token.chunks_exact(16) {
        assert!(!holds(part), "{}", String::from_utf8_lossy(part));
    }
}

/// The layout is public: operators and other programs read it.
#[tokio::test]
async fn record_has_the_documented_bytes() {
    let layout = LayoutStore::start();
    let agent = agent();
    let packed = |id| -> Vec<u8> { layout.query(&["GET", &key(id)]) };

    let record = layout.add(session(agent, NOW)).await;
    let (hash, owner) = (
        record.token_hash.as_bytes().as_slice(),
        agent.as_uuid().as_bytes(),
    );
    // 30 renewals; 1,440 minutes; 43,200 minutes.
    let limits: &[u8] = &[30, 0xc0, 0x16, 0x80, 0xa3, 0x05];
    assert_eq!(packed(record.id), [&[0], hash, owner, limits].concat());

    let mut swap = renewal(&record, "1", NOW.plus(10));
    swap.next.generation = 3;
    swap.next.rotated_generation = Some(2);
    let retry = RetryHash::of(
        &record.token_hash,
        &swap.next.token_hash,
        &"a-key-of-a-client".parse().unwrap(),
    );
    let mut last_renewal = LastRenewal::new(NOW.plus(10), 1, ReplacedTokenPolicy::default());
    last_renewal.replaced.retry_window = 200;
    last_renewal.replaced.previous_token_overlap = 5;
    last_renewal.replaced.on_reuse = OnReuse::Revoke;
    last_renewal.previous_token_hash = Some(record.token_hash);
    last_renewal.retry_hash = Some(retry);
    swap.next.last_renewal = Some(last_renewal);
    swap.next.constraints = constraints(65);
    layout.store.replace_token(&swap).await.unwrap();
    layout.store.revoke(record.id, NOW.plus(20)).await.unwrap();
    let revoked_at = &(NOW.0 + 20).to_be_bytes()[3..];
    let text = swap.next.constraints.as_ref().unwrap().as_str();
    let expected = [
        &[0b1100_0101],
        swap.next.token_hash.as_bytes().as_slice(),
        owner,
        // Renewed 10 seconds after the creation, once.
        &[0, 0, 0, 10, 1],
        limits,
        // Extra: two other replacements; rotated as generation 2; retry window and overlap; previous token; retry.
        &[0b11_1111, 2, 2, 0xc8, 1, 5],
        hash,
        retry.as_bytes(),
        text.as_bytes(),
        revoked_at,
    ];
    assert_eq!(packed(record.id), expected.concat());
}

#[tokio::test]
async fn agent_has_the_documented_keys() {
    let layout = LayoutStore::start();
    let agent = agent();
    layout.register(agent, "build-bot").await;
    let record = layout.add(session(agent, NOW)).await;
    let gone = layout.add(session(agent, NOW)).await;
    layout.store.revoke(gone.id, NOW).await.unwrap();

    let hash = |agent| -> BTreeMap<String, String> { layout.query(&["HGETALL", &agent_key("agent", agent)]) };
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let created = pair("c", &NOW.to_string());
    assert_eq!(hash(agent), BTreeMap::from([created, pair("n", "build-bot")]));
    let index: Vec<(Vec<u8>, u64)> =
        layout.query(&["ZRANGE", &agent_key("idx", agent), "0", "-1", "WITHSCORES"]);
    assert_eq!(index, [(record.id.as_uuid().as_bytes().to_vec(), NOW.0 + TTL)]);
    let registry: Vec<(Vec<u8>, u64)> = layout.query(&["ZRANGE", "agents", "0", "-1", "WITHSCORES"]);
    assert_eq!(registry, [(agent.as_uuid().as_bytes().to_vec(), 0)]);

    layout.store.delete_agent(agent, NOW.plus(5)).await.unwrap();
    assert_eq!(hash(agent), BTreeMap::from([pair("d", &NOW.plus(5).to_string())]));
    let left: Vec<i64> = vec![
        layout.query(&["EXISTS", "agents"]),
        layout.query(&["EXISTS", &agent_key("idx", agent)]),
    ];
    assert_eq!(left, [0, 0]);
}

#[tokio::test]
async fn retry_entry_has_the_documented_bytes() {
    let layout = LayoutStore::start();
    let agent = agent();
    let retry = retry(agent, "a-creations-key", "a", NOW);
    let digits: String = retry
        .id
        .as_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let until = &(NOW.0 + RETRY_WINDOW).to_be_bytes()[3..];

    let gone = layout.add(session(agent, NOW)).await;
    let mut created = session(agent, NOW.plus(1));
    created.retry = Some(retry);
    (created.limit, created.on_limit) = (1, OnSessionLimit::EvictOldest);
    layout.store.create(&created).await.unwrap();
    let key = format!("retry:{{{:04x}}}:{digits}", agent.bucket());
    let entry = |mark: u8| {
        let (id, request) = (created.record.id.as_uuid().as_bytes(), retry.request.as_bytes());
        [&[mark], &id[..], request, until, gone.id.as_uuid().as_bytes()].concat()
    };
    assert_eq!(layout.query::<Vec<u8>>(&["GET", &key]), entry(0));
    let keeps = || layout.query::<u64>(&["TTL", &key]);
    // With the deadline of this store, 10 s, it is kept for 62 s after the window.
    assert!((RETRY_WINDOW + 52..=RETRY_WINDOW + 62).contains(&keeps()));
    layout.store.create(&created).await.unwrap();
    assert_eq!(layout.query::<Vec<u8>>(&["GET", &key]), entry(1));
    assert!((RETRY_WINDOW + 52..=RETRY_WINDOW + 62).contains(&keeps()));

    let reservation = AgentReservation::new(retry, agent, NOW);
    layout.store.reserve(&reservation).await.unwrap();
    let key = format!("retry:agents:{digits}");
    let (id, request) = (agent.as_uuid().as_bytes(), retry.request.as_bytes());
    let expected = [&[0], &id[..], request, until, &NOW.0.to_be_bytes()[3..]].concat();
    assert_eq!(layout.query::<Vec<u8>>(&["GET", &key]), expected);
    // It is never revoked: the deadline of the store does not matter.
    let keeps = layout.query::<u64>(&["TTL", &key]);
    assert!(
        (RETRY_WINDOW + 20..=RETRY_WINDOW + 30).contains(&keeps),
        "{keeps}"
    );
}

/// A rejected creation adds the agent to the registry before it fails.
#[tokio::test]
async fn deleted_agent_is_removed_from_the_registry() {
    let layout = LayoutStore::start();
    let agent = agent();
    layout.register(agent, "build-bot").await;
    assert_eq!(
        layout
            .store
            .delete_agent(agent, NOW)
            .await
            .unwrap()
            .map(|revoked| revoked.active),
        Some(0)
    );
    let rejected = layout.store.create(&session(agent, NOW)).await.unwrap();
    assert_eq!(rejected, CreateOutcome::AgentDeleted);
    layout.store.delete_agent(agent, NOW).await.unwrap();
    assert_eq!(layout.query::<i64>(&["ZCARD", "agents"]), 0);
}
