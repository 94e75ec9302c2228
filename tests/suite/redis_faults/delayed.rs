//! Calls that time out and run later.

use std::{fmt::Debug, time::Duration};

use redis::InfoDict;
use session_auth_tests::{
    fixtures::{NOW, agent, renewal},
    redis::TestRedis,
};
use tokio::time::{sleep, timeout};
use tower_session_auth::{
    AgentId,
    clock::Timestamp,
    session::SessionRecord,
    store::{Agent, AgentStore as _, PageRequest, RegisterOutcome, SessionStore as _, StoreError},
};

use super::{
    fault_proxy::{FaultProxy, Mode},
    timed_store::TimedStore,
};

/// Two stores on one server. The proxy can hold back the commands of `late`.
pub struct DelayedCalls {
    redis: TestRedis,
    proxy: FaultProxy,
    pub late: TimedStore,
    pub prompt: TimedStore,
}

impl DelayedCalls {
    pub async fn new(test: &'static str) -> Self {
        let redis = TestRedis::start();
        let proxy = FaultProxy::start(redis.port(), Mode::Open).await;
        let (late, prompt) = (
            TimedStore::new(test, proxy.url()),
            TimedStore::new(test, redis.url()),
        );
        let calls = Self {
            redis,
            proxy,
            late,
            prompt,
        };
        // Loads all scripts: otherwise a late call would first load its script instead of running it.
        let agent = calls.registered().await.id;
        let record = calls.late.add().await;
        let store = &calls.prompt.store;
        store.replace_token(&renewal(&record, "1", NOW)).await.unwrap();
        assert!(store.revoke(record.id, NOW).await.unwrap().is_some());
        assert_eq!(
            store
                .delete_agent(agent, NOW)
                .await
                .unwrap()
                .map(|revoked| revoked.active),
            Some(0)
        );
        calls
    }

    pub async fn registered(&self) -> Agent {
        let agent = agent_record(agent(), NOW);
        let registered = self.prompt.store.register(&agent).await.unwrap();
        assert_eq!(registered, RegisterOutcome::Registered);
        agent
    }

    /// Holds back the commands of `late` that contain this text.
    pub fn hold(&self, text: &'static str) {
        self.proxy.set(Mode::Hold(text));
    }

    /// Lets a call time out after it has sent its last command, which has not reached the server.
    pub async fn abandon<T: Debug>(
        &self,
        last: &'static str,
        call: impl Future<Output = Result<T, StoreError>>,
    ) {
        self.hold(last);
        let error = self.late.call(call).await.unwrap_err();
        assert!(matches!(error, StoreError::Timeout), "{error:?}");
    }

    /// Like [`abandon`](Self::abandon), and holds only this command: the store then uses another connection.
    pub async fn abandon_one<T: Debug>(
        &self,
        last: &'static str,
        call: impl Future<Output = Result<T, StoreError>>,
    ) {
        self.proxy.set(Mode::HoldOne(last));
        let error = self.late.call(call).await.unwrap_err();
        assert!(matches!(error, StoreError::Timeout), "{error:?}");
    }

    /// How often the server has run a command.
    pub fn runs(&self, command: &str) -> u32 {
        let info: InfoDict = self.redis.command(&["INFO", "commandstats"]).unwrap();
        let stats = info.get::<String>(&format!("cmdstat_{}", command.to_lowercase()));
        let runs = stats.and_then(|stats| stats.split(['=', ',']).nth(1)?.parse().ok());
        runs.unwrap_or(0)
    }

    /// Releases the held command, and waits until it has run.
    pub async fn release(&self, last: &str) {
        let before = self.runs(last);
        self.proxy.set(Mode::Open);
        self.wait_until(async || self.runs(last) != before).await;
    }

    pub async fn wait_until(&self, condition: impl AsyncFn() -> bool) {
        let wait = async {
            while !condition().await {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(5), wait)
            .await
            .expect("the condition becomes true");
    }

    /// Waits until a session is revoked at `NOW`.
    pub async fn wait_until_revoked(&self, record: &SessionRecord) {
        let revoked = async || {
            let read = self.read(record).await;
            read.is_some_and(|record| record.revoked_at == Some(NOW))
        };
        self.wait_until(revoked).await;
    }

    pub async fn read(&self, record: &SessionRecord) -> Option<SessionRecord> {
        self.prompt.store.read(record.id).await.unwrap()
    }

    pub async fn lists(&self, record: &SessionRecord) -> bool {
        let request = PageRequest {
            after: None,
            limit: 100,
        };
        let page = self.prompt.store.list(None, request).await.unwrap();
        page.items.contains(record)
    }
}

pub fn agent_record(id: AgentId, created_at: Timestamp) -> Agent {
    Agent::new(id, created_at)
}
