//! Session records that were changed by hand into nonsense: refused and named, never a panic, never admitted.

use session_auth_tests::fixtures::{
    NOW, RETENTION, TTL, agent,
    cached::{DEADLINE, coherent_store},
    constraints, key,
    layout::LayoutStore,
    open, renewal, session,
};
use tower_session_auth::{
    RedisStore,
    session::SessionRecord,
    store::{CachedStore as _, PageRequest, SessionStore as _, TokenSwap},
};

use super::{names, set, set_hash};

/// Every call on a damaged record fails and names its key, or leaves the record refused.
async fn is_refused(store: &RedisStore, record: &SessionRecord, what: &str) {
    let key = key(record.id);
    names(store.read(record.id).await, &key, what);
    let swap = renewal(record, "2", NOW);
    let other = TokenSwap::new(swap.next.clone(), record.clone(), RETENTION, NOW);
    // The record is not that of the expected token.
    if let Err(error) = store.replace_token(&other).await {
        names::<()>(Err(error), &key, what);
    }
    let all = PageRequest {
        after: None,
        limit: 10,
    };
    let listed = store.list(Some(record.agent_id), all).await.unwrap();
    assert!(listed.items.iter().all(|listed| listed.id != record.id), "{what}");
    if let Err(error) = store.revoke(record.id, NOW).await {
        names::<()>(Err(error), &key, what);
    }
    match store.read(record.id).await {
        Ok(Some(read)) => assert!(read.revoked_at.is_some(), "{what}: {read:?}"),
        refused => names(refused, &key, what),
    }
}

/// A renewed session with constraints that was created after a revocation of its agent.
async fn full_session(layout: &LayoutStore) -> (SessionRecord, Vec<u8>) {
    let agent = agent();
    layout.store.revoke_agent(agent, NOW).await.unwrap();
    let mut new = session(agent, NOW);
    new.record.constraints = constraints(40);
    let created = layout.add(new).await;
    let current = layout.store.read(created.id).await.unwrap().unwrap();
    let swap = renewal(&current, "1", NOW.plus(TTL / 2));
    layout.store.replace_token(&swap).await.unwrap();
    let packed: Vec<u8> = layout.query(&["GET", &key(created.id)]);
    assert_eq!(packed[0], 0b111);
    (swap.next, packed)
}

#[tokio::test]
async fn value_of_another_type_is_refused() {
    let layout = LayoutStore::start();
    let record = layout.add(session(agent(), NOW)).await;
    set_hash(&layout, &key(record.id));
    is_refused(&layout.store, &record, "a hash").await;
    let swap = renewal(&record, "1", NOW);
    names(
        layout.store.replace_token(&swap).await,
        &key(record.id),
        "renewing",
    );
    names(
        layout.store.revoke(record.id, NOW).await,
        &key(record.id),
        "revoking",
    );
}

#[tokio::test]
async fn changed_bytes_are_refused() {
    let layout = LayoutStore::start();
    let (record, packed) = full_session(&layout).await;
    let mut damages = vec![
        ("huge".to_owned(), vec![b'x'; 4 << 20]),
        ("zeros".to_owned(), vec![0; packed.len()]),
        ("text".to_owned(), b"active".to_vec()),
        ("a trailing byte".to_owned(), [&packed[..], b"x"].concat()),
        ("4 trailing bytes".to_owned(), [&packed[..], b"xxxx"].concat()),
    ];
    damages.extend((0..packed.len()).map(|len| (format!("{len} bytes"), packed[..len].to_vec())));
    damages.extend((0..=u8::MAX).filter(|first| *first != packed[0]).map(|first| {
        let changed = [&[first], &packed[1..]].concat();
        (format!("first byte {first:#x}"), changed)
    }));
    for (what, value) in damages {
        set(&layout.redis, &key(record.id), &value);
        is_refused(&layout.store, &record, &what).await;
    }
}

#[tokio::test]
async fn damaged_record_is_refused_by_a_bounded_layer() {
    let layout = LayoutStore::start();
    let store = coherent_store(&layout.redis).await;
    let (record, packed) = full_session(&layout).await;
    for value in [&packed[..40], b""] {
        set(&layout.redis, &key(record.id), value);
        names(store.read_through(record.id).await, &key(record.id), "a part");
        assert_eq!(store.cached(record.id), None);
    }
    set_hash(&layout, &key(record.id));
    names(store.read_through(record.id).await, &key(record.id), "a hash");
    set(&layout.redis, &key(record.id), &packed);
    assert_eq!(store.read_through(record.id).await.unwrap(), Some(record));
}

/// The record names another agent, whose keys would be changed.
#[tokio::test]
async fn record_with_the_agent_of_another_bucket_is_not_revoked() {
    let layout = LayoutStore::start();
    let (record, mut packed) = full_session(&layout).await;
    packed[33] ^= 1;
    set(&layout.redis, &key(record.id), &packed);
    names(
        layout.store.revoke(record.id, NOW).await,
        &key(record.id),
        "another agent",
    );
}

#[tokio::test]
async fn damaged_record_does_not_prevent_changes_of_its_agent() {
    let layout = LayoutStore::start();
    let store = open(layout.redis.url(), DEADLINE);
    for value in [&b""[..], b"active", &[0; 60], &[0xff; 60]] {
        let record = layout.add(session(agent(), NOW)).await;
        let sound = layout.add(session(record.agent_id, NOW)).await;
        set(&layout.redis, &key(record.id), value);
        let mut evicting = session(record.agent_id, NOW);
        evicting.limit = 2;
        evicting.on_limit = tower_session_auth::session::OnSessionLimit::EvictOldest;
        store.create(&evicting).await.unwrap();
        assert_eq!(
            store.read(sound.id).await.unwrap(),
            Some(sound.clone()),
            "{value:?}"
        );
        store.revoke_agent(record.agent_id, NOW).await.unwrap();
        let read = store.read(sound.id).await.unwrap().unwrap();
        assert_eq!(read.revoked_at, Some(NOW));
        if let Ok(Some(read)) = store.read(record.id).await {
            assert!(read.revoked_at.is_some());
        }
    }
}
