//! [`MemoryStore`]: sessions in the memory of the process.

mod retries;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    future::{Ready, ready},
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard},
};

use self::retries::Retries;
use super::{
    Agent, AgentReservation, AgentRevoked, AgentStore, CreateOutcome, NewSession, Page, PageRequest,
    RegisterOutcome, Revoked, SessionCursor, SessionStore, StoreError, SwapOutcome, TOMBSTONE_SECONDS,
    TokenSwap,
};
use crate::{
    clock::Timestamp,
    id::{AgentId, SessionId},
    session::{OnSessionLimit, SessionRecord, SessionStatus},
    sync::lock,
};

/// A store in the memory of the process: for a first run, for tests, and for a single process that may lose its sessions when it
/// stops. Clones share the same sessions.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    sessions: HashMap<SessionId, StoredSession>,
    /// Sessions that are not revoked, by agent.
    listed: BTreeMap<AgentId, BTreeSet<SessionId>>,
    /// The time at which each record is removed.
    removals: BTreeSet<(Timestamp, SessionId)>,
    agents: BTreeMap<AgentId, Agent>,
    /// Agents that were deleted recently: a creation that was sent earlier must not succeed after the deletion.
    deleted: HashMap<AgentId, Timestamp>,
    /// The creations that can be repeated.
    sessions_created: Retries<(SessionId, Vec<SessionId>)>,
    agents_reserved: Retries<AgentReservation>,
}

#[derive(Debug)]
struct StoredSession {
    record: SessionRecord,
    until: Timestamp,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    fn put(&mut self, record: SessionRecord, until: Timestamp) {
        let id = record.id;
        self.removals.insert((until, id));
        if let Some(before) = self.sessions.insert(id, StoredSession { record, until })
            && before.until != until
        {
            self.removals.remove(&(before.until, id));
        }
    }

    /// Removes the records that have reached their removal time.
    fn sweep(&mut self, now: Timestamp) {
        while let Some(&(until, id)) = self.removals.first()
            && until <= now
        {
            self.removals.pop_first();
            if let Some(stored) = self.sessions.remove(&id) {
                self.unlist(stored.record.agent_id, id);
            }
        }
        self.sessions_created.sweep(now);
        self.agents_reserved.sweep(now);
        self.deleted.retain(|_, at| now.since(*at) < TOMBSTONE_SECONDS);
    }

    fn unlist(&mut self, agent: AgentId, id: SessionId) {
        if let Some(ids) = self.listed.get_mut(&agent) {
            ids.remove(&id);
            if ids.is_empty() {
                self.listed.remove(&agent);
            }
        }
    }

    /// The agent's active sessions, ordered by their last renewal or creation.
    fn active(&self, agent: AgentId, now: Timestamp) -> BTreeSet<(Timestamp, SessionId)> {
        let ids = self.listed.get(&agent).into_iter().flatten();
        ids.filter_map(|id| self.sessions.get(id))
            .map(|stored| &stored.record)
            .filter(|record| record.status(now) == SessionStatus::Active)
            .map(|record| (record.ttl_started_at(), record.id))
            .collect()
    }

    /// Returns `false` if there is no such session.
    fn revoke(&mut self, id: SessionId, now: Timestamp) -> bool {
        let Some(stored) = self.sessions.get_mut(&id) else {
            return false;
        };
        stored.record.revoked_at.get_or_insert(now);
        let agent = stored.record.agent_id;
        self.unlist(agent, id);
        true
    }

    fn revoke_agent(&mut self, agent: AgentId, now: Timestamp) -> u32 {
        let mut active = 0;
        for id in self.listed.remove(&agent).unwrap_or_default() {
            if let Some(stored) = self.sessions.get_mut(&id) {
                active += u32::from(stored.record.status(now) == SessionStatus::Active);
                stored.record.revoked_at.get_or_insert(now);
            }
        }
        active
    }
}

impl SessionStore for MemoryStore {
    type Read = Ready<Result<Option<SessionRecord>, StoreError>>;

    fn read(&self, id: SessionId) -> Self::Read {
        let record = self.lock().sessions.get(&id).map(|k| k.record.clone());
        ready(Ok(record))
    }

    async fn create(&self, session: &NewSession) -> Result<CreateOutcome, StoreError> {
        let record = &session.record;
        let mut state = self.lock();
        state.sweep(session.now);
        if state.deleted.contains_key(&record.agent_id) {
            return Ok(CreateOutcome::AgentDeleted);
        }
        if let Some(retry) = session.retry
            && let Some((first, (id, evicted))) = state.sessions_created.find(retry.id, session.now)
        {
            return Ok(if first.request == retry.request {
                CreateOutcome::Repeated { id, evicted }
            } else {
                CreateOutcome::KeyReused
            });
        }
        if state.sessions.contains_key(&record.id) {
            return Err(StoreError::Unexpected("a fresh session id is in use".into()));
        }
        let active = state.active(record.agent_id, session.now);
        let excess = (active.len() + 1).saturating_sub(session.limit as usize);
        if excess > 0 && (session.on_limit == OnSessionLimit::Refuse || session.limit == 0) {
            return Ok(CreateOutcome::LimitReached);
        }
        let evicted: Vec<_> = active.into_iter().take(excess).map(|(_, id)| id).collect();
        for id in &evicted {
            state.revoke(*id, session.now);
        }
        let listed = state.listed.entry(record.agent_id).or_default();
        listed.insert(record.id);
        let until = record.expires_at().plus(session.retention);
        state.put(record.clone(), until);
        if let Some(retry) = session.retry {
            state.sessions_created.insert(retry, (record.id, evicted.clone()));
        }
        Ok(CreateOutcome::Created { evicted })
    }

    async fn replace_token(&self, swap: &TokenSwap) -> Result<SwapOutcome, StoreError> {
        let mut state = self.lock();
        state.sweep(swap.now);
        let Some(stored) = state.sessions.get(&swap.current.id) else {
            return Ok(SwapOutcome::NotFound);
        };
        if stored.record.revoked_at.is_some() {
            return Ok(SwapOutcome::Revoked);
        }
        if stored.record.token_hash != *swap.expected() {
            return Ok(SwapOutcome::Mismatch(Box::new(stored.record.clone())));
        }
        let until = swap.next.expires_at().plus(swap.retention);
        state.put(swap.next.clone(), until);
        Ok(SwapOutcome::Replaced)
    }

    async fn revoke(&self, id: SessionId, now: Timestamp) -> Result<Option<Revoked>, StoreError> {
        let mut state = self.lock();
        state.sweep(now);
        Ok(state.revoke(id, now).then(Revoked::default))
    }

    async fn revoke_agent(&self, agent: AgentId, now: Timestamp) -> Result<AgentRevoked, StoreError> {
        Ok(AgentRevoked::new(self.lock().revoke_agent(agent, now), None))
    }

    async fn list(
        &self,
        agent: Option<AgentId>,
        page: PageRequest<SessionCursor>,
    ) -> Result<Page<SessionRecord, SessionCursor>, StoreError> {
        let state = self.lock();
        let first = page.after.map(|cursor| cursor.agent);
        let agents = match agent {
            Some(agent) => state.listed.range(agent..=agent),
            None => state
                .listed
                .range((first.map_or(Bound::Unbounded, Bound::Included), Bound::Unbounded)),
        };

        let is_before_page = |agent: AgentId, id: SessionId| {
            page.after.is_some_and(|after| {
                agent < after.agent || (agent == after.agent && after.session.is_some_and(|last| id >= last))
            })
        };
        let mut items: Vec<_> = agents
            .flat_map(|(agent, ids)| ids.iter().rev().map(|id| (*agent, *id)))
            .filter(|(agent, id)| !is_before_page(*agent, *id))
            .filter_map(|(_, id)| state.sessions.get(&id).map(|stored| stored.record.clone()))
            .take(page.limit.saturating_add(1))
            .collect();
        let more = items.len() > page.limit;
        items.truncate(page.limit);
        let next = items.last().filter(|_| more).map(|last| SessionCursor {
            agent: last.agent_id,
            session: Some(last.id),
        });
        Ok(Page { items, next })
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

impl AgentStore for MemoryStore {
    async fn register(&self, agent: &Agent) -> Result<RegisterOutcome, StoreError> {
        let mut state = self.lock();
        if let Some(before) = state.agents.get(&agent.id) {
            return Ok(RegisterOutcome::Exists(before.clone()));
        }
        if state
            .deleted
            .get(&agent.id)
            .is_some_and(|at| *at > agent.created_at)
        {
            return Ok(RegisterOutcome::Deleted);
        }
        state.deleted.remove(&agent.id);
        state.agents.insert(agent.id, agent.clone());
        Ok(RegisterOutcome::Registered)
    }

    async fn reserve(&self, reservation: &AgentReservation) -> Result<AgentReservation, StoreError> {
        let mut state = self.lock();
        state.sweep(reservation.created_at);
        let (retry, now) = (reservation.retry, reservation.created_at);
        if let Some((_, earlier)) = state.agents_reserved.find(retry.id, now) {
            return Ok(earlier);
        }
        state.agents_reserved.insert(retry, reservation.clone());
        Ok(reservation.clone())
    }

    async fn agent(&self, id: AgentId) -> Result<Option<Agent>, StoreError> {
        Ok(self.lock().agents.get(&id).cloned())
    }

    async fn agents(&self, page: PageRequest<AgentId>) -> Result<Page<Agent, AgentId>, StoreError> {
        let state = self.lock();
        let after = page.after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut items: Vec<_> = state
            .agents
            .range((after, Bound::Unbounded))
            .map(|(_, agent)| agent.clone())
            .take(page.limit.saturating_add(1))
            .collect();
        let more = items.len() > page.limit;
        items.truncate(page.limit);
        let next = items.last().filter(|_| more).map(|last| last.id);
        Ok(Page { items, next })
    }

    async fn delete_agent(&self, id: AgentId, now: Timestamp) -> Result<Option<AgentRevoked>, StoreError> {
        let mut state = self.lock();
        let revoked = state.revoke_agent(id, now);
        if state.agents.remove(&id).is_none() {
            return Ok(None);
        }
        state.deleted.insert(id, now);
        Ok(Some(AgentRevoked::new(revoked, None)))
    }
}
