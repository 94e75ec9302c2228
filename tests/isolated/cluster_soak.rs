//! Many rounds of faults on a cluster. `tests/run --soak` runs them.

use std::time::{Duration, Instant};

use session_auth_tests::{
    fixtures::{CREATED, NOW, agent, key, open, session},
    redis::Cluster,
};
use tokio::time::sleep;
use tower_session_auth::{
    RedisStore, SessionId,
    store::{SessionStore as _, StoreError},
};

use crate::alone;

const ROUNDS: usize = 50;
/// The longest time from the end of a failover to the store's use of the new master.
const FOLLOWED_WITHIN: Duration = Duration::from_secs(1);

/// What happens to a master.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// SIGKILL. It restarts without data, as a replica of the new master.
    Kill,
    /// SIGSTOP, until it was replaced.
    Stop,
}

/// A cluster, and a store that lives through all rounds.
struct Soak {
    cluster: Cluster,
    store: RedisStore,
}

/// The result of a round.
struct Round {
    /// From the fault to the new master.
    replaced: Duration,
    /// From the new master to the first answer of the store.
    followed: Duration,
}

impl Soak {
    fn start() -> Self {
        let builder = Cluster::builder().node_timeout_ms(1_000);
        let cluster = builder.without_full_coverage().start();
        let store = open(cluster.url(), Duration::from_millis(250));
        Self { cluster, store }
    }

    /// One fault of the master of a new session, and the recovery of the cluster.
    async fn round(&mut self, fault: Fault) -> Round {
        let id = self.create().await;
        let key = key(id);
        let master = self.cluster.owner(&key);
        let copied: u32 = self.cluster.command(master, &["WAIT", "1", "5000"]).unwrap();
        assert_eq!(copied, 1);
        let began = Instant::now();
        match fault {
            Fault::Kill => self.cluster.kill(master),
            Fault::Stop => self.cluster.pause(master),
        }
        let new = self.cluster.wait_for_failover(&key, master);
        let replaced = began.elapsed();
        let followed = self.time_until_served(id).await;
        assert!(followed < FOLLOWED_WITHIN, "{fault:?}: {followed:?}");
        assert!(self.store.revoke(id, NOW).await.unwrap().is_some());
        match fault {
            Fault::Kill => self.cluster.restart(master),
            Fault::Stop => self.cluster.resume(master),
        }
        self.assert_revoked(id).await;
        self.cluster.wait_until_all_slots_are_served();
        self.cluster.wait_for_sync(master);
        assert_eq!(self.cluster.owner(&key), new);
        Round { replaced, followed }
    }

    async fn create(&self) -> SessionId {
        let new = session(agent(), NOW);
        let began = Instant::now();
        loop {
            match self.store.create(&new).await {
                Ok(created) => {
                    assert_eq!(created, CREATED);
                    return new.record.id;
                }
                Err(error) => assert!(began.elapsed() < FOLLOWED_WITHIN, "{error}"),
            }
        }
    }

    async fn time_until_served(&self, id: SessionId) -> Duration {
        let began = Instant::now();
        loop {
            match self.store.read(id).await {
                Ok(Some(_)) => return began.elapsed(),
                Ok(None) => panic!("the session was lost"),
                Err(error) => assert!(began.elapsed() < Duration::from_secs(20), "{error}"),
            }
            sleep(Duration::from_millis(1)).await;
        }
    }

    /// The old master answers again, and does not know of the revocation.
    async fn assert_revoked(&self, id: SessionId) {
        let began = Instant::now();
        while began.elapsed() < FOLLOWED_WITHIN {
            let read: Result<_, StoreError> = self.store.read(id).await;
            if let Ok(record) = read {
                let revoked = record.is_some_and(|record| record.revoked_at.is_some());
                assert!(
                    revoked,
                    "accepted {:?} after the old master returned",
                    began.elapsed()
                );
            }
        }
    }
}

#[ignore = "many minutes: tests/run --soak"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn store_follows_every_failover_of_many() {
    let _alone = alone();
    let mut soak = Soak::start();
    for round in 0..ROUNDS {
        let fault = [Fault::Kill, Fault::Stop][round % 2];
        let Round { replaced, followed } = soak.round(fault).await;
        println!("round {round}: {fault:?}: replaced after {replaced:?}, followed {followed:?} later");
    }
}
