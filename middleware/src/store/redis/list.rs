//! Pages of sessions and agents: a constant number of flights, whatever is stored.

use std::collections::VecDeque;

use redis::{Value, cmd, pipe};

use super::{RedisStore, keys};
use crate::{
    agent::{Agent, AgentId},
    session::{SessionId, SessionRecord},
    store::{Page, PageRequest, SessionCursor, StoreError},
};

impl RedisStore {
    /// The sessions in an agent's index.
    pub(super) async fn index(&self, index: &str) -> Result<Vec<SessionId>, StoreError> {
        let mut zrange = cmd("ZRANGE");
        zrange.arg(index).arg(0).arg(-1);
        self.connection
            .query::<Vec<Vec<u8>>>(&zrange)
            .await?
            .iter()
            .map(|id| keys::uuid(id).map(SessionId::from_uuid))
            .collect()
    }

    /// The agent of a session, for the name of its index.
    pub(super) async fn agent_of(&self, id: SessionId) -> Result<Option<AgentId>, StoreError> {
        let mut hget = cmd("HGET");
        hget.arg(keys::session_key(id)).arg("a");
        let agent: Option<Vec<u8>> = self.connection.query(&hget).await?;
        agent
            .map(|agent| keys::uuid(&agent).map(AgentId::from_uuid))
            .transpose()
    }

    pub(super) async fn list_sessions(
        &self,
        agent: Option<AgentId>,
        page: PageRequest<SessionCursor>,
    ) -> Result<Page<SessionRecord, SessionCursor>, StoreError> {
        let agents = match agent {
            Some(agent) => Page {
                items: vec![agent],
                next: None,
            },
            None => self.agents_from(page.after, page.limit).await?,
        };
        let mut ids = self.session_ids(&agents.items, page.after).await?;
        let more = ids.len() > page.limit;
        ids.truncate(page.limit);
        let next = if more {
            ids.last().map(|&(agent, session)| SessionCursor {
                agent,
                session: Some(session),
            })
        } else {
            agents.next.map(|agent| SessionCursor { agent, session: None })
        };
        Ok(Page {
            items: self.records(&ids).await?,
            next,
        })
    }

    /// Registered agents from the cursor on, and the first one that is left for the next page.
    async fn agents_from(
        &self,
        after: Option<SessionCursor>,
        limit: usize,
    ) -> Result<Page<AgentId, AgentId>, StoreError> {
        let first = after.map(|cursor| cursor.agent);
        let mut items = self.registry(first, true, limit.saturating_add(1)).await?;
        let next = (items.len() > limit).then(|| items.pop()).flatten();
        Ok(Page { items, next })
    }

    async fn registry(
        &self,
        from: Option<AgentId>,
        inclusive: bool,
        limit: usize,
    ) -> Result<Vec<AgentId>, StoreError> {
        let from = from.map_or_else(
            || b"-".to_vec(),
            |agent| {
                let mut bound = vec![if inclusive { b'[' } else { b'(' }];
                bound.extend_from_slice(agent.as_uuid().as_bytes());
                bound
            },
        );
        let mut zrange = cmd("ZRANGE");
        zrange.arg(keys::REGISTRY).arg(from).arg("+").arg("BYLEX");
        zrange.arg("LIMIT").arg(0).arg(limit);
        self.connection
            .query::<Vec<Vec<u8>>>(&zrange)
            .await?
            .iter()
            .map(|id| keys::uuid(id).map(AgentId::from_uuid))
            .collect()
    }

    /// What the agents' indices hold behind the cursor, newest first within an agent.
    async fn session_ids(
        &self,
        agents: &[AgentId],
        after: Option<SessionCursor>,
    ) -> Result<Vec<(AgentId, SessionId)>, StoreError> {
        let mut indices = pipe();
        for agent in agents {
            let index = keys::AgentKeys::of(*agent).index;
            indices.cmd("ZRANGE").arg(index).arg(0).arg(-1);
        }
        let mut ids = Vec::new();
        for (agent, reply) in agents.iter().zip(self.flight(&indices).await?) {
            let members: Vec<Vec<u8>> = redis::from_redis_value(reply).map_err(keys::unexpected)?;
            let mut sessions = members
                .iter()
                .map(|id| keys::uuid(id).map(SessionId::from_uuid))
                .collect::<Result<Vec<_>, _>>()?;
            sessions.sort_unstable_by(|a, b| b.cmp(a));
            let last = after
                .filter(|cursor| cursor.agent == *agent)
                .and_then(|cursor| cursor.session);
            ids.extend(
                sessions
                    .into_iter()
                    .filter(|id| last.is_none_or(|last| *id < last))
                    .map(|id| (*agent, id)),
            );
        }
        Ok(ids)
    }

    /// The records that are still there and not revoked.
    async fn records(&self, ids: &[(AgentId, SessionId)]) -> Result<Vec<SessionRecord>, StoreError> {
        let mut reads = pipe();
        for (_, id) in ids {
            let key = keys::session_key(*id);
            reads.cmd("HMGET").arg(key).arg(&keys::SESSION_FIELDS);
        }
        let mut records = Vec::new();
        let mut apart = pipe();
        let mut incomplete = VecDeque::new();
        for ((_, id), reply) in ids.iter().zip(self.flight(&reads).await?) {
            match keys::session(*id, reply)? {
                keys::ReadSession::Missing => {}
                keys::ReadSession::Whole(record) => records.push(record),
                keys::ReadSession::WithoutConstraints(record) => {
                    apart.cmd("GET").arg(keys::constraints_key(*id));
                    incomplete.push_back(records.len());
                    records.push(record);
                }
            }
        }
        for (position, reply) in incomplete.iter().zip(self.flight(&apart).await?) {
            let text: Option<Vec<u8>> = redis::from_redis_value(reply).map_err(keys::unexpected)?;
            records[*position].constraints = Some(keys::constraints(&text.unwrap_or_default())?);
        }
        records.retain(|record| record.revoked_at.is_none());
        Ok(records)
    }

    pub(super) async fn list_agents(
        &self,
        page: PageRequest<AgentId>,
    ) -> Result<Page<Agent, AgentId>, StoreError> {
        let mut ids = self
            .registry(page.after, false, page.limit.saturating_add(1))
            .await?;
        let more = ids.len() > page.limit;
        ids.truncate(page.limit);
        let mut reads = pipe();
        for id in &ids {
            let key = keys::AgentKeys::of(*id).agent;
            reads.cmd("HMGET").arg(key).arg(&keys::AGENT_FIELDS);
        }
        let mut items = Vec::new();
        for (id, reply) in ids.iter().zip(self.flight(&reads).await?) {
            items.extend(keys::agent(*id, reply)?);
        }
        Ok(Page {
            items,
            next: ids.last().copied().filter(|_| more),
        })
    }

    /// Sends all commands at once; none is no command.
    async fn flight(&self, commands: &redis::Pipeline) -> Result<Vec<Value>, StoreError> {
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        self.connection.pipeline(commands).await
    }
}
