//! "Revoke all" and the deletion of an agent hold for sessions that the index has lost.

use std::time::Duration;

use session_auth_tests::{
    fixtures::{
        CREATED, NOW, RETENTION, agent,
        cached::{DEADLINE, cached_session, coherent_store_with, execute, stats, wait_until},
        layout::{LayoutStore, agent_key},
        open, register, renewal, session,
    },
    redis::TestRedis,
};
use tower_session_auth::store::{Agent, AgentStore as _, CachedStore as _, SessionStore as _, SwapOutcome};

use super::{epochs_key, is_revoked_by_epoch, revoked_at};

/// The seconds for which an entry is kept, at least.
const KEPT: u64 = 35 * 86_400;

fn lose_index(layout: &LayoutStore, agent: tower_session_auth::AgentId) {
    assert_eq!(layout.query::<i64>(&["DEL", &agent_key("idx", agent)]), 1);
}

#[tokio::test]
async fn session_that_the_index_has_lost_is_revoked_with_its_agent() {
    let layout = LayoutStore::start();
    let agent = agent();
    let lost = [
        layout.add(session(agent, NOW)).await,
        layout.add(session(agent, NOW)).await,
    ];
    let other = layout.add(session(self::agent(), NOW)).await;
    lose_index(&layout, agent);
    let indexed = layout.add(session(agent, NOW)).await;
    assert_eq!(layout.store.revoke_agent(agent, NOW).await.unwrap().active, 1);
    for record in &lost {
        assert!(is_revoked_by_epoch(&layout.store, record.id).await);
        let swap = renewal(record, "1", NOW);
        let swapped = layout.store.replace_token(&swap).await.unwrap();
        assert_eq!(swapped, SwapOutcome::Revoked);
    }
    assert_eq!(revoked_at(&layout.store, indexed.id).await, Some(NOW));
    assert_eq!(revoked_at(&layout.store, other.id).await, None);
}

/// Neither the end of the lease nor the age of the record removes it.
#[tokio::test]
async fn cached_session_that_the_index_has_lost_is_invalidated() {
    let redis = TestRedis::start();
    let long = Duration::from_secs(600);
    let store = coherent_store_with(&redis, |near| (near.bound, near.max_age) = (long, long)).await;
    let other = open(redis.url(), DEADLINE);
    for revoking in [&other, &store] {
        let (record, unrelated) = (cached_session(&store).await, cached_session(&store).await);
        execute(&redis, &["DEL", &agent_key("idx", record.agent_id)]);
        assert_eq!(store.cached(record.id).as_deref(), Some(&record));
        assert_eq!(
            revoking.revoke_agent(record.agent_id, NOW).await.unwrap().active,
            0
        );
        if std::ptr::eq(revoking, &raw const store) {
            assert_eq!(store.cached(record.id), None, "by this process: at once");
        }
        let took = wait_until("invalidated", || store.cached(record.id).is_none()).await;
        assert!(took < Duration::from_secs(1), "{took:?}");
        let read = store.read_through(record.id).await.unwrap().unwrap();
        assert!(read.revoked_at.is_some());
        assert_eq!(store.cached(record.id), None, "a revoked record is not cached");
        if record.id.bucket() % 64 != unrelated.id.bucket() % 64 {
            assert!(store.cached(unrelated.id).is_some(), "another shard");
        }
    }
    assert_eq!(stats(&store).losses, 0);
    assert!(stats(&store).coherent);
}

#[tokio::test]
async fn agent_whose_record_is_lost_can_be_deleted() {
    let layout = LayoutStore::start();
    let agent = register(&layout.store, agent(), None).await.id;
    let (lost, indexed) = {
        let lost = layout.add(session(agent, NOW)).await;
        lose_index(&layout, agent);
        (lost, layout.add(session(agent, NOW)).await)
    };
    layout.query::<i64>(&["DEL", &agent_key("agent", agent)]);
    assert_eq!(layout.store.delete_agent(agent, NOW).await.unwrap(), None);
    assert!(is_revoked_by_epoch(&layout.store, lost.id).await);
    assert_eq!(revoked_at(&layout.store, indexed.id).await, Some(NOW));
    assert_eq!(layout.query::<i64>(&["ZCARD", "agents"]), 0);
}

#[tokio::test]
async fn deleted_agent_that_is_registered_again_has_new_sessions_only() {
    let layout = LayoutStore::start();
    let agent = register(&layout.store, agent(), None).await.id;
    let old = layout.add(session(agent, NOW)).await;
    lose_index(&layout, agent);
    assert_eq!(
        layout
            .store
            .delete_agent(agent, NOW)
            .await
            .unwrap()
            .map(|revoked| revoked.active),
        Some(0)
    );
    layout
        .store
        .register(&Agent::new(agent, NOW.plus(1)))
        .await
        .unwrap();
    let new = layout.add(session(agent, NOW.plus(1))).await;
    assert!(is_revoked_by_epoch(&layout.store, old.id).await);
    assert_eq!(revoked_at(&layout.store, new.id).await, None);
}

/// Several revocations in one second are of different epochs.
#[tokio::test]
async fn session_created_after_a_revocation_is_active_until_the_next_one() {
    let layout = LayoutStore::start();
    let agent = agent();
    let mut before = None;
    for round in 0..5 {
        let record = layout.add(session(agent, NOW)).await;
        assert_eq!(revoked_at(&layout.store, record.id).await, None, "{round}");
        let swap = renewal(&layout.store.read(record.id).await.unwrap().unwrap(), "1", NOW);
        let swapped = layout.store.replace_token(&swap).await.unwrap();
        assert_eq!(swapped, SwapOutcome::Replaced, "{round}");
        assert_eq!(
            revoked_at(&layout.store, record.id).await,
            None,
            "renewed in {round}"
        );
        if let Some(before) = before {
            assert!(is_revoked_by_epoch(&layout.store, before).await, "{round}");
        }
        lose_index(&layout, agent);
        layout.store.revoke_agent(agent, NOW).await.unwrap();
        assert!(is_revoked_by_epoch(&layout.store, record.id).await, "{round}");
        before = Some(record.id);
    }
}

#[tokio::test]
async fn entry_has_the_documented_bytes_and_outlives_every_earlier_session() {
    let layout = LayoutStore::start();
    let agent = agent();
    let key = epochs_key(agent);
    layout.add(session(agent, NOW)).await;
    assert_eq!(layout.query::<i64>(&["EXISTS", &key]), 0, "normally absent");
    let entry = || -> (Vec<u8>, u64, u64, u64) {
        let value: Vec<u8> = layout.query(&["GET", &key]);
        assert_eq!(value.len(), 24);
        let number = |from: usize| {
            value[from..from + 4]
                .iter()
                .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
        };
        (
            value[..16].to_vec(),
            number(16),
            number(20),
            layout.query(&["TTL", &key]),
        )
    };
    let time = || layout.query::<(u64, u64)>(&["TIME"]).0;
    let before = time();
    layout.store.revoke_agent(agent, NOW).await.unwrap();
    let (id, epoch, kept_until, ttl) = entry();
    assert_eq!(id, agent.as_uuid().as_bytes());
    assert!((before..=time()).contains(&epoch));
    assert!((before + KEPT..=time() + KEPT).contains(&kept_until));
    assert!((KEPT - 60..=KEPT).contains(&ttl), "{ttl}");

    // A session of 100 days, and its renewal.
    let mut long = session(agent, NOW);
    long.record.ttl = 100 * 86_400;
    long.record.absolute_expires_at = NOW.plus(500 * 86_400);
    let lives = 100 * 86_400 + RETENTION;
    let record = layout.add(long).await;
    assert!((before + lives..=time() + lives).contains(&entry().2));
    let mut swap = renewal(&record, "1", NOW);
    swap.next.ttl = 200 * 86_400;
    layout.store.replace_token(&swap).await.unwrap();
    let lives = 200 * 86_400 + RETENTION;
    assert!((before + lives..=time() + lives).contains(&entry().2));
    assert_eq!(entry().1, epoch, "its epoch is kept");
    layout.store.revoke_agent(agent, NOW).await.unwrap();
    assert!(entry().1 > epoch);
    assert!(entry().2 >= before + lives);
}

/// The first revocation of an agent must know how long its sessions live.
#[tokio::test]
async fn long_session_of_an_agent_without_a_revocation_has_an_entry_of_epoch_0() {
    let layout = LayoutStore::start();
    let mut long = session(agent(), NOW);
    long.record.ttl = 100 * 86_400;
    long.record.absolute_expires_at = NOW.plus(500 * 86_400);
    let record = layout.add(long).await;
    let value: Vec<u8> = layout.query(&["GET", &epochs_key(record.agent_id)]);
    assert_eq!(value[16..20], [0; 4]);
    assert_eq!(revoked_at(&layout.store, record.id).await, None);
    lose_index(&layout, record.agent_id);
    layout.store.revoke_agent(record.agent_id, NOW).await.unwrap();
    assert!(is_revoked_by_epoch(&layout.store, record.id).await);
    let ttl: u64 = layout.query(&["TTL", &epochs_key(record.agent_id)]);
    assert!(ttl > 100 * 86_400, "{ttl}");
}

#[tokio::test]
async fn entries_are_removed_after_their_time() {
    let layout = LayoutStore::start();
    let agent = agent();
    let key = epochs_key(agent);
    let past: Vec<u8> = [&[7; 16][..], &[0, 0, 0, 1], &[0, 0, 0, 2]].concat();
    let kept: Vec<u8> = [&[8; 16][..], &[0, 0, 0, 1], &[0xff; 4]].concat();
    super::set(&layout.redis, &key, &[&past[..], &kept].concat());
    layout.store.revoke_agent(agent, NOW).await.unwrap();
    let value: Vec<u8> = layout.query(&["GET", &key]);
    assert_eq!(value.len(), 48);
    assert_eq!(value[..24], kept);
    assert_eq!(value[24..40], *agent.as_uuid().as_bytes());
}

#[tokio::test]
async fn list_omits_a_session_that_was_revoked_by_the_epoch_of_its_agent() {
    let layout = LayoutStore::start();
    let agent = agent();
    let record = layout.add(session(agent, NOW)).await;
    let index = agent_key("idx", agent);
    layout.query::<String>(&["RENAME", &index, "elsewhere"]);
    layout.store.revoke_agent(agent, NOW).await.unwrap();
    layout.query::<String>(&["RENAME", "elsewhere", &index]);
    let request = tower_session_auth::store::PageRequest {
        after: None,
        limit: 10,
    };
    let listed = layout.store.list(Some(agent), request).await.unwrap();
    assert_eq!(listed.items, []);
    // It holds no place.
    let mut next = session(agent, NOW);
    next.limit = 1;
    assert_eq!(layout.store.create(&next).await.unwrap(), CREATED);
    assert!(is_revoked_by_epoch(&layout.store, record.id).await);
}
