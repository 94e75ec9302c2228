//! A process that revokes and renews sessions without a pause, and what it was told.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use session_auth_tests::fixtures::{CREATED, NOW, renewal, session};
use tokio::{task::JoinSet, time::sleep};
use tower_session_auth::{
    AgentId, RedisStore, SessionId,
    session::SessionRecord,
    store::{SessionStore as _, SwapOutcome},
};

const REVOKED_SESSIONS: usize = 400;
const RENEWED_SESSIONS: usize = 3;
/// The pause of a task after each change, so that the machine has time for the servers.
const PAUSE: Duration = Duration::from_millis(10);

/// What was acknowledged to a process.
#[derive(Default)]
pub struct Acknowledged {
    /// The revoked sessions, and true for a durable revocation.
    pub revocations: Vec<(SessionId, bool)>,
    pub renewals: u64,
    /// The renewals that the process itself noticed as lost.
    pub lost_renewals: u64,
    /// The latest state of each renewed session.
    pub renewed: Vec<SessionRecord>,
}

/// The tasks of a process with one store.
pub struct Stream {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<Mutex<Acknowledged>>,
    tasks: JoinSet<()>,
}

/// Creates sessions of an agent.
pub async fn create(store: &RedisStore, agent: AgentId, count: usize) -> Vec<SessionRecord> {
    let mut created = Vec::new();
    for _ in 0..count {
        let mut new = session(agent, NOW);
        new.limit = u32::MAX;
        assert_eq!(store.create(&new).await.unwrap(), CREATED);
        created.push(new.record);
    }
    created
}

/// The sessions of a stream.
pub struct Sessions {
    revoked: Vec<SessionRecord>,
    renewed: Vec<SessionRecord>,
}

impl Sessions {
    pub async fn create(store: &RedisStore, agent: AgentId) -> Self {
        Self {
            revoked: create(store, agent, REVOKED_SESSIONS).await,
            renewed: create(store, agent, RENEWED_SESSIONS).await,
        }
    }
}

impl Stream {
    /// Starts the tasks: so many that revoke, and one that renews each of some sessions.
    pub fn start(store: &RedisStore, sessions: Sessions, revoking: usize) -> Self {
        let mut stream = Self {
            stop: Arc::default(),
            acknowledged: Arc::default(),
            tasks: JoinSet::new(),
        };
        for share in sessions.revoked.chunks(REVOKED_SESSIONS.div_ceil(revoking)) {
            let ids = share.iter().map(|record| record.id).collect();
            let (stop, acknowledged) = (stream.stop.clone(), stream.acknowledged.clone());
            stream.tasks.spawn(revoke(store.clone(), ids, stop, acknowledged));
        }
        lock(&stream.acknowledged).renewed.clone_from(&sessions.renewed);
        for place in 0..sessions.renewed.len() {
            let (stop, acknowledged) = (stream.stop.clone(), stream.acknowledged.clone());
            stream
                .tasks
                .spawn(renew(store.clone(), place, stop, acknowledged));
        }
        stream
    }

    /// Ends the process at once, as a crash does: calls in flight are dropped.
    pub async fn kill(mut self) -> Acknowledged {
        self.tasks.shutdown().await;
        self.finish()
    }

    /// Ends the tasks after their calls.
    pub async fn stop(mut self) -> Acknowledged {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
        self.finish()
    }

    fn finish(&self) -> Acknowledged {
        std::mem::take(&mut lock(&self.acknowledged))
    }
}

/// Revokes one session after the other. A revocation that fails is repeated.
async fn revoke(
    store: RedisStore,
    ids: Vec<SessionId>,
    stop: Arc<AtomicBool>,
    acknowledged: Arc<Mutex<Acknowledged>>,
) {
    for id in ids {
        loop {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let revoked = store.revoke(id, NOW).await;
            if let Ok(revoked) = &revoked {
                let durable = revoked.expect("the session").durable == Some(true);
                lock(&acknowledged).revocations.push((id, durable));
            }
            sleep(PAUSE).await;
            if revoked.is_ok() {
                break;
            }
        }
    }
}

/// Renews a session again and again.
async fn renew(
    store: RedisStore,
    place: usize,
    stop: Arc<AtomicBool>,
    acknowledged: Arc<Mutex<Acknowledged>>,
) {
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        number += 1;
        let current = lock(&acknowledged).renewed[place].clone();
        let swap = renewal(&current, &number.to_string(), NOW);
        let found = match store.replace_token(&swap).await {
            Ok(SwapOutcome::Replaced) => {
                let mut acknowledged = lock(&acknowledged);
                acknowledged.renewals += 1;
                acknowledged.renewed[place] = swap.next;
                None
            }
            Ok(SwapOutcome::Mismatch(stored)) => Some(*stored),
            Ok(other) => panic!("a renewal: {other:?}"),
            // It may have happened.
            Err(_) => store.read(current.id).await.ok().flatten(),
        };
        if let Some(stored) = found {
            let mut acknowledged = lock(&acknowledged);
            // Such a token is SESSION_STATE_LOST.
            acknowledged.lost_renewals += u64::from(current.generation.saturating_sub(stored.generation));
            acknowledged.renewed[place] = stored;
        }
        sleep(PAUSE).await;
    }
}

fn lock(acknowledged: &Mutex<Acknowledged>) -> MutexGuard<'_, Acknowledged> {
    acknowledged.lock().unwrap_or_else(PoisonError::into_inner)
}
