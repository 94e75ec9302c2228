//! Agents in Redis: registration, lookup, deletion, and the revocation of all sessions of an agent.

use std::time::Duration;

use redis::{Value, cmd, pipe};
use tokio::time::{sleep, timeout};

use super::{
    RedisStore, keys, record, retry,
    script::{REGISTER_AGENT, RESERVE_AGENT, REVOKE_AGENT, ScriptCall, unknown_reply},
};
use crate::{
    clock::Timestamp,
    id::AgentId,
    store::{
        Agent, AgentReservation, AgentRevoked, AgentStore, Page, PageRequest, RegisterOutcome, StoreError,
        TOMBSTONE_SECONDS,
    },
    telemetry::StoreOperation,
};

/// The number of attempts to revoke an agent's sessions. An attempt fails if a session is added during it.
const REVOKE_AGENT_ATTEMPTS: usize = 16;

/// The attempts to restore a registry entry after a deletion, over half a minute.
const RELIST_ATTEMPTS: usize = 60;
const RELIST_ATTEMPT: Duration = Duration::from_secs(10);
const RELIST_PAUSE: Duration = Duration::from_millis(500);

impl AgentStore for RedisStore {
    async fn register(&self, agent: &Agent) -> Result<RegisterOutcome, StoreError> {
        let mut registry = cmd("ZADD");
        registry
            .arg(self.keys().registry())
            .arg(0)
            .arg(agent.id.as_uuid().as_bytes());
        let call = ScriptCall::default()
            .key(self.keys().of_agent(agent.id).agent)
            .number(agent.created_at)
            .fields(keys::agent_fields(agent));
        let register = async {
            // The registry entry comes first: an entry without an agent is harmless, an unlisted agent is not.
            self.shared.servers.query::<Value>(&registry).await?;
            let reply = self.shared.servers.script::<i64>(&REGISTER_AGENT, &call).await?;
            // Added again: a concurrent deletion of an earlier agent with this id may have removed the entry.
            self.shared.servers.query::<Value>(&registry).await?;
            Ok(reply)
        };
        match self
            .shared
            .servers
            .within(StoreOperation::RegisterAgent, register)
            .await?
        {
            1 => Ok(RegisterOutcome::Registered),
            0 => match self.agent(agent.id).await? {
                Some(existing) => Ok(RegisterOutcome::Exists(existing)),
                None => Err(StoreError::Unavailable("the agent is being deleted".into())),
            },
            -1 => Ok(RegisterOutcome::Deleted),
            other => Err(unknown_reply("register_agent", other)),
        }
    }

    async fn reserve(&self, reservation: &AgentReservation) -> Result<AgentReservation, StoreError> {
        let call = retry::reservation(self.keys(), reservation);
        let reply = self.shared.servers.script::<Vec<u8>>(&RESERVE_AGENT, &call);
        let entry = self
            .shared
            .servers
            .within(StoreOperation::ReserveAgent, reply)
            .await?;
        retry::unpack_reservation(reservation.retry.id, &entry)
    }

    async fn agent(&self, id: AgentId) -> Result<Option<Agent>, StoreError> {
        self.shared
            .servers
            .within(StoreOperation::ReadAgent, self.find_agent(id))
            .await
    }

    async fn agents_of(&self, ids: &[AgentId]) -> Result<Vec<Agent>, StoreError> {
        self.shared
            .servers
            .within(StoreOperation::ListAgents, self.find_agents(ids))
            .await
    }

    async fn agents(&self, page: PageRequest<AgentId>) -> Result<Page<Agent, AgentId>, StoreError> {
        self.shared
            .servers
            .within(StoreOperation::ListAgents, self.list_agents(page))
            .await
    }

    async fn delete_agent(&self, id: AgentId, now: Timestamp) -> Result<Option<AgentRevoked>, StoreError> {
        let servers = &self.shared.servers;
        let delete = async {
            let revoked = match servers.before_deadline(self.find_agent(id)).await {
                // A repetition waits again.
                Ok(None)
                    if servers.waits_for_acks() && servers.before_deadline(self.was_deleted(id)).await? =>
                {
                    self.revoke_all(id, now, None).await?
                }
                Ok(agent) => {
                    // Redis may have evicted the record of the agent, so its sessions are revoked without one too.
                    let created = agent.map_or(Timestamp(0), |agent| agent.created_at);
                    self.revoke_all(id, now, Some(created)).await?
                }
                Err(damaged @ StoreError::Unexpected(_)) => {
                    self.revoke_all(id, now, None).await?;
                    return Err(damaged);
                }
                Err(error) => return Err(error),
            };
            // The registry entry is removed last, even if an earlier attempt stopped here: an entry without an agent is
            // harmless.
            let store = self.clone();
            let unlisted = tokio::spawn(async move { store.unlist(id).await });
            unlisted
                .await
                .map_err(|error| StoreError::Unexpected(error.to_string()))??;
            Ok(revoked)
        };
        servers.within_durably(StoreOperation::DeleteAgent, delete).await
    }
}

impl RedisStore {
    /// Revokes all sessions of an agent, also those that its index has lost. If the index changes between its read and the script, it
    /// tries again. A damaged index is logged and removed.
    ///
    /// `delete` is the creation time of the agent, if the agent is to be deleted too. Returns `None` if that agent has no record, or was
    /// registered anew.
    pub(super) async fn revoke_all(
        &self,
        agent: AgentId,
        now: Timestamp,
        delete: Option<Timestamp>,
    ) -> Result<Option<AgentRevoked>, StoreError> {
        let names = self.keys().of_agent(agent);
        let created = delete.map(|created| created.to_string()).unwrap_or_default();
        let servers = &self.shared.servers;
        let _invalidate = self.shared.invalidate_bucket_on_drop(agent.bucket());
        for _ in 0..REVOKE_AGENT_ATTEMPTS {
            let (ids, named) = match servers.before_deadline(self.index(agent)).await {
                Ok(ids) => (ids, "all"),
                Err(error @ StoreError::Unexpected(_)) => {
                    tracing::error!(%agent, %error, "the index is damaged: it is removed with the sessions of its agent");
                    (Vec::new(), "known")
                }
                Err(error) => return Err(error),
            };
            let mut call = ScriptCall::default()
                .key(&names.index)
                .key(&names.agent)
                .key(self.keys().agent_epochs(agent.bucket()));
            for id in &ids {
                call = call.key(self.keys().session(*id));
            }
            call = call
                .number(now)
                .number(TOMBSTONE_SECONDS)
                .arg(created.as_str())
                .arg(record::pack_time(now))
                .arg(*agent.as_uuid().as_bytes())
                .arg(named);
            for id in &ids {
                call = call.arg(*id.as_uuid().as_bytes());
            }
            let revoked = |reply: &i64| {
                // -2: the sessions of an agent without a record.
                let revoked = *reply >= 0 || *reply == -2;
                if revoked {
                    self.shared.recent.add(ids.iter().copied(), agent, now);
                }
                revoked
            };
            match servers.script_durably(&REVOKE_AGENT, &call, revoked).await? {
                (-1, _) => {}
                (-2 | -3, _) => return Ok(None),
                (active, durable) => {
                    return u32::try_from(active)
                        .map(|active| Some(AgentRevoked::new(active, durable)))
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
        let key = self.keys().of_agent(id).agent;
        hmget.arg(&key).arg(&keys::AGENT_FIELDS);
        let reply = self.shared.servers.query(&hmget).await;
        reply
            .and_then(|reply| keys::agent(id, reply))
            .map_err(|error| keys::named(&key, error))
    }

    /// Returns true while the tombstone of a deleted agent exists.
    async fn was_deleted(&self, id: AgentId) -> Result<bool, StoreError> {
        let mut lookup = cmd("HEXISTS");
        lookup.arg(self.keys().of_agent(id).agent).arg("d");
        self.shared.servers.query(&lookup).await
    }

    /// Removes the registry entry of an agent without state. Restores it if the agent was registered again, or got a session,
    /// meanwhile. It must not be cancelled, so the caller spawns it.
    async fn unlist(&self, id: AgentId) -> Result<(), StoreError> {
        let in_use = timeout(RELIST_ATTEMPT, self.in_use(id)).await;
        if in_use.unwrap_or(Err(StoreError::Timeout))? {
            return Ok(());
        }
        let member = id.as_uuid().as_bytes();
        let mut remove = cmd("ZREM");
        remove.arg(self.keys().registry()).arg(member);
        let removed = timeout(RELIST_ATTEMPT, self.shared.servers.query::<Value>(&remove)).await;
        let removed = removed.unwrap_or(Err(StoreError::Timeout));
        // The command may have run even if its reply was lost.
        for _ in 0..RELIST_ATTEMPTS {
            // This has no deadline of its own, since it is not a part of the call.
            match timeout(RELIST_ATTEMPT, self.relist(id)).await {
                Ok(Ok(())) => return removed.map(drop),
                Ok(Err(_)) | Err(_) => sleep(RELIST_PAUSE).await,
            }
        }
        removed.map(drop)
    }

    async fn relist(&self, id: AgentId) -> Result<(), StoreError> {
        if self.in_use(id).await? {
            let mut relist = cmd("ZADD");
            relist
                .arg(self.keys().registry())
                .arg(0)
                .arg(id.as_uuid().as_bytes());
            self.shared.servers.query::<Value>(&relist).await?;
        }
        Ok(())
    }

    /// Returns true if an agent is registered or has sessions.
    async fn in_use(&self, id: AgentId) -> Result<bool, StoreError> {
        let names = self.keys().of_agent(id);
        let mut lookup = pipe();
        lookup.cmd("HEXISTS").arg(names.agent).arg("c");
        lookup.cmd("EXISTS").arg(names.index);
        let replies = self.shared.servers.pipeline(&lookup).await?;
        Ok(replies.iter().any(|reply| *reply != Value::Int(0)))
    }
}
