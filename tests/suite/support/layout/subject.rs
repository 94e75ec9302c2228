//! A server of one's own, and a store that has done everything it does.

use std::time::Duration;

use redis::FromRedisValue;
use session_auth_tests::redis::TestRedis;
use tower_session_auth::{
    AgentId, RedisStore,
    session::{RetryHash, SessionRecord},
    store::{Agent, AgentStore as _, CreateOutcome, NewSession, PageRequest, SessionStore as _},
};

use crate::fixtures::{NOW, agent, constraints, open, renewal, session};

/// Far more than a call takes: these tests are not about deadlines.
const DEADLINE: Duration = Duration::from_secs(10);

pub struct Subject {
    pub redis: TestRedis,
    pub store: RedisStore,
}

impl Subject {
    pub fn new() -> Self {
        let redis = TestRedis::start();
        let store = open(redis.url(), DEADLINE);
        Self { redis, store }
    }

    /// As the user that LAYOUT.md advises.
    pub fn of_the_advised_user() -> Self {
        let redis = TestRedis::start();
        let layout = include_str!("../../../../middleware/src/store/redis/LAYOUT.md");
        let line = layout.lines().find(|line| line.starts_with("ACL SETUSER"));
        let words: Vec<&str> = line.expect("a user").split(' ').collect();
        redis.command::<()>(&words).unwrap();
        let url = format!("redis://sessions:password@127.0.0.1:{}", redis.port());
        let store = open(url, DEADLINE);
        Self { redis, store }
    }

    #[track_caller]
    pub fn ask<T: FromRedisValue>(&self, arguments: &[&str]) -> T {
        self.redis.command(arguments).unwrap()
    }

    pub fn keys(&self, pattern: &str) -> Vec<String> {
        self.ask(&["KEYS", pattern])
    }

    pub async fn add(&self, session: NewSession) -> SessionRecord {
        assert_eq!(self.store.create(&session).await.unwrap(), CreateOutcome::Done);
        session.record
    }

    pub async fn register(&self, id: AgentId, name: &str) {
        let name = Some(name.to_owned());
        let created_at = NOW;
        let agent = Agent { id, name, created_at };
        self.store.register(&agent).await.unwrap();
    }

    /// Everything that a store does: two agents that live, one that was deleted, one that is not registered, and sessions of each
    /// that were left alone, renewed and revoked, without constraints and with constraints of all lengths. Answers the agents.
    pub async fn work(&self) -> [AgentId; 4] {
        let agents = [agent(), agent(), agent(), agent()];
        for agent in &agents[..3] {
            self.register(*agent, "build-bot").await;
        }
        for agent in agents {
            for constraints in [None, constraints(64), constraints(65), constraints(4_096)] {
                for (renew, revoke) in [(false, false), (true, false), (false, true), (true, true)] {
                    let mut session = session(agent, NOW);
                    session.limit = 16;
                    session.record.constraints.clone_from(&constraints);
                    let mut record = self.add(session).await;
                    for token in ["1", "2"].into_iter().filter(|_| renew) {
                        let mut swap = renewal(&record, token, NOW);
                        swap.next.generation += 1;
                        swap.next.rotated_generation = Some(swap.next.generation);
                        swap.next.previous_token_hash = Some(record.token_hash);
                        let key = "a-key-of-a-client".parse().unwrap();
                        swap.next.retry_hash =
                            Some(RetryHash::of(&record.token_hash, &swap.next.token_hash, &key));
                        self.store.replace_token(&swap).await.unwrap();
                        record = swap.next;
                    }
                    if revoke {
                        self.store.revoke(record.id, NOW).await.unwrap();
                    }
                    self.store.read(record.id).await.unwrap();
                }
            }
        }
        self.store.revoke_agent(agents[1], NOW).await.unwrap();
        self.store.delete_agent(agents[2], NOW).await.unwrap();
        self.store.create(&session(agents[2], NOW)).await.unwrap();
        for (agent, limit) in [(None, 5), (Some(agents[0]), 3)] {
            self.store
                .list(agent, PageRequest { after: None, limit })
                .await
                .unwrap();
        }
        self.store
            .agents(PageRequest {
                after: None,
                limit: 2,
            })
            .await
            .unwrap();
        self.store.agent(agents[0]).await.unwrap();
        agents
    }
}

/// The key of what there is of an agent.
pub fn agent_key(what: &str, agent: AgentId) -> String {
    format!("{what}:{{{:04x}}}:{}", agent.bucket(), agent.as_uuid().simple())
}
