//! Sessions in Redis, many at once, made through the library as anybody would.

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

/// As many as an agent may have.
pub(crate) const PER_AGENT: usize = 5;
/// Creations under way at once, for each connection.
const AT_ONCE: usize = 128;
const CONNECTIONS: usize = 2;

pub(crate) fn open(redis: &str) -> RedisStore {
    RedisStore::open(&RedisStoreConfig::new(redis)).expect("a URL")
}

pub(crate) fn now_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock");
    u64::try_from(since.as_millis()).expect("a time")
}

/// Agents that differ from one to the next as random ones do, the same ones in each run.
pub(crate) fn agent(number: usize) -> AgentId {
    // The golden ratio spreads the numbers over all of the id's bits.
    let spread = (number as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    AgentId::from_uuid(Uuid::from_u128(spread))
}

/// Sessions with tokens, each agent's maximum of them, for agents from this number on.
pub(crate) async fn with_tokens(
    redis: &str,
    signer: &TokenSigner,
    first_agent: usize,
    count: usize,
) -> Vec<IssuedSession> {
    let sessions = SessionManager::for_any_agent(open(redis), signer.clone());
    stream::iter(0..count)
        .map(|number| sessions.create(CreateSession::new(agent(first_agent + number / PER_AGENT))))
        .buffered(AT_ONCE)
        .map(|issued| issued.expect("a session"))
        .collect()
        .await
}

/// Sessions whose token nobody knows, which spares the signatures, with these numbers.
pub(crate) async fn without_tokens(redis: &str, numbers: std::ops::Range<usize>) {
    let part = numbers.len().div_ceil(CONNECTIONS);
    let parts: Vec<_> = (0..CONNECTIONS)
        .map(|part_number| {
            let begin = numbers.start + part_number * part;
            let store = open(redis);
            tokio::spawn(async move {
                stream::iter(begin..begin + part)
                    .for_each_concurrent(AT_ONCE, |number| {
                        let store = &store;
                        async move {
                            let session = new_session(number);
                            let created = store.create(&session).await;
                            assert_eq!(created.expect("a session"), CREATED);
                        }
                    })
                    .await;
            })
        })
        .collect();
    for part in parts {
        part.await.expect("a part of the sessions");
    }
}

fn new_session(number: usize) -> NewSession {
    let agent_id = agent(number / PER_AGENT);
    let now = SystemClock.now();
    let id = SessionId::generate(agent_id, now_millis()).expect("randomness");
    let limits = SessionLimits::new(86_400, 30, now.plus(2_592_000));
    let record = SessionRecord::new(id, agent_id, TokenHash::of(&number.to_string()), &limits);
    let mut policy = SessionPolicy::default();
    policy.max_sessions_per_agent = PER_AGENT as u32;
    policy.on_session_limit = OnSessionLimit::Refuse;
    policy.retention = 86_400;
    NewSession::new(record, &policy, now)
}
