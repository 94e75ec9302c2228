//! Agents: the principals that sessions are granted to.

use std::future::Future;

use super::{AgentRevoked, CreationRetry, Page, PageRequest, StoreError};
use crate::{clock::Timestamp, id::AgentId};

/// A registered agent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Agent {
    /// The agent's id.
    pub id: AgentId,
    /// A name for people.
    pub name: Option<String>,
    /// When it was registered.
    pub created_at: Timestamp,
}

impl Agent {
    /// An agent without a name.
    #[must_use]
    pub const fn new(id: AgentId, created_at: Timestamp) -> Self {
        Self {
            id,
            name: None,
            created_at,
        }
    }
}

/// The id and creation time of an agent whose registration can be repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AgentReservation {
    /// Names the registration.
    pub retry: CreationRetry,
    /// The agent's id.
    pub agent: AgentId,
    /// The time of the registration.
    pub created_at: Timestamp,
}

impl AgentReservation {
    /// Reserves an id.
    #[must_use]
    pub const fn new(retry: CreationRetry, agent: AgentId, created_at: Timestamp) -> Self {
        Self {
            retry,
            agent,
            created_at,
        }
    }
}

/// A directory of agents. A session is created only for an agent that it contains.
pub trait AgentDirectory: Send + Sync + 'static {
    /// Returns true if the agent exists and may have sessions.
    fn contains(&self, agent: AgentId) -> impl Future<Output = Result<bool, StoreError>> + Send;
}

/// A directory that contains every agent: for applications that check their agents themselves.
#[derive(Debug, Clone, Copy, Default)]
pub struct AnyAgent;

impl AgentDirectory for AnyAgent {
    async fn contains(&self, _: AgentId) -> Result<bool, StoreError> {
        Ok(true)
    }
}

/// A store of agents, for applications without their own directory.
pub trait AgentStore: Clone + Send + Sync + 'static {
    /// Registers an agent. If an agent with this id exists, it stays unchanged and is returned. An agent that was deleted after
    /// `created_at` is not registered again.
    fn register(&self, agent: &Agent) -> impl Future<Output = Result<RegisterOutcome, StoreError>> + Send;

    /// Reserves an id for a registration with an idempotency key. Returns the reservation that holds: this one, or an earlier one
    /// with the same [`CreationId`](crate::session::CreationId) whose retry window is open. The caller then registers the agent of
    /// that reservation, also if an earlier caller may have done so.
    fn reserve(
        &self,
        reservation: &AgentReservation,
    ) -> impl Future<Output = Result<AgentReservation, StoreError>> + Send;

    /// Returns an agent.
    fn agent(&self, id: AgentId) -> impl Future<Output = Result<Option<Agent>, StoreError>> + Send;

    /// Returns those of these agents that exist, by id.
    ///
    /// The default calls [`agent`](Self::agent) for each of them. A store with round trips should read all of them at once. A store that
    /// wraps another one forwards the call.
    fn agents_of(&self, ids: &[AgentId]) -> impl Future<Output = Result<Vec<Agent>, StoreError>> + Send {
        async move {
            let mut agents = Vec::new();
            for id in ids {
                agents.extend(self.agent(*id).await?);
            }
            Ok(agents)
        }
    }

    /// Returns a page of the agents, by id.
    fn agents(
        &self,
        page: PageRequest<AgentId>,
    ) -> impl Future<Output = Result<Page<Agent, AgentId>, StoreError>> + Send;

    /// Deletes an agent and revokes its sessions in one step. Afterwards no session can be created for it, even by a command
    /// that was sent earlier. Returns `None` if there is no such agent. Sessions of an agent without a record are revoked too: the store may
    /// have lost the record.
    ///
    /// A store that waits for acknowledgements accepts a repetition while it remembers the deletion, and waits again.
    fn delete_agent(
        &self,
        id: AgentId,
        now: Timestamp,
    ) -> impl Future<Output = Result<Option<AgentRevoked>, StoreError>> + Send;
}

/// The directory of the agents in an [`AgentStore`].
#[derive(Debug, Clone)]
pub struct RegisteredAgents<S>(pub S);

impl<S: AgentStore> AgentDirectory for RegisteredAgents<S> {
    async fn contains(&self, agent: AgentId) -> Result<bool, StoreError> {
        Ok(self.0.agent(agent).await?.is_some())
    }
}

/// The outcome of [`AgentStore::register`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegisterOutcome {
    /// The agent was registered.
    Registered,
    /// An agent with this id existed already.
    Exists(Agent),
    /// An agent with this id was deleted in a second after this agent's `created_at`.
    Deleted,
}
