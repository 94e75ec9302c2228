//! Agents, sessions and swaps for the tests of the stores.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tower_session_auth::{
    AgentId, RedisStore, SessionId,
    clock::Timestamp,
    session::{Constraints, OnSessionLimit, SessionRecord},
    store::{NewSession, RedisStoreConfig, TokenSwap},
    token::TokenHash,
};

/// 2025-10-09T08:53:20Z: what the stores are told, not what the server's clock says.
pub const NOW: Timestamp = Timestamp(1_760_000_000);
pub const TTL: u64 = 86_400;
pub const RETENTION: u64 = 172_800;

/// An agent that no other call gave.
pub fn agent() -> AgentId {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("6f1c7a52-2f39-4b0e-8000-{count:012x}").parse().unwrap()
}

/// A session that is active for `TTL` seconds from `now`, for an agent that may have five.
pub fn session(agent_id: AgentId, now: Timestamp) -> NewSession {
    let id = SessionId::generate(agent_id, now.0 * 1000).unwrap();
    let record = SessionRecord {
        id,
        agent_id,
        token_hash: TokenHash::of(&format!("{id} first")),
        generation: 0,
        renewal_count: 0,
        max_renewals: 30,
        ttl: TTL,
        expires_at: now.plus(TTL),
        absolute_expires_at: now.plus(30 * TTL),
        last_renewed_at: None,
        previous_token_hash: None,
        retry_hash: None,
        rotated_generation: None,
        revoked_at: None,
        constraints: None,
    };
    NewSession {
        record,
        limit: 5,
        on_limit: OnSessionLimit::Refuse,
        retention: RETENTION,
        now,
    }
}

/// The renewal of a session at `now`, with a token of this name.
pub fn renewal(current: &SessionRecord, token: &str, now: Timestamp) -> TokenSwap {
    let next = SessionRecord {
        token_hash: TokenHash::of(&format!("{} {token}", current.id)),
        generation: current.generation + 1,
        renewal_count: current.renewal_count + 1,
        expires_at: now.plus(TTL),
        last_renewed_at: Some(now),
        ..current.clone()
    };
    TokenSwap {
        current: current.clone(),
        next,
        retention: RETENTION,
        now,
    }
}

/// Constraints of this many bytes.
pub fn constraints(len: usize) -> Option<Constraints> {
    let text = format!("{{\"a\":\"{}\"}}", "x".repeat(len - 8));
    Some(Constraints::new(&text).unwrap())
}

/// A store on a database, with a deadline.
pub fn open(url: impl Into<String>, deadline: Duration) -> RedisStore {
    let mut config = RedisStoreConfig::new(url);
    config.timeout = deadline;
    RedisStore::open(&config).unwrap()
}

/// The key of a session's record.
pub fn key(id: SessionId) -> String {
    let digits = id.as_uuid().simple().to_string();
    format!("session:{{{}}}:{}", &digits[28..], &digits[..28])
}
