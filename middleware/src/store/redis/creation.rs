//! Creating sessions: one script, which runs again if it has to evict sessions.

use redis::{Value, cmd};

use super::{
    RedisStore,
    keys::{self, Keys},
    late_creation::{RevocationTimes, RevokeOnDrop},
    record, retry,
    script::{CREATE, ScriptCall, unknown_reply},
};
use crate::{
    id::SessionId,
    session::{AgentEpoch, OnSessionLimit},
    store::{CreateOutcome, NewSession, StoreError},
    telemetry::StoreOperation,
};

/// Maximum difference between the clocks of servers, in seconds. If it is exceeded, one server may remove another's session
/// from an index too early.
const CLOCK_MARGIN: u64 = 3600;

impl RedisStore {
    pub(super) async fn create_session(&self, session: &NewSession) -> Result<CreateOutcome, StoreError> {
        let record = &session.record;
        // The registry first: an entry without sessions is harmless. In one round trip, if the servers keep that order.
        let mut register = cmd("ZADD");
        register
            .arg(self.keys().registry())
            .arg(0)
            .arg(record.agent_id.as_uuid().as_bytes());
        let create = async {
            let servers = &self.shared.servers;
            let registering = servers.query::<Value>(&register);
            if !servers.keeps_order() {
                registering.await?;
                return self.add(session).await;
            }
            let (registered, created) = tokio::join!(biased; registering, self.add(session));
            registered?;
            created
        };
        let revoke = RevokeOnDrop::new(self, session);
        let created = self.shared.servers.within(StoreOperation::Create, create).await?;
        revoke.disarm();
        created.ok_or_else(|| StoreError::Unexpected("a fresh session id is in use".into()))
    }

    /// Calls create.lua. If the agent has its maximum of active sessions, it calls the script again with the keys of the active sessions, since a
    /// script names all its keys. It repeats that while other changes alter the active sessions; the deadline limits it. `None` if the id
    /// is in use: then that session must not be revoked.
    async fn add(&self, session: &NewSession) -> Result<Option<CreateOutcome>, StoreError> {
        let agent = session.record.agent_id;
        let ids_of = |ids| keys::session_ids(agent.bucket(), ids);
        let mut evictable = Vec::new();
        loop {
            let call = creation(self.keys(), session, &evictable, &self.revocation_times());
            let _invalidate = self.shared.invalidate_on_drop(evictable.clone());
            return match self.shared.servers.script(&CREATE, &call).await? {
                Value::Int(1) => Ok(Some(CreateOutcome::Created { evicted: Vec::new() })),
                Value::Int(0) => Ok(Some(CreateOutcome::LimitReached)),
                Value::Int(-1) => Ok(Some(CreateOutcome::AgentDeleted)),
                Value::Int(-2) => Ok(None),
                Value::Int(-3) => Ok(Some(CreateOutcome::KeyReused)),
                Value::Int(-4) => Err(self.shared.servers.too_late(&call)),
                Value::Array(reply) => match <[Value; 2]>::try_from(reply) {
                    Ok([Value::Int(1), Value::Array(ids)]) => {
                        ids_of(ids).map(|evicted| Some(CreateOutcome::Created { evicted }))
                    }
                    Ok([Value::Int(0), Value::Array(ids)]) => {
                        evictable = ids_of(ids)
                            .map_err(|error| keys::named(&self.keys().of_agent(agent).index, error))?;
                        continue;
                    }
                    Ok([Value::Int(2), Value::Array(ids)]) => {
                        let mut ids = ids_of(ids)?;
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
}

/// Builds the call of create.lua.
fn creation(
    keys: &Keys,
    session: &NewSession,
    evictable: &[SessionId],
    revocation: &RevocationTimes,
) -> ScriptCall {
    let record = &session.record;
    let names = keys.of_agent(record.agent_id);
    let at_limit: &[u8] = match session.on_limit {
        OnSessionLimit::Refuse => b"refuse",
        OnSessionLimit::EvictOldest => b"evict",
    };
    let keep_for = record.expires_at().plus(session.retention).since(session.now);
    let margin = session.retention.saturating_add(CLOCK_MARGIN);
    // The script writes the epoch of its agent.
    let mut fresh = record.clone();
    fresh.agent_epoch = AgentEpoch::default();
    let mut call = ScriptCall::timely()
        .key(keys.session(record.id))
        .key(names.index)
        .key(names.agent)
        .key(keys.agent_epochs(record.agent_id.bucket()))
        .number(session.now)
        .number(session.limit)
        .arg(at_limit)
        .arg(*record.id.as_uuid().as_bytes())
        .number(record.expires_at())
        .number(keep_for)
        .number(session.now.0.saturating_sub(margin))
        .arg(record::pack(&fresh))
        .arg(record::pack_time(session.now));
    call = retry::add_to_creation(call, keys, session, revocation);
    let mut evictable = evictable.to_vec();
    evictable.sort_unstable();
    for id in evictable {
        call = call
            .key(keys.session(id))
            .arg(*id.as_uuid().as_bytes())
            .number(id.created_at());
    }
    call
}
