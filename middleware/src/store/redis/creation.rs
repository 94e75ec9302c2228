//! Creating sessions: one script, which runs again if it has to evict sessions, and the revocation of a session whose creation failed.

use std::time::Duration;

use redis::{Value, cmd};
use tokio::time::Instant;

use super::{
    RedisStore,
    keys::{self, AgentKeys},
    record, retry,
    script::{CREATE, REVOKE, REVOKE_UNDELIVERED, ScriptCall, unknown_reply},
    sessions::revocation,
};
use crate::{
    id::SessionId,
    session::OnSessionLimit,
    store::{CreateOutcome, NewSession, StoreError},
    telemetry::StoreOperation,
};

/// Maximum difference between the clocks of servers, in seconds. If it is exceeded, one server may remove another's session
/// from an index too early.
const CLOCK_MARGIN: u64 = 3600;

/// The attempts to revoke a session whose creation failed, over half a minute.
const REVOKE_ATTEMPTS: usize = 60;
const REVOKE_PAUSE: Duration = Duration::from_millis(500);

impl RedisStore {
    pub(super) async fn create_session(&self, session: &NewSession) -> Result<CreateOutcome, StoreError> {
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
                Value::Int(-3) => Ok(Some(CreateOutcome::KeyReused)),
                Value::Int(-4) => Err(self.shared.connection.too_late()),
                Value::Array(reply) => match <[Value; 2]>::try_from(reply) {
                    Ok([Value::Int(1), Value::Array(ids)]) => {
                        keys::session_ids(ids).map(|evicted| Some(CreateOutcome::Created { evicted }))
                    }
                    Ok([Value::Int(0), Value::Array(ids)]) => {
                        evictable = keys::session_ids(ids)?;
                        continue;
                    }
                    Ok([Value::Int(2), Value::Array(ids)]) => {
                        let mut ids = keys::session_ids(ids)?;
                        let repeated = (!ids.is_empty()).then(|| ids.remove(0));
                        let id = repeated.ok_or_else(|| unknown_reply("create", "no session"))?;
                        Ok(Some(CreateOutcome::Repeated { id, evicted: ids }))
                    }
                    other => Err(unknown_reply("create", other)),
                },
                other => Err(unknown_reply("create", other)),
            };
        }
    }

    /// Revokes a session in the background, because it may exist although its creation failed. Its token was never delivered,
    /// but it counts against the agent's limit.
    ///
    /// With an idempotency key, a repetition may have delivered the token meanwhile. The script then leaves the session active.
    fn revoke_in_background(&self, session: &NewSession) {
        let id = session.record.id;
        let mut call = revocation(id, session.record.agent_id, session.now);
        let mut script = &REVOKE;
        if let Some(retry) = &session.retry {
            call = call.key(keys::session_retry_key(session.record.agent_id, retry.id));
            script = &REVOKE_UNDELIVERED;
        }
        let store = self.clone();
        // Without a runtime, no command can be sent.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        runtime.spawn(async move {
            let _invalidate = store.shared.near.invalidate_on_drop(vec![id]);
            let connection = &store.shared.connection;
            // Over another connection, the creation can arrive after its revocation, until it is too late to run.
            let last_run = Instant::now() + connection.timely();
            for _ in 0..REVOKE_ATTEMPTS {
                let revoked = connection.script::<i64>(script, &call);
                match connection.within(StoreOperation::Revoke, revoked).await {
                    Ok(0) if Instant::now() <= last_run => {}
                    Ok(_) => return,
                    Err(_) => {}
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
            store.revoke_in_background(session);
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
    call = retry::add_to_creation(call, session);
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
