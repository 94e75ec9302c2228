//! A store on a Redis Cluster: dead and stopped masters, failovers, slots that move, and nodes that are added.

mod cached;
mod failover;
mod harness;
mod outages;
mod resharding;
mod topology;

use std::time::Duration;

use session_auth_tests::{
    fixtures::{CREATED, NOW, agent, key, open, session},
    redis::Cluster,
};
use tokio::time::{Instant, sleep};
use tower_session_auth::{AgentId, RedisStore, SessionId, session::SessionRecord, store::SessionStore as _};

/// Far longer than any call takes.
const PATIENT: Duration = Duration::from_secs(10);
/// The default deadline of a store call.
const DEADLINE: Duration = Duration::from_millis(250);
/// The time that a busy machine may add to a deadline.
const SLACK: Duration = Duration::from_millis(250);
/// The longest time from the end of an outage to the store's use of the cluster.
const HEALED_WITHIN: Duration = Duration::from_secs(2);

/// A store with the default deadline.
fn impatient(cluster: &Cluster) -> RedisStore {
    open(cluster.url(), DEADLINE)
}

/// An agent whose keys are on this master.
#[track_caller]
fn agent_on(cluster: &Cluster, master: usize) -> AgentId {
    loop {
        let agent = agent();
        if cluster.owner(&format!("{{{:04x}}}", agent.bucket())) == master {
            return agent;
        }
    }
}

/// Creates a session on this master.
async fn session_on(cluster: &Cluster, store: &RedisStore, master: usize) -> SessionRecord {
    let new = session(agent_on(cluster, master), NOW);
    assert_eq!(store.create(&new).await.unwrap(), CREATED);
    assert_eq!(cluster.owner(&key(new.record.id)), master);
    new.record
}

/// A session on each master.
async fn session_on_each(cluster: &Cluster, store: &RedisStore) -> [SessionRecord; 3] {
    [
        session_on(cluster, store, 0).await,
        session_on(cluster, store, 1).await,
        session_on(cluster, store, 2).await,
    ]
}

/// Reads a session. Returns whether it is revoked, and the time that the call took.
async fn read(store: &RedisStore, id: SessionId) -> (Result<Option<bool>, String>, Duration) {
    let began = Instant::now();
    let read = store.read(id).await;
    let took = began.elapsed();
    let revoked = read.map(|record| record.map(|record| record.revoked_at.is_some()));
    (revoked.map_err(|error| error.to_string()), took)
}

/// The time until the store reads this session as revoked, or not revoked.
async fn time_until(store: &RedisStore, id: SessionId, revoked: bool) -> Duration {
    let began = Instant::now();
    loop {
        let (now, _) = read(store, id).await;
        if now.as_ref().ok() == Some(&Some(revoked)) {
            return began.elapsed();
        }
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "the last answer: {now:?}"
        );
        sleep(Duration::from_millis(5)).await;
    }
}
