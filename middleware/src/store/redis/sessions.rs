//! What sessions need of Redis.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use redis::{Value, cmd};

use super::{
    RedisStore,
    keys::{self, AgentKeys, ReadSession},
    script::{CREATE, REPLACE_TOKEN, REVOKE, ScriptCall, unknown_reply},
};
use crate::{
    clock::Timestamp,
    id::{AgentId, SessionId},
    session::{OnSessionLimit, SessionRecord},
    store::{
        Created, NewSession, Page, PageRequest, SessionCursor, SessionStore, StoreError, Swapped, TokenSwap,
    },
};

/// Seconds by which the clocks of servers may differ before one of them takes another's sessions for long gone.
const CLOCK_MARGIN: u64 = 3600;

/// What create.lua answers when it was told the wrong active sessions.
const OTHERS_ARE_ACTIVE: i64 = -3;

/// For how long a creation that failed is taken back, once the server answers again: half a minute.
const TAKE_BACK_ATTEMPTS: usize = 60;
const TAKE_BACK_PAUSE: Duration = Duration::from_millis(500);

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
            store.connection.within(store.read_session(id)).await
        }))
    }

    async fn create(&self, session: &NewSession) -> Result<Created, StoreError> {
        let record = &session.record;
        // One flight, the registry first: an entry without sessions is harmless.
        let mut register = cmd("ZADD");
        register
            .arg(keys::REGISTRY)
            .arg(0)
            .arg(record.agent_id.as_uuid().as_bytes());
        let create = async {
            let (registered, created) = tokio::join!(
                biased;
                self.connection.query::<Value>(&register),
                self.add(session, &[]),
            );
            registered?;
            match created? {
                Some(Created::LimitReached) if session.on_limit == OnSessionLimit::EvictOldest => {
                    self.add_in_place_of_the_oldest(session).await
                }
                Some(created) => Ok(created),
                None => Err(unknown_reply("create", OTHERS_ARE_ACTIVE)),
            }
        };
        let created = self.connection.within(create).await;
        if created.is_err() {
            self.take_back(record.id, record.agent_id, session.now);
        }
        created
    }

    async fn replace_token(&self, swap: &TokenSwap) -> Result<Swapped, StoreError> {
        let next = &swap.next;
        let names = AgentKeys::of(next.agent_id);
        let keep_for = next.expires_at.plus(swap.retention).since(swap.now);
        let call = ScriptCall::default()
            .key(keys::session_key(next.id))
            .key(names.index)
            .key(keys::constraints_key(next.id))
            .key(names.agent)
            .arg(*swap.expected().as_bytes())
            .arg(*next.id.as_uuid().as_bytes())
            .number(next.expires_at)
            .number(keep_for)
            .fields(keys::token_fields(next));
        let reply = self.connection.script(&REPLACE_TOKEN, &call);
        match self.connection.within(reply).await? {
            Value::Int(1) => Ok(Swapped::Done),
            Value::Int(-1) => Ok(Swapped::Revoked),
            Value::Int(-2) => Ok(Swapped::NotFound),
            fields @ Value::Array(_) => match keys::session(next.id, fields)? {
                ReadSession::Whole(record) => Ok(Swapped::Mismatch(Box::new(record))),
                // They never change.
                ReadSession::WithoutConstraints(mut record) => {
                    record.constraints.clone_from(&next.constraints);
                    Ok(Swapped::Mismatch(Box::new(record)))
                }
                ReadSession::Missing => Ok(Swapped::NotFound),
            },
            other => Err(unknown_reply("replace_token", other)),
        }
    }

    async fn revoke(&self, id: SessionId, now: Timestamp) -> Result<bool, StoreError> {
        let revoke = async {
            let Some(agent) = self.agent_of(id).await? else {
                return Ok(false);
            };
            let call = revocation(id, agent, now);
            match self.connection.script::<i64>(&REVOKE, &call).await? {
                1 => Ok(true),
                0 => Ok(false),
                other => Err(unknown_reply("revoke", other)),
            }
        };
        self.connection.within(revoke).await
    }

    async fn revoke_agent(&self, agent: AgentId, now: Timestamp) -> Result<u32, StoreError> {
        let revoked = self.connection.within(self.revoke_all(agent, now, None)).await?;
        Ok(revoked.unwrap_or_default())
    }

    async fn list(
        &self,
        agent: Option<AgentId>,
        page: PageRequest<SessionCursor>,
    ) -> Result<Page<SessionRecord, SessionCursor>, StoreError> {
        self.connection.within(self.list_sessions(agent, page)).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.connection.within(self.connection.probe()).await
    }
}

impl RedisStore {
    async fn read_session(&self, id: SessionId) -> Result<Option<SessionRecord>, StoreError> {
        let mut hmget = cmd("HMGET");
        hmget.arg(keys::session_key(id)).arg(&keys::SESSION_FIELDS);
        match keys::session(id, self.connection.query(&hmget).await?)? {
            ReadSession::Missing => Ok(None),
            ReadSession::Whole(record) => Ok(Some(record)),
            ReadSession::WithoutConstraints(mut record) => {
                let mut get = cmd("GET");
                get.arg(keys::constraints_key(id));
                let text: Option<Vec<u8>> = self.connection.query(&get).await?;
                record.constraints = Some(keys::constraints(&text.unwrap_or_default())?);
                Ok(Some(record))
            }
        }
    }

    /// Calls create.lua; `None` when other sessions are active than `giving_way`.
    async fn add(
        &self,
        session: &NewSession,
        giving_way: &[SessionId],
    ) -> Result<Option<Created>, StoreError> {
        let record = &session.record;
        let names = AgentKeys::of(record.agent_id);
        let keep_for = record.expires_at.plus(session.retention).since(session.now);
        let margin = session.retention.saturating_add(CLOCK_MARGIN);
        let apart = record.constraints.as_ref().and_then(keys::kept_apart);
        let mut call = ScriptCall::default()
            .key(keys::session_key(record.id))
            .key(names.index)
            .key(names.agent)
            .key(keys::constraints_key(record.id))
            .number(session.now)
            .number(session.limit)
            .arg(*record.id.as_uuid().as_bytes())
            .number(record.expires_at)
            .number(keep_for)
            .number(session.now.0.saturating_sub(margin))
            .arg(apart.unwrap_or_default());
        for id in giving_way {
            call = call
                .key(keys::session_key(*id))
                .arg(*id.as_uuid().as_bytes())
                .number(id.created_at());
        }
        let call = call.fields(keys::session_fields(record));
        match self.connection.script(&CREATE, &call).await? {
            Value::Int(1) => Ok(Some(Created::Done)),
            Value::Int(0) => Ok(Some(Created::LimitReached)),
            Value::Int(-1) => Ok(Some(Created::AgentDeleted)),
            Value::Int(-2) => Err(StoreError::Unexpected("a fresh session id is in use".into())),
            Value::Int(OTHERS_ARE_ACTIVE) => Ok(None),
            Value::Array(ids) => keys::session_ids(ids).map(|ids| Some(Created::InPlaceOf(ids))),
            other => Err(unknown_reply("create", other)),
        }
    }

    /// A script names all its keys, so the active sessions are read first. Each time that this has to be done again, another
    /// change has got through; the deadline bounds it.
    async fn add_in_place_of_the_oldest(&self, session: &NewSession) -> Result<Created, StoreError> {
        let index = AgentKeys::of(session.record.agent_id).index;
        loop {
            let mut active = self.active(&index, session.now).await?;
            active.sort_unstable();
            match self.add(session, &active).await? {
                // They were added since the index was read.
                Some(Created::LimitReached) if session.limit > 0 => {}
                Some(created) => return Ok(created),
                None => {}
            }
        }
    }

    /// Revokes, in the background, a session that may have been created although its creation failed: its token was given to
    /// nobody, but it would count against the agent's limit. On the same connection it runs after the creation.
    fn take_back(&self, id: SessionId, agent: AgentId, now: Timestamp) {
        let store = self.clone();
        tokio::spawn(async move {
            let call = revocation(id, agent, now);
            for _ in 0..TAKE_BACK_ATTEMPTS {
                let revoked = store.connection.script::<i64>(&REVOKE, &call);
                if store.connection.within(revoked).await.is_ok() {
                    return;
                }
                tokio::time::sleep(TAKE_BACK_PAUSE).await;
            }
        });
    }
}

/// The call of revoke.lua.
fn revocation(id: SessionId, agent: AgentId, now: Timestamp) -> ScriptCall {
    ScriptCall::default()
        .key(keys::session_key(id))
        .key(AgentKeys::of(agent).index)
        .number(now)
        .arg(*id.as_uuid().as_bytes())
}
