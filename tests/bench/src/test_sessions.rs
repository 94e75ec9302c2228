//! Creates the sessions of the benchmark in Redis, concurrently, through the public API.

use std::time::{SystemTime, UNIX_EPOCH};

use futures_util::{StreamExt as _, stream};
use session_auth_tests::fixtures::CREATED;
use tower_session_auth::{
    AgentId, RedisStore, SessionId, SessionManager,
    clock::{Clock as _, SystemClock},
    manager::IssuedSession,
    session::{CreateSession, OnSessionLimit, SessionLimits, SessionPolicy, SessionRecord},
    store::{NewSession, RedisStoreConfig, SessionStore as _},
    token::{TokenHash, TokenSigner},
};
use uuid::Uuid;

/// The maximum number of sessions per agent.
pub(crate) const SESSIONS_PER_AGENT: usize = 5;
/// Concurrent creations per connection.
const CONCURRENT_CREATIONS: usize = 128;
const CONNECTIONS: usize = 2;

pub(crate) fn open_store(redis: &str) -> RedisStore {
    RedisStore::open(&RedisStoreConfig::new(redis)).expect("a valid Redis URL")
}

pub(crate) fn unix_millis() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock after 1970");
    u64::try_from(since.as_millis()).expect("milliseconds that fit into 64 bits")
}

/// A reproducible agent id. Ids of consecutive numbers differ in all bits, like random ids.
pub(crate) fn agent_id(number: usize) -> AgentId {
    // Multiplication by the golden ratio distributes the numbers over all bits of the id.
    let range = (number as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    AgentId::from_uuid(Uuid::from_u128(range))
}

/// Creates sessions with tokens, the maximum per agent. Agents are numbered from `first_agent`.
pub(crate) async fn create_with_tokens(
    redis: &str,
    signer: &TokenSigner,
    first_agent: usize,
    count: usize,
) -> Vec<IssuedSession> {
    let sessions = SessionManager::for_any_agent(open_store(redis), signer.clone());
    stream::iter(0..count)
        .map(|number| {
            sessions.create(CreateSession::new(agent_id(
                first_agent + number / SESSIONS_PER_AGENT,
            )))
        })
        .buffered(CONCURRENT_CREATIONS)
        .map(|issued| issued.expect("create a session"))
        .collect()
        .await
}

/// Creates sessions with these numbers but without tokens, which saves the signatures.
pub(crate) async fn create_without_tokens(redis: &str, numbers: std::ops::Range<usize>) {
    let part_size = numbers.len().div_ceil(CONNECTIONS);
    let parts: Vec<_> = (0..CONNECTIONS)
        .map(|part_number| {
            let begin = numbers.start + part_number * part_size;
            let store = open_store(redis);
            tokio::spawn(async move {
                stream::iter(begin..begin + part_size)
                    .for_each_concurrent(CONCURRENT_CREATIONS, |number| {
                        let store = &store;
                        async move {
                            let session = new_session(number);
                            let created = store.create(&session).await;
                            assert_eq!(created.expect("create a session"), CREATED);
                        }
                    })
                    .await;
            })
        })
        .collect();
    for part in parts {
        part.await.expect("create a part of the sessions");
    }
}

fn new_session(number: usize) -> NewSession {
    let agent_id = agent_id(number / SESSIONS_PER_AGENT);
    let now = SystemClock.now();
    let id = SessionId::generate(agent_id, unix_millis()).expect("generate a session id");
    let limits = SessionLimits::new(86_400, 30, now.plus(2_592_000));
    let record = SessionRecord::new(id, agent_id, TokenHash::of(&number.to_string()), &limits);
    let mut policy = SessionPolicy::default();
    policy.max_sessions_per_agent = SESSIONS_PER_AGENT as u32;
    policy.on_session_limit = OnSessionLimit::Refuse;
    policy.retention = 86_400;
    NewSession::new(record, &policy, now)
}
