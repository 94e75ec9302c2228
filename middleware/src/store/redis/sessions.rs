//! Sessions in Redis: the store trait, and the calls of its scripts.

use std::{
    collections::BTreeSet,
    fmt,
    future::Future,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
};

use redis::Value;

use super::{
    RedisStore, agent_epochs,
    keys::{self, Keys},
    record,
    script::{REPLACE_TOKEN, REVOKE, ScriptCall, WRITE_IN_ANY_CASE, unknown_reply},
};
use crate::{
    clock::Timestamp,
    id::{AgentId, SessionId},
    session::SessionRecord,
    store::{
        AgentRevoked, CachedStore, ClockSkew, CreateOutcome, NearCacheStats, NewSession, Page, PageRequest,
        Revoked, SessionCursor, SessionStore, StoreError, StoreHealth, StoreWarning, SwapOutcome, TokenSwap,
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
            // Pinned, so that its state is not moved into the call.
            let read = pin!(store.read_session(id));
            store.shared.servers.within(StoreOperation::Read, read).await
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
            .key(self.keys().agent_epochs(next.id.bucket()))
            .arg(*swap.expected().as_bytes())
            .arg(*next.id.as_uuid().as_bytes())
            .number(next.expires_at())
            .number(keep_for)
            .arg(record::pack(next));
        let _invalidate = self.shared.invalidate_on_drop(vec![next.id]);
        let reply = self.shared.servers.script(&REPLACE_TOKEN, &call);
        match self
            .shared
            .servers
            .within(StoreOperation::ReplaceToken, reply)
            .await?
        {
            Value::Int(1) => Ok(SwapOutcome::Replaced),
            Value::Int(-1) => Ok(SwapOutcome::Revoked),
            Value::Int(-2) => Ok(SwapOutcome::NotFound),
            Value::Int(-4) => Err(self.shared.servers.too_late(&call)),
            Value::BulkString(packed) => {
                let record = record::unpack(self.keys(), next.id, &packed)?;
                Ok(SwapOutcome::Mismatch(Box::new(record)))
            }
            other => Err(unknown_reply("replace_token", other)),
        }
    }

    async fn revoke(&self, id: SessionId, now: Timestamp) -> Result<Option<Revoked>, StoreError> {
        let _invalidate = self.shared.invalidate_on_drop(vec![id]);
        let revoke = async {
            let servers = &self.shared.servers;
            let Some(agent) = servers.before_deadline(self.agent_of(id)).await? else {
                return Ok(None);
            };
            let mut call = revocation(self.keys(), id, agent, now);
            if servers.waits_for_acks() {
                call = call.arg(WRITE_IN_ANY_CASE);
            }
            let revoked = |reply: &i64| {
                let revoked = *reply > 0;
                if revoked {
                    self.shared.recent.add([id], agent, now);
                }
                revoked
            };
            match servers.script_durably(&REVOKE, &call, revoked).await? {
                (1 | 2, durable) => Ok(Some(Revoked::new(durable))),
                (0, _) => Ok(None),
                (other, _) => Err(unknown_reply("revoke", other)),
            }
        };
        self.shared
            .servers
            .within_durably(StoreOperation::Revoke, revoke)
            .await
    }

    async fn revoke_agent(&self, agent: AgentId, now: Timestamp) -> Result<AgentRevoked, StoreError> {
        let revoked = self
            .shared
            .servers
            .within_durably(StoreOperation::RevokeAgent, self.revoke_all(agent, now, None))
            .await?;
        Ok(revoked.unwrap_or_default())
    }

    async fn list(
        &self,
        agent: Option<AgentId>,
        page: PageRequest<SessionCursor>,
    ) -> Result<Page<SessionRecord, SessionCursor>, StoreError> {
        self.shared
            .servers
            .within(StoreOperation::List, self.list_sessions(agent, page))
            .await
    }

    async fn list_of(
        &self,
        agents: &BTreeSet<AgentId>,
        page: PageRequest<SessionCursor>,
    ) -> Result<Page<SessionRecord, SessionCursor>, StoreError> {
        self.shared
            .servers
            .within(StoreOperation::List, self.list_sessions_of(agents, page))
            .await
    }

    fn clock_skew(&self) -> Option<ClockSkew> {
        self.shared.servers.clock_skew()
    }

    fn warnings(&self) -> Vec<StoreWarning> {
        self.shared.servers.warnings()
    }

    async fn health(&self) -> Result<StoreHealth, StoreError> {
        let servers = &self.shared.servers;
        servers.within(StoreOperation::Ping, servers.health()).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.shared
            .servers
            .within(StoreOperation::Ping, self.shared.servers.probe())
            .await
    }
}

impl CachedStore for RedisStore {
    fn enable_cache(&self) -> Result<(), StoreError> {
        self.shared.enable_caches()
    }

    fn cached(&self, id: SessionId) -> Option<Arc<SessionRecord>> {
        self.shared.with_cache(id.bucket(), |cache| cache.get(id))
    }

    fn read_through(&self, id: SessionId) -> Self::Read {
        let Some((owner, miss)) = self.shared.cache_miss(id) else {
            return self.read(id);
        };
        let store = self.clone();
        RedisRead(Box::pin(async move {
            let servers = &store.shared.servers;
            let read = async {
                // The other half of the deadline is for the store's own connection.
                match miss.read(servers.deadline() / 2).await {
                    // A node of a cluster that was replaced meanwhile may have answered.
                    Some(read) if store.shared.is_owner(id, &owner) => read,
                    _ => store.read_session(id).await,
                }
            };
            servers.within(StoreOperation::Read, read).await
        }))
    }

    fn cache_stats(&self) -> Option<NearCacheStats> {
        self.shared.cache_stats()
    }
}

impl RedisStore {
    async fn read_session(&self, id: SessionId) -> Result<Option<SessionRecord>, StoreError> {
        let reply: Value = self.shared.servers.query(&self.keys().read_session(id)).await?;
        let record = agent_epochs::session(self.keys(), id, &reply)?;
        if record.is_none() {
            // Boxed, so that a read that finds its record does not carry this state.
            Box::pin(self.confirm_missing(id)).await?;
        }
        Ok(record)
    }

    /// Fails if the key of a record has another type: `MGET` then answers as if the key were missing.
    async fn confirm_missing(&self, id: SessionId) -> Result<(), StoreError> {
        let key = self.keys().session(id);
        let mut first_byte = redis::cmd("GETRANGE");
        first_byte.arg(&key).arg(0).arg(0);
        let reply = self.shared.servers.query::<Value>(&first_byte).await;
        reply.map(drop).map_err(|error| keys::named(&key, error))
    }
}

/// Builds the call of revoke.lua.
pub(super) fn revocation(keys: &Keys, id: SessionId, agent: AgentId, now: Timestamp) -> ScriptCall {
    let call = ScriptCall {
        first_key_suffices: true,
        ..ScriptCall::default()
    };
    call.key(keys.session(id))
        .key(keys.of_agent(agent).index)
        .arg(record::pack_time(now))
        .arg(*id.as_uuid().as_bytes())
}
