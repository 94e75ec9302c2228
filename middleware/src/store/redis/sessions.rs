//! Sessions in Redis: the store trait, and the calls of its scripts.

use std::{
    collections::BTreeSet,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use redis::Value;

use super::{
    RedisStore,
    keys::Keys,
    record,
    script::{REPLACE_TOKEN, REVOKE, ScriptCall, unknown_reply},
};
use crate::{
    clock::Timestamp,
    id::{AgentId, SessionId},
    session::SessionRecord,
    store::{
        CachedStore, ClockSkew, CreateOutcome, NearCacheStats, NewSession, Page, PageRequest, SessionCursor,
        SessionStore, StoreError, StoreHealth, StoreWarning, SwapOutcome, TokenSwap,
    },
    telemetry::StoreOperation,
};

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
        self.create_session(session).await
    }

    async fn replace_token(&self, swap: &TokenSwap) -> Result<SwapOutcome, StoreError> {
        let next = &swap.next;
        let names = self.keys().of_agent(next.agent_id);
        let keep_for = next.expires_at().plus(swap.retention).since(swap.now);
        let call = ScriptCall::timely()
            .key(self.keys().session(next.id))
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
            let call = revocation(self.keys(), id, agent, now);
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

    async fn list_of(
        &self,
        agents: &BTreeSet<AgentId>,
        page: PageRequest<SessionCursor>,
    ) -> Result<Page<SessionRecord, SessionCursor>, StoreError> {
        self.shared
            .connection
            .within(StoreOperation::List, self.list_sessions_of(agents, page))
            .await
    }

    fn clock_skew(&self) -> Option<ClockSkew> {
        self.shared.connection.skew.latest()
    }

    fn warnings(&self) -> Vec<StoreWarning> {
        self.shared.connection.durability.warnings()
    }

    async fn health(&self) -> Result<StoreHealth, StoreError> {
        let connection = &self.shared.connection;
        connection.within(StoreOperation::Ping, connection.health()).await
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
        let packed: Option<Vec<u8>> = self.shared.connection.query(&self.keys().get_session(id)).await?;
        packed.map(|packed| record::unpack(id, &packed)).transpose()
    }
}

/// Builds the call of revoke.lua.
pub(super) fn revocation(keys: &Keys, id: SessionId, agent: AgentId, now: Timestamp) -> ScriptCall {
    ScriptCall::default()
        .key(keys.session(id))
        .key(keys.of_agent(agent).index)
        .arg(record::pack_time(now))
        .arg(*id.as_uuid().as_bytes())
}
