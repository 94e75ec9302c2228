//! Sessions in Redis: the store trait, and the calls of its scripts.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use redis::{Value, cmd};

use super::{
    RedisStore,
    keys::{self, AgentKeys},
    record,
    script::{CREATE, REPLACE_TOKEN, REVOKE, ScriptCall, unknown_reply},
};
use crate::{
    clock::Timestamp,
    id::{AgentId, SessionId},
    session::{OnSessionLimit, SessionRecord},
    store::{
        CachedStore, ClockSkew, CreateOutcome, NearCacheStats, NewSession, Page, PageRequest, SessionCursor,
        SessionStore, StoreError, SwapOutcome, TokenSwap,
    },
    telemetry::StoreOperation,
};

/// Maximum difference between the clocks of servers, in seconds. If it is exceeded, one server may remove another's session
/// from an index too early.
const CLOCK_MARGIN: u64 = 3600;

/// The attempts to revoke a session whose creation failed, over half a minute.
const REVOKE_ATTEMPTS: usize = 60;
const REVOKE_PAUSE: Duration = Duration::from_millis(500);

/// The future of [`RedisStore`]'s reads.
pub struct RedisRead(Pin<Box<dyn Future<Output = Result<Option<SessionRecord>, StoreError>> + Send>>);

impl Future for RedisRead {
    type Output = Result<Option<SessionRecord>, StoreError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for RedisRead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RedisRead(..)")
    }
}

impl SessionStore for RedisStore {
    type Read = RedisRead;

    fn read(&self, id: SessionId) -> Self::Read {
        let store = self.clone();
        RedisRead(Box::pin(async move {
            let read = store.read_session(id);
            store.shared.connection.within(StoreOperation::Read, read).await
        }))
    }

    async fn create(&self, session: &NewSession) -> Result<CreateOutcome, StoreError> {
        let record = &session.record;
        // One round trip, the registry first: an entry without sessions is harmless.
        let mut register = cmd("ZADD");
        register
            .arg(keys::REGISTRY)
            .arg(0)
            .arg(record.agent_id.as_uuid().as_bytes());
        let create = async {
            let (registered, created) = tokio::join!(
                biased;
                self.shared.connection.query::<Value>(&register),
                self.add(session),
            );
            registered?;
            created
        };
        let revoke = RevokeOnDrop::new(self, session);
        let created = self
            .shared
            .connection
            .within(StoreOperation::Create, create)
            .await?;
        revoke.disarm();
        created.ok_or_else(|| StoreError::Unexpected("a fresh session id is in use".into()))
    }

    async fn replace_token(&self, swap: &TokenSwap) -> Result<SwapOutcome, StoreError> {
        let next = &swap.next;
        let names = AgentKeys::of(next.agent_id);
        let keep_for = next.expires_at().plus(swap.retention).since(swap.now);
        let call = ScriptCall::timely()
            .key(keys::session_key(next.id))
            .key(names.index)
            .key(names.agent)
            .arg(*swap.expected().as_bytes())
            .arg(*next.id.as_uuid().as_bytes())
            .number(next.expires_at())
            .number(keep_for)
            .arg(record::pack(next));
        let _invalidate = self.shared.near.invalidate_on_drop(vec![next.id]);
        let reply = self.shared.connection.script(&REPLACE_TOKEN, &call);
        match self
            .shared
            .connection
            .within(StoreOperation::ReplaceToken, reply)
            .await?
        {
            Value::Int(1) => Ok(SwapOutcome::Replaced),
            Value::Int(-1) => Ok(SwapOutcome::Revoked),
            Value::Int(-2) => Ok(SwapOutcome::NotFound),
            Value::Int(-4) => Err(self.shared.connection.too_late()),
            Value::BulkString(packed) => {
                let record = record::unpack(next.id, &packed)?;
                Ok(SwapOutcome::Mismatch(Box::new(record)))
            }
            other => Err(unknown_reply("replace_token", other)),
        }
    }

    async fn revoke(&self, id: SessionId, now: Timestamp) -> Result<bool, StoreError> {
        let _invalidate = self.shared.near.invalidate_on_drop(vec![id]);
        let revoke = async {
            let Some(agent) = self.agent_of(id).await? else {
                return Ok(false);
            };
            let call = revocation(id, agent, now);
            match self.shared.connection.script::<i64>(&REVOKE, &call).await? {
                1 => Ok(true),
                0 => Ok(false),
                other => Err(unknown_reply("revoke", other)),
            }
        };
        self.shared
            .connection
            .within(StoreOperation::Revoke, revoke)
            .await
    }

    async fn revoke_agent(&self, agent: AgentId, now: Timestamp) -> Result<u32, StoreError> {
        let revoked = self
            .shared
            .connection
            .within(StoreOperation::RevokeAgent, self.revoke_all(agent, now, None))
            .await?;
        Ok(revoked.unwrap_or_default())
    }

    async fn list(
        &self,
        agent: Option<AgentId>,
        page: PageRequest<SessionCursor>,
    ) -> Result<Page<SessionRecord, SessionCursor>, StoreError> {
        self.shared
            .connection
            .within(StoreOperation::List, self.list_sessions(agent, page))
            .await
    }

    fn clock_skew(&self) -> Option<ClockSkew> {
        self.shared.connection.skew.latest()
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.shared
            .connection
            .within(StoreOperation::Ping, self.shared.connection.probe())
            .await
    }
}

impl CachedStore for RedisStore {
    fn enable_cache(&self) -> Result<(), StoreError> {
        self.shared.near.enable()
    }

    fn cached(&self, id: SessionId) -> Option<Arc<SessionRecord>> {
        self.shared.near.cache()?.get(id)
    }

    fn read_through(&self, id: SessionId) -> Self::Read {
        let Some(miss) = self.shared.near.cache().and_then(|cache| cache.miss(id)) else {
            return self.read(id);
        };
        let store = self.clone();
        RedisRead(Box::pin(async move {
            let connection = &store.shared.connection;
            let read = async {
                // The other half of the deadline is for the store's own connection.
                match miss.read(connection.deadline() / 2).await {
                    Some(read) => read,
                    None => store.read_session(id).await,
                }
            };
            connection.within(StoreOperation::Read, read).await
        }))
    }

    fn cache_stats(&self) -> Option<NearCacheStats> {
        Some(self.shared.near.cache()?.stats())
    }
}

impl RedisStore {
    async fn read_session(&self, id: SessionId) -> Result<Option<SessionRecord>, StoreError> {
        let packed: Option<Vec<u8>> = self.shared.connection.query(&keys::get_session(id)).await?;
        packed.map(|packed| record::unpack(id, &packed)).transpose()
    }

    /// Calls create.lua. If an active session has to be evicted, it calls the script again with the keys of the active sessions, since a
    /// script names all its keys. It repeats that while other changes alter the active sessions; the deadline limits it. `None` if the id
    /// is in use: then that session must not be revoked.
    async fn add(&self, session: &NewSession) -> Result<Option<CreateOutcome>, StoreError> {
        let mut evictable = Vec::new();
        loop {
            let call = creation(session, &evictable);
            let _invalidate = self.shared.near.invalidate_on_drop(evictable.clone());
            return match self.shared.connection.script(&CREATE, &call).await? {
                Value::Int(1) => Ok(Some(CreateOutcome::Created { evicted: Vec::new() })),
                Value::Int(0) => Ok(Some(CreateOutcome::LimitReached)),
                Value::Int(-1) => Ok(Some(CreateOutcome::AgentDeleted)),
                Value::Int(-2) => Ok(None),
                Value::Int(-4) => Err(self.shared.connection.too_late()),
                Value::Array(reply) => match <[Value; 2]>::try_from(reply) {
                    Ok([Value::Int(1), Value::Array(ids)]) => {
                        keys::session_ids(ids).map(|evicted| Some(CreateOutcome::Created { evicted }))
                    }
                    Ok([Value::Int(0), Value::Array(ids)]) => {
                        evictable = keys::session_ids(ids)?;
                        continue;
                    }
                    other => Err(unknown_reply("create", other)),
                },
                other => Err(unknown_reply("create", other)),
            };
        }
    }

    /// Revokes a session in the background, because it may exist although its creation failed. Its token was never delivered,
    /// but it counts against the agent's limit. The same connection keeps the order, so this runs after the creation.
    fn revoke_in_background(&self, id: SessionId, agent: AgentId, now: Timestamp) {
        let store = self.clone();
        // Without a runtime, no command can be sent.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        runtime.spawn(async move {
            let _invalidate = store.shared.near.invalidate_on_drop(vec![id]);
            let call = revocation(id, agent, now);
            for _ in 0..REVOKE_ATTEMPTS {
                let revoked = store.shared.connection.script::<i64>(&REVOKE, &call);
                if store
                    .shared
                    .connection
                    .within(StoreOperation::Revoke, revoked)
                    .await
                    .is_ok()
                {
                    return;
                }
                tokio::time::sleep(REVOKE_PAUSE).await;
            }
        });
    }
}

/// Revokes the session of a failed or cancelled creation when it is dropped, unless it is disarmed.
struct RevokeOnDrop<'a>(Option<(&'a RedisStore, &'a NewSession)>);

impl<'a> RevokeOnDrop<'a> {
    const fn new(store: &'a RedisStore, session: &'a NewSession) -> Self {
        Self(Some((store, session)))
    }

    fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for RevokeOnDrop<'_> {
    fn drop(&mut self) {
        if let Some((store, session)) = self.0 {
            store.revoke_in_background(session.record.id, session.record.agent_id, session.now);
        }
    }
}

/// Builds the call of create.lua.
fn creation(session: &NewSession, evictable: &[SessionId]) -> ScriptCall {
    let record = &session.record;
    let names = AgentKeys::of(record.agent_id);
    let at_limit: &[u8] = match session.on_limit {
        OnSessionLimit::Refuse => b"refuse",
        OnSessionLimit::EvictOldest => b"evict",
    };
    let keep_for = record.expires_at().plus(session.retention).since(session.now);
    let margin = session.retention.saturating_add(CLOCK_MARGIN);
    let mut call = ScriptCall::timely()
        .key(keys::session_key(record.id))
        .key(names.index)
        .key(names.agent)
        .number(session.now)
        .number(session.limit)
        .arg(at_limit)
        .arg(*record.id.as_uuid().as_bytes())
        .number(record.expires_at())
        .number(keep_for)
        .number(session.now.0.saturating_sub(margin))
        .arg(record::pack(record))
        .arg(record::pack_time(session.now));
    let mut evictable = evictable.to_vec();
    evictable.sort_unstable();
    for id in evictable {
        call = call
            .key(keys::session_key(id))
            .arg(*id.as_uuid().as_bytes())
            .number(id.created_at());
    }
    call
}

/// Builds the call of revoke.lua.
fn revocation(id: SessionId, agent: AgentId, now: Timestamp) -> ScriptCall {
    ScriptCall::default()
        .key(keys::session_key(id))
        .key(AgentKeys::of(agent).index)
        .arg(record::pack_time(now))
        .arg(*id.as_uuid().as_bytes())
}
