//! Pages of sessions and agents. A page takes a constant number of round trips, however much is stored.

mod records;

use std::{collections::BTreeSet, ops::Bound};

use redis::{Value, cmd, pipe};

use super::{RedisStore, keys, record};
use crate::{
    id::{AgentId, SessionId},
    session::SessionRecord,
    store::{Agent, Page, PageRequest, SessionCursor, StoreError},
};

impl RedisStore {
    /// Returns the sessions in an agent's index.
    pub(super) async fn index(&self, agent: AgentId) -> Result<Vec<SessionId>, StoreError> {
        let mut zrange = cmd("ZRANGE");
        let index = self.keys().of_agent(agent).index;
        zrange.arg(&index).arg(0).arg(-1);
        let reply = self.shared.servers.query(&zrange).await;
        reply
            .and_then(|members| keys::session_ids(agent.bucket(), members))
            .map_err(|error| keys::named(&index, error))
    }

    /// Returns the agent of a session, to find the agent's index.
    pub(super) async fn agent_of(&self, id: SessionId) -> Result<Option<AgentId>, StoreError> {
        let (first, last) = record::AGENT_RANGE;
        let mut getrange = cmd("GETRANGE");
        let key = self.keys().session(id);
        getrange.arg(&key).arg(first).arg(last);
        let reply = self.shared.servers.query::<Vec<u8>>(&getrange).await;
        let agent = reply.map_err(|error| keys::named(&key, error))?;
        if agent.is_empty() {
            let mut exists = cmd("EXISTS");
            exists.arg(&key);
            let too_short = self.shared.servers.query::<bool>(&exists).await?;
            return if too_short {
                Err(keys::damaged(&key))
            } else {
                Ok(None)
            };
        }
        let agent = keys::uuid(&agent).map(AgentId::from_uuid);
        match agent {
            Ok(agent) if agent.bucket() == id.bucket() => Ok(Some(agent)),
            _ => Err(keys::damaged(&key)),
        }
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
            None => {
                let first = page.after.map(|cursor| cursor.agent);
                let registered = self.registry(first, true, page.limit.saturating_add(1)).await?;
                self.agents_for_page(registered, page).await?
            }
        };
        self.sessions_of(&agents, page).await
    }

    pub(super) async fn list_sessions_of(
        &self,
        agents: &BTreeSet<AgentId>,
        page: PageRequest<SessionCursor>,
    ) -> Result<Page<SessionRecord, SessionCursor>, StoreError> {
        let first = page
            .after
            .map_or(Bound::Unbounded, |cursor| Bound::Included(cursor.agent));
        let agents = agents.range((first, Bound::Unbounded)).copied();
        let agents = agents.take(page.limit.saturating_add(1)).collect();
        let agents = self.agents_for_page(agents, page).await?;
        self.sessions_of(&agents, page).await
    }

    /// A page of the sessions of the agents that fill it. `agents.next` is the first agent of the page after it.
    async fn sessions_of(
        &self,
        agents: &Page<AgentId, AgentId>,
        page: PageRequest<SessionCursor>,
    ) -> Result<Page<SessionRecord, SessionCursor>, StoreError> {
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

    /// Returns the first of these agents whose sessions fill one page. Also returns the first agent of the next page. `items` has one
    /// agent more than the page has sessions, if there are that many.
    ///
    /// It counts the entries of their indices before it reads them, because an index can be long. It counts a quarter of the agents
    /// first: most agents have several sessions, so they often fill the page.
    async fn agents_for_page(
        &self,
        mut items: Vec<AgentId>,
        page: PageRequest<SessionCursor>,
    ) -> Result<Page<AgentId, AgentId>, StoreError> {
        let (first, limit) = (page.after.map(|cursor| cursor.agent), page.limit);
        let (mut enough, mut entries) = (0, 0);
        for until in [limit.div_ceil(4), limit] {
            let until = until.min(items.len());
            let mut counts = pipe();
            for agent in &items[enough..until] {
                counts.cmd("ZCARD").arg(self.keys().of_agent(*agent).index);
            }
            for reply in self.send_all(&counts).await? {
                // The sessions of the cursor's agent may be on the page before, so they do not count.
                if first != Some(items[enough]) {
                    let count = redis::from_redis_value::<usize>(reply);
                    entries += count.map_err(|error| self.damaged_index(items[enough], error))?;
                }
                enough += 1;
                if entries > limit {
                    break;
                }
            }
            if entries > limit {
                break;
            }
        }
        let next = items.get(enough).copied();
        items.truncate(enough);
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
        zrange.arg(self.keys().registry()).arg(from).arg("+").arg("BYLEX");
        zrange.arg("LIMIT").arg(0).arg(limit);
        self.shared
            .servers
            .query::<Vec<Vec<u8>>>(&zrange)
            .await?
            .iter()
            .map(|id| keys::uuid(id).map(AgentId::from_uuid))
            .collect()
    }

    /// Returns the indexed sessions after the cursor, newest first within an agent.
    async fn session_ids(
        &self,
        agents: &[AgentId],
        after: Option<SessionCursor>,
    ) -> Result<Vec<(AgentId, SessionId)>, StoreError> {
        let mut indices = pipe();
        for agent in agents {
            let index = self.keys().of_agent(*agent).index;
            indices.cmd("ZRANGE").arg(index).arg(0).arg(-1);
        }
        let mut ids = Vec::new();
        for (agent, reply) in agents.iter().zip(self.send_all(&indices).await?) {
            let members: Vec<Value> =
                redis::from_redis_value(reply).map_err(|error| self.damaged_index(*agent, error))?;
            let mut sessions = keys::session_ids(agent.bucket(), members)
                .map_err(|error| keys::named(&self.keys().of_agent(*agent).index, error))?;
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

    fn damaged_index(&self, agent: AgentId, error: redis::ParsingError) -> StoreError {
        keys::named(&self.keys().of_agent(agent).index, keys::unexpected(error))
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
        Ok(Page {
            items: self.find_agents(&ids).await?,
            next: ids.last().copied().filter(|_| more),
        })
    }

    /// Reads the agents that exist, in one round trip.
    pub(super) async fn find_agents(&self, ids: &[AgentId]) -> Result<Vec<Agent>, StoreError> {
        let mut reads = pipe();
        for id in ids {
            let key = self.keys().of_agent(*id).agent;
            reads.cmd("HMGET").arg(key).arg(&keys::AGENT_FIELDS);
        }
        let mut agents = Vec::new();
        for (id, reply) in ids.iter().zip(self.send_all(&reads).await?) {
            match keys::agent(*id, reply) {
                Ok(agent) => agents.extend(agent),
                Err(error) => {
                    tracing::error!(agent = %id, %error, "record cannot be parsed: omitted from the list");
                }
            }
        }
        Ok(agents)
    }

    /// Sends all commands in one round trip. Without commands it sends nothing.
    async fn send_all(&self, commands: &redis::Pipeline) -> Result<Vec<Value>, StoreError> {
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        self.shared.servers.pipeline(commands).await
    }
}
