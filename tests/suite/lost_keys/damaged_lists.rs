//! Damaged values that are no session records: the epochs of agents, indices, agents and retry entries.

use session_auth_tests::fixtures::{
    NOW, agent, key,
    layout::{LayoutStore, agent_key},
    register, renewal, retry, session,
};
use tower_session_auth::store::{Agent, AgentReservation, AgentStore as _, PageRequest, SessionStore as _};

use super::{epochs_key, is_revoked_by_epoch, names, revoked_at, set, set_hash};

const ALL: PageRequest<tower_session_auth::store::SessionCursor> = PageRequest {
    after: None,
    limit: 10,
};

/// Any session of the bucket may be revoked.
#[tokio::test]
async fn damaged_epochs_refuse_every_session_of_the_bucket() {
    let layout = LayoutStore::start();
    let store = &layout.store;
    let agent = agent();
    let epochs = epochs_key(agent);
    store.revoke_agent(agent, NOW).await.unwrap();
    let record = layout.add(session(agent, NOW)).await;
    let sound: Vec<u8> = layout.query(&["GET", &epochs]);
    let two = [&sound[..], &sound].concat();
    let mut damages = vec![
        vec![b'x'; 24],
        vec![0; 48],
        vec![b'x'; 4 << 20],
        [&sound[..], b"x"].concat(),
    ];
    damages.extend(
        (0..two.len())
            .filter(|len| *len != 24)
            .map(|len| two[..len].to_vec()),
    );
    for value in damages {
        set(&layout.redis, &epochs, &value);
        let what = format!("{} bytes", value.len());
        names(store.read(record.id).await, &epochs, &what);
        names(store.list(Some(agent), ALL).await, &epochs, &what);
        names(store.create(&session(agent, NOW)).await, &epochs, &what);
        names(
            store.replace_token(&renewal(&record, "1", NOW)).await,
            &epochs,
            &what,
        );
        names(store.revoke_agent(agent, NOW).await, &epochs, &what);
    }
    // This needs no epoch.
    assert!(store.revoke(record.id, NOW).await.unwrap().is_some());
    set(&layout.redis, &epochs, &sound);
    assert_eq!(revoked_at(store, record.id).await, Some(NOW));
}

/// `MGET` answers as if the key were missing. No change of the agent is possible until it is.
#[tokio::test]
async fn epochs_of_another_type_fail_every_script() {
    let layout = LayoutStore::start();
    let store = &layout.store;
    let agent = agent();
    let epochs = epochs_key(agent);
    let record = layout.add(session(agent, NOW)).await;
    set_hash(&layout, &epochs);
    names(store.create(&session(agent, NOW)).await, &epochs, "creating");
    names(
        store.replace_token(&renewal(&record, "1", NOW)).await,
        &epochs,
        "renewing",
    );
    names(store.revoke_agent(agent, NOW).await, &epochs, "revoking");
    layout.query::<i64>(&["DEL", &epochs]);
    assert_eq!(store.revoke_agent(agent, NOW).await.unwrap().active, 1);
}

#[tokio::test]
async fn damaged_index_is_named_and_does_not_prevent_revocations() {
    let layout = LayoutStore::start();
    let store = &layout.store;
    for damage in ["a hash", "short members", "a session of another bucket"] {
        let (agent, other) = (agent(), agent());
        let index = agent_key("idx", agent);
        let record = layout.add(session(agent, NOW)).await;
        match damage {
            "a hash" => set_hash(&layout, &index),
            "short members" => drop(layout.query::<i64>(&["ZADD", &index, "9999999999", "nonsense"])),
            _ => {
                layout.query::<i64>(&["DEL", &index]);
                layout.add(session(other, NOW)).await;
                layout.query::<i64>(&["ZUNIONSTORE", &index, "1", &agent_key("idx", other)]);
            }
        }
        names(store.list(Some(agent), ALL).await, &index, damage);
        let mut full = session(agent, NOW);
        full.limit = 1;
        names(store.create(&full).await, &index, damage);
        if damage == "a hash" {
            names(
                store.replace_token(&renewal(&record, "1", NOW)).await,
                &index,
                damage,
            );
        }
        store.revoke_agent(agent, NOW).await.unwrap();
        assert!(is_revoked_by_epoch(store, record.id).await, "{damage}");
        // The index was removed.
        let next = layout.add(session(agent, NOW)).await;
        if damage == "a hash" {
            set_hash(&layout, &index);
            assert!(store.revoke(next.id, NOW).await.unwrap().is_some());
            assert_eq!(revoked_at(store, next.id).await, Some(NOW));
        }
    }
}

#[tokio::test]
async fn damaged_agent_is_named_and_its_deletion_revokes_its_sessions() {
    let layout = LayoutStore::start();
    let store = &layout.store;
    for damage in ["a string", "no time"] {
        let agent = register(store, agent(), None).await.id;
        let record = layout.add(session(agent, NOW)).await;
        let name = agent_key("agent", agent);
        if damage == "a string" {
            set(&layout.redis, &name, b"nonsense");
            names(store.create(&session(agent, NOW)).await, &name, damage);
            names(
                store.replace_token(&renewal(&record, "1", NOW)).await,
                &name,
                damage,
            );
            names(store.register(&Agent::new(agent, NOW)).await, &name, damage);
        } else {
            layout.query::<i64>(&["HSET", &name, "c", "nonsense"]);
        }
        names(store.agent(agent).await, &name, damage);
        names(store.delete_agent(agent, NOW).await, &name, damage);
        assert_eq!(revoked_at(store, record.id).await, Some(NOW), "{damage}");
    }
    let agent = agent();
    let name = agent_key("agent", agent);
    layout.query::<i64>(&["HSET", &name, "d", "nonsense"]);
    names(
        store.register(&Agent::new(agent, NOW)).await,
        &name,
        "no time of the deletion",
    );
}

#[tokio::test]
async fn damaged_retry_entry_is_named() {
    let layout = LayoutStore::start();
    let store = &layout.store;
    let agent = agent();
    let retry = retry(agent, "a-creations-key", "a", NOW);
    let mut repeatable = session(agent, NOW);
    repeatable.retry = Some(retry);
    let reservation = AgentReservation::new(retry, agent, NOW);
    store.create(&repeatable).await.unwrap();
    store.reserve(&reservation).await.unwrap();
    let entries = layout.keys("retry:*");
    assert_eq!(entries.len(), 2);
    for damage in ["a hash", "empty", "short", "long"] {
        for entry in &entries {
            match damage {
                "a hash" => set_hash(&layout, entry),
                "empty" => set(&layout.redis, entry, b""),
                "short" => set(&layout.redis, entry, &[0; 53]),
                _ => set(&layout.redis, entry, &[0; 61]),
            }
            if entry.starts_with("retry:agents:") {
                names(store.reserve(&reservation).await, entry, damage);
            } else {
                let mut again = session(agent, NOW);
                again.retry = Some(retry);
                names(store.create(&again).await, entry, damage);
                assert_eq!(store.read(again.record.id).await.unwrap(), None);
            }
        }
    }
    assert_eq!(layout.query::<i64>(&["EXISTS", &key(repeatable.record.id)]), 1);
}
