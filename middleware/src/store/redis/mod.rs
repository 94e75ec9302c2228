//! Sessions in Redis (7.0 or later) or Valkey.

mod connection;
mod keys;
mod list;

use std::{fmt, future::Future, pin::Pin, sync::LazyLock, task::Poll, time::Duration};

use redis::{Client, IntoConnectionInfo, ProtocolVersion, Script, Value, cmd, pipe};

use self::{
    connection::{Connection, ScriptCall},
    keys::{AgentKeys, ReadSession},
};
use super::{
    Agent, AgentStore, Created, NewSession, Page, PageRequest, Registered, SessionCursor, SessionStore,
    StoreError, Swapped, TOMBSTONE_SECONDS, TokenSwap,
};
use crate::{
    clock::Timestamp,
    id::{AgentId, SessionId},
    session::SessionRecord,
};

macro_rules! script {
    ($name:ident, $file:literal) => {
        static $name: LazyLock<Script> =
            LazyLock::new(|| Script::new(include_str!(concat!("lua/", $file, ".lua"))));
    };
}

script!(CREATE, "create");
script!(REPLACE_TOKEN, "replace_token");
script!(REVOKE, "revoke");
script!(REVOKE_AGENT, "revoke_agent");
script!(REGISTER_AGENT, "register_agent");

/// How often the sessions of an agent are read again because others were added meanwhile.
const REVOKE_AGENT_ATTEMPTS: usize = 16;

/// For how long a creation that failed is taken back, once the server answers again: half a minute.
const TAKE_BACK_ATTEMPTS: usize = 60;
const TAKE_BACK_PAUSE: Duration = Duration::from_millis(500);

/// How to reach Redis.
#[derive(Clone)]
#[non_exhaustive]
pub struct RedisStoreConfig {
    url: String,
    /// The deadline of every call: 250 ms by default.
    pub timeout: Duration,
}

impl RedisStoreConfig {
    /// The server at `redis://[user:password@]host[:port][/database]`, or `rediss://` with the feature `tls`, with the
    /// default deadline.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            timeout: Duration::from_millis(250),
        }
    }

    /// Whether the URL is usable. Nothing is sent.
    ///
    /// # Errors
    /// When it is not.
    pub fn check(&self) -> Result<(), RedisStoreError> {
        self.client().map(drop)
    }

    fn client(&self) -> Result<Client, RedisStoreError> {
        // The library's messages name what is wrong with a URL, never the URL.
        let invalid = |error: redis::RedisError| RedisStoreError(error.to_string());
        let info = self.url.as_str().into_connection_info().map_err(invalid)?;
        let tcp = info.tcp_settings().clone().set_nodelay(true);
        // The disconnection push, which lets the connection heal before the next request, needs RESP3.
        let protocol = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let info = info.set_tcp_settings(tcp).set_redis_settings(protocol);
        Client::open(info).map_err(invalid)
    }
}

impl fmt::Debug for RedisStoreConfig {
    /// The URL may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStoreConfig")
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// A configuration that cannot work.
#[derive(Debug, Clone, thiserror::Error)]
#[error("not a usable Redis URL: {0}")]
pub struct RedisStoreError(String);

/// A store on a single Redis or Valkey server. Clones share one multiplexed connection.
///
/// Every call has a deadline and fails closed with a [`StoreError`]. The connection heals by itself, from whatever failure.
///
#[doc = include_str!("LAYOUT.md")]
#[derive(Clone)]
pub struct RedisStore {
    connection: Connection,
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").finish_non_exhaustive()
    }
}

impl RedisStore {
    /// Opens the store and starts to connect in the background; a server that does not answer yet is no error.
    ///
    /// # Errors
    /// When the URL is not usable.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub fn open(config: &RedisStoreConfig) -> Result<Self, RedisStoreError> {
        Ok(Self {
            connection: Connection::open(config.client()?, config.timeout),
        })
    }

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

    /// Revokes what the index holds, and reads it again as long as it changes in between. `delete` names the agent's creation
    /// where the agent is to go too. `None` when it is gone, or another one, already.
    async fn revoke_all(
        &self,
        agent: AgentId,
        now: Timestamp,
        delete: Option<Timestamp>,
    ) -> Result<Option<u32>, StoreError> {
        let names = AgentKeys::of(agent);
        let created = delete.map(|created| created.to_string()).unwrap_or_default();
        for _ in 0..REVOKE_AGENT_ATTEMPTS {
            let ids = self.index(&names.index).await?;
            let mut call = ScriptCall::default().key(&names.index).key(&names.agent);
            for id in &ids {
                call = call.key(keys::session_key(*id));
            }
            call = call.number(now).number(TOMBSTONE_SECONDS).arg(created.as_str());
            for id in &ids {
                call = call.arg(*id.as_uuid().as_bytes());
            }
            match self.connection.script(&REVOKE_AGENT, &call).await? {
                -1 => {}
                -2 => return Ok(None),
                active => {
                    return u32::try_from(active)
                        .map(Some)
                        .map_err(|_| unknown_reply("revoke_agent", active));
                }
            }
        }
        Err(StoreError::Unavailable(
            "the agent's sessions keep changing".into(),
        ))
    }

    async fn find_agent(&self, id: AgentId) -> Result<Option<Agent>, StoreError> {
        let mut hmget = cmd("HMGET");
        hmget.arg(AgentKeys::of(id).agent).arg(&keys::AGENT_FIELDS);
        keys::agent(id, self.connection.query(&hmget).await?)
    }
}

impl RedisStore {
    /// Revokes, in the background, a session that may have been created although its creation failed: its token was given to
    /// nobody, but it would count against the agent's limit. On the same connection it runs after the creation.
    fn take_back(&self, id: SessionId, agent: AgentId, now: Timestamp) {
        let store = self.clone();
        tokio::spawn(async move {
            let call = revocation(id, agent, now);
            for _ in 0..TAKE_BACK_ATTEMPTS {
                let revoked = store.connection.script(&REVOKE, &call);
                if store.connection.within(revoked).await.is_ok() {
                    return;
                }
                tokio::time::sleep(TAKE_BACK_PAUSE).await;
            }
        });
    }

    /// Takes an agent out of the registry when nothing is left of it, and puts it back when it was registered anew, or got
    /// sessions, in the meantime. It must run to its end: see the caller.
    async fn unlist(&self, id: AgentId) -> Result<(), StoreError> {
        if self.in_use(id).await? {
            return Ok(());
        }
        let member = id.as_uuid().as_bytes();
        let mut forget = cmd("ZREM");
        forget.arg(keys::REGISTRY).arg(member);
        self.connection.query::<Value>(&forget).await?;
        if self.in_use(id).await? {
            let mut relist = cmd("ZADD");
            relist.arg(keys::REGISTRY).arg(0).arg(member);
            self.connection.query::<Value>(&relist).await?;
        }
        Ok(())
    }

    /// Whether an agent is registered or has sessions.
    async fn in_use(&self, id: AgentId) -> Result<bool, StoreError> {
        let names = AgentKeys::of(id);
        let mut look = pipe();
        look.cmd("HEXISTS").arg(names.agent).arg("c");
        look.cmd("EXISTS").arg(names.index);
        let replies = self.connection.pipeline(&look).await?;
        Ok(replies.iter().any(|reply| *reply != Value::Int(0)))
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

/// The future of [`RedisStore`]'s reads.
pub struct RedisRead(Pin<Box<dyn Future<Output = Result<Option<SessionRecord>, StoreError>> + Send>>);

impl Future for RedisRead {
    type Output = Result<Option<SessionRecord>, StoreError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<Self::Output> {
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
        let agent = record.agent_id.as_uuid().as_bytes();
        let names = AgentKeys::of(record.agent_id);
        let keep_for = record.expires_at.plus(session.retention).since(session.now);
        let apart = record.constraints.as_ref().and_then(keys::kept_apart);
        let call = ScriptCall::default()
            .key(keys::session_key(record.id))
            .key(names.index)
            .key(names.agent)
            .key(keys::constraints_key(record.id))
            .number(session.now)
            .number(session.limit)
            .arg(*record.id.as_uuid().as_bytes())
            .number(record.expires_at)
            .number(keep_for)
            .number(session.now.0.saturating_sub(session.retention))
            .arg(apart.unwrap_or_default())
            .fields(keys::session_fields(record));

        // One flight, the registry first: an entry without sessions is harmless.
        let mut register = cmd("ZADD");
        register.arg(keys::REGISTRY).arg(0).arg(agent);
        let both = async {
            let (registered, created) = tokio::join!(
                biased;
                self.connection.query::<Value>(&register),
                self.connection.script(&CREATE, &call),
            );
            registered.and(created)
        };
        let created = self.connection.within(both).await;
        if created.is_err() {
            self.take_back(record.id, record.agent_id, session.now);
        }
        match created? {
            1 => Ok(Created::Done),
            0 => Ok(Created::LimitReached),
            -1 => Ok(Created::AgentDeleted),
            -2 => Err(StoreError::Unexpected("a fresh session id is in use".into())),
            other => Err(unknown_reply("create", other)),
        }
    }

    async fn replace_token(&self, swap: &TokenSwap) -> Result<Swapped, StoreError> {
        let next = &swap.next;
        let names = AgentKeys::of(next.agent_id);
        let keep_for = next.expires_at.plus(swap.retention).since(swap.now);
        let call = ScriptCall::default()
            .key(keys::session_key(next.id))
            .key(names.index)
            .key(keys::constraints_key(next.id))
            .arg(*swap.expected().as_bytes())
            .arg(*next.id.as_uuid().as_bytes())
            .number(next.expires_at)
            .number(keep_for)
            .fields(keys::token_fields(next));
        match self
            .connection
            .within(self.connection.script(&REPLACE_TOKEN, &call))
            .await?
        {
            1 => Ok(Swapped::Done),
            0 => Ok(Swapped::Mismatch),
            -1 => Ok(Swapped::Revoked),
            -2 => Ok(Swapped::NotFound),
            other => Err(unknown_reply("replace_token", other)),
        }
    }

    async fn revoke(&self, id: SessionId, now: Timestamp) -> Result<bool, StoreError> {
        let revoke = async {
            let Some(agent) = self.agent_of(id).await? else {
                return Ok(false);
            };
            let call = revocation(id, agent, now);
            match self.connection.script(&REVOKE, &call).await? {
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
        let ping = cmd("PING");
        self.connection
            .within(self.connection.query::<Value>(&ping))
            .await
            .map(drop)
    }
}

impl AgentStore for RedisStore {
    async fn register(&self, agent: &Agent) -> Result<Registered, StoreError> {
        let mut registry = cmd("ZADD");
        registry
            .arg(keys::REGISTRY)
            .arg(0)
            .arg(agent.id.as_uuid().as_bytes());
        let call = ScriptCall::default()
            .key(AgentKeys::of(agent.id).agent)
            .number(agent.created_at)
            .fields(keys::agent_fields(agent));
        let register = async {
            // First: an entry without an agent is harmless, an unlisted agent is not.
            self.connection.query::<Value>(&registry).await?;
            let reply = self.connection.script(&REGISTER_AGENT, &call).await?;
            // Once more: a deletion of an earlier agent with this id may have taken the entry away in between.
            self.connection.query::<Value>(&registry).await?;
            Ok(reply)
        };
        match self.connection.within(register).await? {
            1 => Ok(Registered::Done),
            0 => match self.agent(agent.id).await? {
                Some(before) => Ok(Registered::Exists(before)),
                None => Err(StoreError::Unavailable("the agent is being deleted".into())),
            },
            -1 => Err(StoreError::Unavailable("the agent was deleted meanwhile".into())),
            other => Err(unknown_reply("register_agent", other)),
        }
    }

    async fn agent(&self, id: AgentId) -> Result<Option<Agent>, StoreError> {
        self.connection.within(self.find_agent(id)).await
    }

    async fn agents(&self, page: PageRequest<AgentId>) -> Result<Page<Agent, AgentId>, StoreError> {
        self.connection.within(self.list_agents(page)).await
    }

    async fn delete_agent(&self, id: AgentId, now: Timestamp) -> Result<Option<u32>, StoreError> {
        let delete = async {
            let revoked = match self.find_agent(id).await? {
                Some(agent) => self.revoke_all(id, now, Some(agent.created_at)).await?,
                None => None,
            };
            // Last, also where an earlier attempt got no further: an entry without an agent is harmless.
            let store = self.clone();
            let unlisted = tokio::spawn(async move { store.unlist(id).await });
            unlisted
                .await
                .map_err(|error| StoreError::Unexpected(error.to_string()))??;
            Ok(revoked)
        };
        self.connection.within(delete).await
    }
}

fn unknown_reply(script: &str, reply: i64) -> StoreError {
    StoreError::Unexpected(format!("{script}.lua answered {reply}"))
}
