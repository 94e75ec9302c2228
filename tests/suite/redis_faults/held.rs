//! Calls that are given up and go on.

use std::{fmt::Debug, time::Duration};

use redis::InfoDict;
use session_auth_tests::{
    fixtures::{NOW, agent, renewal},
    redis::TestRedis,
};
use tokio::time::{sleep, timeout};
use tower_session_auth::{
    Agent, AgentId, AgentStore as _, PageRequest, Registered, SessionRecord, SessionStore as _, StoreError,
    Timestamp,
};

use super::{
    gate::{Gate, Mode},
    subject::Subject,
};

/// Two stores on a server: what one sends can be held back.
pub struct Held {
    redis: TestRedis,
    gate: Gate,
    pub late: Subject,
    pub prompt: Subject,
}

impl Held {
    pub async fn new(test: &'static str) -> Self {
        let redis = TestRedis::start();
        let gate = Gate::before(redis.port(), Mode::Open).await;
        let (late, prompt) = (Subject::new(test, gate.url()), Subject::new(test, redis.url()));
        let held = Self {
            redis,
            gate,
            late,
            prompt,
        };
        // The server must know all scripts, or they would not run late but be loaded first.
        let agent = held.registered().await.id;
        let record = held.late.add().await;
        let store = &held.prompt.store;
        store.replace_token(&renewal(&record, "1", NOW)).await.unwrap();
        assert!(store.revoke(record.id, NOW).await.unwrap());
        assert_eq!(store.delete_agent(agent, NOW).await.unwrap(), Some(0));
        held
    }

    pub async fn registered(&self) -> Agent {
        let agent = named(agent(), NOW);
        let registered = self.prompt.store.register(&agent).await.unwrap();
        assert_eq!(registered, Registered::Done);
        agent
    }

    /// From now on what `late` sends waits if this text is in it.
    pub fn hold(&self, text: &'static str) {
        self.gate.set(Mode::Hold(text));
    }

    /// Gives up a call, the last command of which has been sent and has not arrived.
    pub async fn abandon<T: Debug>(
        &self,
        last: &'static str,
        call: impl Future<Output = Result<T, StoreError>>,
    ) {
        self.hold(last);
        let error = self.late.call(call).await.unwrap_err();
        assert!(matches!(error, StoreError::Timeout), "{error:?}");
    }

    /// Lets it arrive, and waits until it has run.
    pub async fn release(&self, last: &str) {
        let runs = || {
            let info: InfoDict = self.redis.command(&["INFO", "commandstats"]).unwrap();
            let stats = info.get::<String>(&format!("cmdstat_{}", last.to_lowercase()));
            stats.and_then(|stats| stats.split(['=', ',']).nth(1)?.parse::<u32>().ok())
        };
        let before = runs();
        self.gate.set(Mode::Open);
        self.becomes_true(async || runs() != before).await;
    }

    pub async fn becomes_true(&self, condition: impl AsyncFn() -> bool) {
        let wait = async {
            while !condition().await {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(5), wait)
            .await
            .expect("it becomes true");
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

pub fn named(id: AgentId, created_at: Timestamp) -> Agent {
    Agent {
        id,
        name: None,
        created_at,
    }
}
