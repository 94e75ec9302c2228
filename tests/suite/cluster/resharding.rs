//! Slots that move to another master while clients use them.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use session_auth_tests::{
    fixtures::{
        CREATED, NOW, agent,
        cached::{cache, stats, wait_until},
        key, open, renewal, session,
    },
    redis::Cluster,
};
use tokio::{task::spawn_blocking, time::Instant};
use tower_session_auth::{
    AgentId, RedisStore,
    session::SessionRecord,
    store::{CachedStore as _, SessionStore as _},
};

use super::{DEADLINE, PATIENT, impatient, read, session_on};

const WORKERS: usize = 8;
const AGENTS_OF_A_WORKER: usize = 60;
/// The number of slots that move there and back.
const MOVED: usize = 400;

/// What a worker saw.
#[derive(Default)]
struct Seen {
    calls: usize,
    /// Calls without an answer in time.
    errors: Vec<String>,
    wrong: Vec<String>,
    slowest: Duration,
    /// Calls that took longer than the default deadline.
    slow: usize,
    /// The sessions at the end, as they were acknowledged. The order is that of the creations.
    kept: Vec<SessionRecord>,
}

impl Seen {
    /// Counts a call. Returns its value if it was answered.
    fn answered<T>(
        &mut self,
        what: &str,
        began: Instant,
        result: Result<T, impl std::fmt::Debug>,
    ) -> Option<T> {
        self.calls += 1;
        self.slowest = self.slowest.max(began.elapsed());
        self.slow += usize::from(began.elapsed() > DEADLINE);
        result
            .map_err(|error| {
                self.errors
                    .push(format!("{what} after {:?}: {error:?}", began.elapsed()))
            })
            .ok()
    }

    fn check(&mut self, what: &str, holds: bool, found: impl FnOnce() -> String) {
        if !holds {
            self.wrong.push(format!("{what}: {}", found()));
        }
    }

    /// Creates a session, reads and renews it. Every second one is revoked.
    async fn use_store(&mut self, store: &RedisStore, agent: AgentId, keep: bool) {
        let new = session(agent, NOW);
        let id = new.record.id;
        let began = Instant::now();
        let Some(created) = self.answered("create", began, store.create(&new).await) else {
            return;
        };
        self.check("create", created == CREATED, || format!("{created:?}"));
        self.expect(store, &new.record, "read after create").await;

        let swap = renewal(&new.record, "1", NOW);
        let began = Instant::now();
        if self
            .answered("renew", began, store.replace_token(&swap).await)
            .is_none()
        {
            return;
        }
        self.expect(store, &swap.next, "read after renew").await;
        if keep {
            self.kept.push(swap.next);
            return;
        }
        let began = Instant::now();
        let Some(found) = self.answered("revoke", began, store.revoke(id, NOW).await) else {
            return;
        };
        self.check("revoke", found.is_some(), || "no session".to_owned());
        let mut revoked = swap.next;
        revoked.revoked_at = Some(NOW);
        self.expect(store, &revoked, "read after revoke").await;
    }

    async fn expect(&mut self, store: &RedisStore, record: &SessionRecord, what: &str) {
        let began = Instant::now();
        if let Some(read) = self.answered(what, began, store.read(record.id).await) {
            self.check(what, read.as_ref() == Some(record), || format!("{read:?}"));
        }
    }
}

async fn work(store: RedisStore, agents: Vec<AgentId>, stop: Arc<AtomicBool>) -> Seen {
    let mut seen = Seen::default();
    let mut count = 0;
    while !stop.load(Ordering::Relaxed) {
        for &agent in &agents {
            // The first sessions of each agent stay, within its limit.
            seen.use_store(&store, agent, count < 3 * agents.len()).await;
            count += 1;
        }
    }
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resharding_under_load_gives_no_wrong_answer_and_loses_no_session() {
    let cluster = Arc::new(Cluster::builder().without_replicas().start());
    let store = open(cluster.url(), PATIENT);
    let all: Vec<AgentId> = (0..WORKERS * AGENTS_OF_A_WORKER).map(|_| agent()).collect();
    let stop = Arc::new(AtomicBool::new(false));
    let workers: Vec<_> = all
        .chunks(AGENTS_OF_A_WORKER)
        .map(|agents| tokio::spawn(work(store.clone(), agents.to_vec(), Arc::clone(&stop))))
        .collect();

    let began = Instant::now();
    let resharding = spawn_blocking({
        let (cluster, all) = (Arc::clone(&cluster), all.clone());
        move || {
            let own: BTreeSet<u16> = cluster.slots_of(0).into_iter().collect();
            let used = all
                .iter()
                .map(|agent| cluster.slot(&format!("{{{:04x}}}", agent.bucket())));
            let used: BTreeSet<u16> = used.filter(|slot| own.contains(slot)).collect();
            let unused = own.iter().copied().filter(|slot| !used.contains(slot));
            let missing = MOVED.saturating_sub(used.len());
            let slots: Vec<u16> = used.iter().copied().chain(unused.take(missing)).collect();
            let there = cluster.reshard(&slots, 0, 1);
            let back = cluster.reshard(&slots, 1, 0);
            (slots.len(), used.len(), there + back)
        }
    });
    let moved = resharding.await;
    let took = began.elapsed();
    stop.store(true, Ordering::Relaxed);
    let (slots, used, keys) = moved.unwrap();

    let mut all_seen = Vec::new();
    for worker in workers {
        all_seen.push(worker.await.unwrap());
    }
    let sum = |of: fn(&Seen) -> usize| all_seen.iter().map(of).sum::<usize>();
    let slowest = all_seen.iter().map(|seen| seen.slowest).max();
    println!(
        "{slots} slots ({used} with sessions) moved there and back in {took:?}, with {keys} keys; {} calls, {} without an answer, {} wrong, {} slower than {DEADLINE:?}, the slowest took {slowest:?}",
        sum(|seen| seen.calls),
        sum(|seen| seen.errors.len()),
        sum(|seen| seen.wrong.len()),
        sum(|seen| seen.slow),
    );
    let mut lost = Vec::new();
    for record in all_seen.iter().flat_map(|seen| &seen.kept) {
        let read = store.read(record.id).await.unwrap();
        if read.as_ref() != Some(record) {
            lost.push(format!("{record:?}: {read:?}"));
        }
    }
    let wrong: Vec<_> = all_seen.iter().flat_map(|seen| &seen.wrong).take(5).collect();
    let errors: Vec<_> = all_seen.iter().flat_map(|seen| &seen.errors).take(5).collect();
    assert_eq!(wrong, [""; 0]);
    assert_eq!(lost, [""; 0]);
    assert_eq!(errors, [""; 0]);
    assert!(keys > 0 && sum(|seen| seen.kept.len()) > 0);
}

/// The new owner of a slot has never sent an invalidation to this store.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cached_record_is_invalidated_after_its_slot_moved() {
    let cluster = Cluster::builder().without_replicas().start();
    let (bounded, other) = (open(cluster.url(), PATIENT), open(cluster.url(), PATIENT));
    bounded.enable_cache().unwrap();
    wait_until("coherent", || stats(&bounded).coherent).await;
    for _ in 0..20 {
        let record = session_on(&cluster, &other, 0).await;
        cache(&bounded, record.id).await;
        let slot = cluster.slot(&format!("{{{:04x}}}", record.agent_id.bucket()));
        cluster.reshard(&[slot], 0, 1);
        other.revoke(record.id, NOW).await.unwrap();
        wait_until("invalidated", || bounded.cached(record.id).is_none()).await;
        assert_eq!(read(&bounded, record.id).await.0, Ok(Some(true)));
        cluster.reshard(&[slot], 1, 0);
    }
}

/// Begins to move the slot of a session from the first master to the second one, and moves no key.
fn open_slot(cluster: &Cluster, record: &SessionRecord) {
    let id = |node: usize| cluster.command::<String>(node, &["CLUSTER", "MYID"]).unwrap();
    set_slot(cluster, record, 1, &["IMPORTING", &id(0)]);
    set_slot(cluster, record, 0, &["MIGRATING", &id(1)]);
}

fn set_slot(cluster: &Cluster, record: &SessionRecord, node: usize, words: &[&str]) {
    let slot = cluster.slot(&key(record.id)).to_string();
    let words = [&["CLUSTER", "SETSLOT", slot.as_str()], words].concat();
    cluster.command::<()>(node, &words).unwrap();
}

/// Redis refuses a script with a missing key while the slot is being moved, and most buckets have no epochs of agents.
#[tokio::test]
async fn sessions_of_an_open_slot_are_checked() {
    let cluster = Cluster::builder().without_replicas().start();
    let store = impatient(&cluster);
    let record = session_on(&cluster, &store, 0).await;
    open_slot(&cluster, &record);
    assert_eq!(read(&store, record.id).await.0, Ok(Some(false)));
    assert!(store.revoke(record.id, NOW).await.unwrap().is_some());
    assert_eq!(read(&store, record.id).await.0, Ok(Some(true)));
    store.revoke_agent(record.agent_id, NOW).await.unwrap_err();
    for node in [0, 1] {
        set_slot(&cluster, &record, node, &["STABLE"]);
    }
    store.revoke_agent(record.agent_id, NOW).await.unwrap();
}

/// The names of the keys with this prefix in the slot of a session, on the first master.
fn keys_of_slot(cluster: &Cluster, record: &SessionRecord, prefix: &str) -> Vec<String> {
    let slot = cluster.slot(&key(record.id)).to_string();
    let keys = cluster.command::<Vec<String>>(0, &["CLUSTER", "GETKEYSINSLOT", &slot, "10"]);
    let keys = keys.unwrap().into_iter();
    keys.filter(|key| key.starts_with(prefix)).collect()
}

/// A move can be interrupted between the session and the index of its agent.
#[tokio::test]
async fn session_of_an_open_slot_is_revoked_wherever_its_index_is() {
    let cluster = Cluster::builder().without_replicas().start();
    let store = impatient(&cluster);
    let target = cluster.node(1).port().to_string();
    let migrate = ["MIGRATE", "127.0.0.1", &target];
    for (prefix, before, after) in [
        ("idx:", &migrate[..], &["0", "5000"][..]),
        ("session:", &migrate, &["0", "5000"]),
        ("idx:", &["DEL"], &[]),
    ] {
        let record = session_on(&cluster, &store, 0).await;
        open_slot(&cluster, &record);
        let [key] = &keys_of_slot(&cluster, &record, prefix)[..] else {
            panic!("{prefix}: one key");
        };
        let words = [before, &[key.as_str()], after].concat();
        cluster.command::<redis::Value>(0, &words).unwrap();
        let revoked = store.revoke(record.id, NOW).await;
        assert!(matches!(revoked, Ok(Some(_))), "{words:?}: {revoked:?}");
        assert_eq!(read(&store, record.id).await.0, Ok(Some(true)), "{words:?}");
    }
}

#[tokio::test]
async fn session_that_was_revoked_without_its_index_is_not_counted() {
    let cluster = Cluster::builder().without_replicas().start();
    let store = impatient(&cluster);
    let record = session_on(&cluster, &store, 0).await;
    let [index] = &keys_of_slot(&cluster, &record, "idx:")[..] else {
        panic!("one index");
    };
    let migrate = |from: usize, to: usize| {
        let target = cluster.node(to).port().to_string();
        let words = ["MIGRATE", "127.0.0.1", &target, index, "0", "5000"];
        cluster.command::<redis::Value>(from, &words).unwrap();
    };
    open_slot(&cluster, &record);
    migrate(0, 1);
    store.revoke(record.id, NOW).await.unwrap();
    // The source takes keys again, and the target still has its own.
    set_slot(&cluster, &record, 0, &["STABLE"]);
    migrate(1, 0);
    set_slot(&cluster, &record, 1, &["STABLE"]);
    assert_eq!(keys_of_slot(&cluster, &record, "idx:").len(), 1);
    let all = store.revoke_agent(record.agent_id, NOW).await.unwrap();
    assert_eq!(all.active, 0);
}

/// A new connection writes the lost revocation again. The index of the agent is gone with its last active session.
#[tokio::test]
async fn revocation_in_an_open_slot_does_not_keep_its_master_out_of_use() {
    let cluster = Cluster::builder().without_replicas().start();
    let store = impatient(&cluster);
    let (revoked, other) = (
        session_on(&cluster, &store, 0).await,
        session_on(&cluster, &store, 0).await,
    );
    let mut lost = redis::cmd("SET");
    let active: Vec<u8> = cluster.command(0, &["GET", &key(revoked.id)]).unwrap();
    lost.arg(key(revoked.id)).arg(active);
    store.revoke(revoked.id, NOW).await.unwrap();
    let client = redis::Client::open(cluster.node(0).url()).unwrap();
    lost.exec(&mut client.get_connection().unwrap()).unwrap();
    open_slot(&cluster, &revoked);
    cluster
        .command::<redis::Value>(0, &["CLIENT", "KILL", "TYPE", "normal"])
        .unwrap();
    let began = Instant::now();
    for (record, expected) in [(revoked, true), (other, false)] {
        let mut answer = read(&store, record.id).await.0;
        while answer != Ok(Some(expected)) {
            assert!(began.elapsed() < Duration::from_secs(3), "{expected}: {answer:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
            answer = read(&store, record.id).await.0;
        }
    }
}

/// Nodes that announce a host name redirect to it, and the store connects by the IP address. `ASK` names the target.
#[tokio::test]
async fn redirection_to_a_host_name_is_followed() {
    let cluster = Cluster::builder().without_replicas().start();
    cluster.command_on_each(&["CONFIG", "SET", "cluster-announce-hostname", "node.example"]);
    cluster.command_on_each(&["CONFIG", "SET", "cluster-preferred-endpoint-type", "hostname"]);
    let names = |node: usize| {
        let nodes: String = cluster.command(node, &["CLUSTER", "NODES"]).unwrap();
        nodes.matches(",node.example").count()
    };
    wait_until("announced", || cluster.numbers().all(|node| names(node) == 3)).await;
    let store = impatient(&cluster);
    let record = session_on(&cluster, &store, 0).await;
    open_slot(&cluster, &record);
    assert_eq!(read(&store, record.id).await.0, Ok(Some(false)));
}
