//! One failover, with three processes that write during it.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use session_auth_tests::fixtures::{NOW, open};
use tokio::{
    task::block_in_place,
    time::{sleep, timeout},
};
use tower_session_auth::{
    RedisStore, SessionId,
    session::SessionRecord,
    store::{CachedStore as _, RedisStoreConfig, SessionStore as _},
};

use super::{
    stream::{Acknowledged, Sessions, Stream, create},
    topology::{Fault, Kind, Servers},
    watch::{self, Ages, Requests, Times},
};

/// The default deadline of a store call.
const DEADLINE: Duration = Duration::from_millis(250);
/// How long a revocation waits for a replica. Short, so that many are tried while the replica is stopped.
const ACK_TIMEOUT: Duration = Duration::from_millis(100);
/// How long the streams run before the fault, and with every write replicated.
const BEFORE: Duration = Duration::from_millis(150);
/// How long the old master is watched after its resumption.
const WATCHED: Duration = Duration::from_millis(1_500);
/// Far longer than a failover takes. On a machine under load, an election can fail and is repeated.
const HEALED_WITHIN: Duration = Duration::from_secs(40);
const POLL: Duration = Duration::from_millis(4);

/// The settings of a round.
#[derive(Clone, Copy, Debug)]
pub struct Round {
    pub kind: Kind,
    pub fault: Fault,
    /// How long the replica lacks every write before the fault. Zero: it has them as fast as Redis sends them.
    pub lag: Duration,
}

/// What a process was told, and what the new master has of it.
#[derive(Debug, Default, Clone)]
pub struct Survival {
    /// Revocations that were answered `durable: true`.
    pub durable: usize,
    pub durable_undone: usize,
    /// The other acknowledged revocations.
    pub other: usize,
    pub other_undone: usize,
    pub renewals: u64,
    pub lost_renewals: u64,
}

#[derive(Debug, Clone)]
pub struct Outcome {
    pub round: Round,
    /// Waits for one replica.
    pub waiting: Survival,
    /// Lives on, and writes its revocations again.
    pub rewriting: Survival,
    /// Ended at the fault.
    pub ended: Survival,
    /// Revoked tokens that were accepted after their revocation.
    pub strict: Ages,
    pub bounded: Ages,
    /// Revocations that the old master acknowledged after the announcement of the new one.
    pub old_revocations: Ages,
    /// From the fault to the promotion, without the time in which the old master served.
    pub without_master: Duration,
    /// From the promotion to its announcement by all sentinels or nodes.
    pub announcing: Duration,
    pub refused: Duration,
}

impl Outcome {
    /// How much longer protected requests were refused than there was no master.
    pub fn excess(&self) -> Duration {
        self.refused.saturating_sub(self.without_master)
    }

    /// How much longer they were refused than no master was announced.
    pub fn excess_after_announcement(&self) -> Duration {
        self.excess().saturating_sub(self.announcing)
    }
}

fn process(url: &str, replicas: u32) -> RedisStore {
    let mut config = RedisStoreConfig::new(url);
    config.timeout = DEADLINE;
    config.min_replicas_ack = replicas;
    config.ack_timeout = ACK_TIMEOUT;
    RedisStore::open(&config).unwrap()
}

/// Runs a round on servers of its own. `None` if the servers failed over by themselves before the fault, as on a machine under load.
pub async fn run(round: Round) -> Option<Outcome> {
    let mut servers = block_in_place(|| Servers::start(round.kind));
    let url = servers.url();
    // Created with a patient store, on a machine under load.
    let patient = open(&*url, Duration::from_secs(10));
    let mut of_streams = Vec::new();
    for _ in 0..3 {
        let agent = block_in_place(|| servers.agent());
        of_streams.push(Sessions::create(&patient, agent).await);
    }
    let agent = block_in_place(|| servers.agent());
    let victims = ids(&create(&patient, agent, 3).await);
    let probed = ids(&create(&patient, agent, 200).await);
    let requests = Requests::start(&servers).await;
    block_in_place(|| servers.replicate());

    let times = Arc::<Times>::default();
    let [waiting, rewriting, ended, strict, bounded, revoking] =
        [1, 0, 0, 0, 0, 0].map(|replicas| process(&url, replicas));
    bounded.enable_cache().unwrap();
    for store in [&waiting, &rewriting, &ended, &strict, &bounded, &revoking] {
        wait_until_read(store, victims[0]).await;
    }
    let requests = requests.send(times.clone());
    let strict = watch::verify(strict, victims.clone(), times.clone());
    let bounded = watch::verify(bounded, victims.clone(), times.clone());
    let revoking = watch::revoke(revoking, probed, servers.url_of_the_replica(), times.clone());
    let mut of_streams = of_streams.into_iter();
    let mut start = |store, revoking| Stream::start(store, of_streams.next().unwrap(), revoking);
    let (of_waiting, of_rewriting, of_ended) = (start(&waiting, 8), start(&rewriting, 2), start(&ended, 2));
    sleep(BEFORE).await;
    if !round.lag.is_zero() {
        block_in_place(|| servers.stop_replication());
        sleep(round.lag).await;
    }
    if !block_in_place(|| servers.is_untouched()) {
        return None;
    }

    let of_ended = of_ended.kill().await;
    drop(ended);
    let (without_master, announcing) = block_in_place(|| fail_over(&mut servers, round.fault));
    times.announced.set(Instant::now()).unwrap();
    revoke_all(&url, &victims).await;
    times.revoked.set(Instant::now()).unwrap();
    block_in_place(|| servers.resume(round.fault));
    sleep(WATCHED).await;
    for store in [&waiting, &rewriting] {
        wait_until_read(store, victims[0]).await;
    }
    let (of_waiting, of_rewriting) = tokio::join!(of_waiting.stop(), of_rewriting.stop());
    times.stop.store(true, Ordering::Relaxed);

    let fresh = open(servers.url(), Duration::from_secs(10));
    wait_until_read(&fresh, victims[0]).await;
    Some(Outcome {
        round,
        waiting: survival(&fresh, of_waiting).await,
        rewriting: survival(&fresh, of_rewriting).await,
        ended: survival(&fresh, of_ended).await,
        strict: strict.await.unwrap(),
        bounded: bounded.await.unwrap(),
        old_revocations: revoking.await.unwrap(),
        without_master,
        announcing,
        refused: requests.await.unwrap(),
    })
}

fn ids(records: &[SessionRecord]) -> Vec<SessionId> {
    records.iter().map(|record| record.id).collect()
}

/// Begins the fault and waits until the new master is announced. Returns how long there was no master, and how long the announcement took.
fn fail_over(servers: &mut Servers, fault: Fault) -> (Duration, Duration) {
    servers.begin(fault);
    let mut ended = (fault != Fault::Partition).then(Instant::now);
    let began = Instant::now();
    while !servers.is_promoted() {
        if ended.is_none() && !servers.old_master_answers() {
            ended = Some(Instant::now());
        }
        assert!(began.elapsed() < HEALED_WITHIN, "the replica is not promoted");
        std::thread::sleep(POLL);
    }
    let without = ended.map_or(Duration::ZERO, |ended| ended.elapsed());
    let promoted = Instant::now();
    servers.wait_until_announced();
    (without, promoted.elapsed())
}

/// Revokes sessions by a process that knows only the new master.
async fn revoke_all(url: &str, victims: &[SessionId]) {
    let store = open(url, Duration::from_secs(10));
    let began = Instant::now();
    for &id in victims {
        while store.revoke(id, NOW).await.is_err() {
            assert!(began.elapsed() < HEALED_WITHIN, "no revocation");
            sleep(POLL).await;
        }
    }
}

async fn wait_until_read(store: &RedisStore, id: SessionId) {
    let read = async {
        while store.read(id).await.is_err() {
            sleep(POLL).await;
        }
    };
    timeout(HEALED_WITHIN, read).await.expect("the store reads");
}

/// Compares what was acknowledged with the new master.
async fn survival(fresh: &RedisStore, acknowledged: Acknowledged) -> Survival {
    let mut survival = Survival {
        renewals: acknowledged.renewals,
        lost_renewals: acknowledged.lost_renewals,
        ..Survival::default()
    };
    for (id, durable) in acknowledged.revocations {
        let record = fresh.read(id).await.unwrap().expect("a replicated session");
        let undone = usize::from(record.revoked_at.is_none());
        if durable {
            survival.durable += 1;
            survival.durable_undone += undone;
        } else {
            survival.other += 1;
            survival.other_undone += undone;
        }
    }
    for latest in acknowledged.renewed {
        let record = fresh
            .read(latest.id)
            .await
            .unwrap()
            .expect("a replicated session");
        survival.lost_renewals += u64::from(latest.generation.saturating_sub(record.generation));
    }
    survival
}
