//! A Redis store whose calls must return in time.

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

use session_auth_tests::fixtures::{CREATED, NOW, agent, open, renewal, session};
use tokio::time::sleep;
use tower_session_auth::{
    RedisStore, SessionId,
    clock::Timestamp,
    session::SessionRecord,
    store::{CreateOutcome, NewSession, SessionStore as _, StoreError},
};

pub const DEADLINE: Duration = Duration::from_millis(250);
/// The deadline, 100 ms, and a reserve for a loaded machine.
const SLOWEST: Duration = Duration::from_secs(1);
const RECOVERY_LIMIT: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(5);

/// A store with a deadline of [`DEADLINE`]. On drop it prints its slowest call and its slowest recovery.
pub struct TimedStore {
    pub store: RedisStore,
    test: &'static str,
    slowest: Mutex<Duration>,
    recovered: Mutex<Duration>,
}

impl TimedStore {
    pub fn new(test: &'static str, url: impl Into<String>) -> Self {
        Self {
            store: open(url, DEADLINE),
            test,
            slowest: Mutex::default(),
            recovered: Mutex::default(),
        }
    }

    /// Awaits a call, which must return within [`SLOWEST`].
    pub async fn timed<T>(&self, call: impl Future<Output = T>) -> (T, Duration) {
        let start = Instant::now();
        let outcome = call.await;
        let took = start.elapsed();
        assert!(took <= SLOWEST, "{}: a call took {took:?}", self.test);
        keep_maximum(&self.slowest, took);
        (outcome, took)
    }

    pub async fn call<T>(&self, call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        self.timed(call).await.0
    }

    pub async fn read(&self, id: SessionId) -> Result<Option<SessionRecord>, StoreError> {
        self.call(self.store.read(id)).await
    }

    pub async fn create(&self, session: &NewSession) -> Result<CreateOutcome, StoreError> {
        self.call(self.store.create(session)).await
    }

    /// Creates a session.
    pub async fn add(&self) -> SessionRecord {
        let session = session(agent(), NOW);
        assert_eq!(self.create(&session).await.unwrap(), CREATED);
        session.record
    }

    /// Asserts that each kind of call fails.
    pub async fn fails(&self, record: &SessionRecord) {
        self.read(record.id).await.unwrap_err();
        self.create(&session(record.agent_id, NOW)).await.unwrap_err();
        self.fails_to_write(record).await;
        self.call(self.store.ping()).await.unwrap_err();
    }

    /// Asserts that each call that changes this session fails.
    pub async fn fails_to_write(&self, record: &SessionRecord) {
        let now = Timestamp(NOW.0 + 1);
        let swap = renewal(record, "1", now);
        self.call(self.store.replace_token(&swap)).await.unwrap_err();
        self.call(self.store.revoke(record.id, now)).await.unwrap_err();
    }

    /// Asserts that every read fails for this long. Returns the duration of the last one.
    pub async fn fails_for(&self, id: SessionId, duration: Duration) -> Duration {
        let start = Instant::now();
        loop {
            let (read, took) = self.timed(self.store.read(id)).await;
            assert!(
                matches!(read, Err(StoreError::Timeout | StoreError::Unavailable(_))),
                "{read:?}"
            );
            if start.elapsed() >= duration {
                return took;
            }
            sleep(POLL).await;
        }
    }

    /// Reads until a read succeeds, which must happen within [`RECOVERY_LIMIT`].
    pub async fn recovers(&self, id: SessionId) -> Option<SessionRecord> {
        let start = Instant::now();
        loop {
            let read = self.read(id).await;
            let took = start.elapsed();
            assert!(took <= RECOVERY_LIMIT, "{}: {took:?}: {read:?}", self.test);
            if let Ok(record) = read {
                keep_maximum(&self.recovered, took);
                return record;
            }
            sleep(POLL).await;
        }
    }

    /// Reads until the session is as in `after`. Until then each read must fail or return `before`.
    pub async fn becomes(
        &self,
        id: SessionId,
        before: Option<&SessionRecord>,
        after: Option<&SessionRecord>,
    ) {
        let start = Instant::now();
        loop {
            let read = self.read(id).await;
            if read.as_ref().is_ok_and(|record| record.as_ref() == after) {
                return;
            }
            assert!(start.elapsed() <= RECOVERY_LIMIT, "{}: {read:?}", self.test);
            assert!(read.is_err() || read.is_ok_and(|record| record.as_ref() == before));
            sleep(POLL).await;
        }
    }
}

impl Drop for TimedStore {
    fn drop(&mut self) {
        if let (Ok(slowest), Ok(recovered)) = (self.slowest.lock(), self.recovered.lock()) {
            let (slowest, recovered) = (slowest.as_millis(), recovered.as_millis());
            println!(
                "{}: slowest call {slowest} ms, recovered in {recovered} ms",
                self.test
            );
        }
    }
}

fn keep_maximum(longest: &Mutex<Duration>, took: Duration) {
    let mut longest = longest.lock().unwrap();
    *longest = took.max(*longest);
}
