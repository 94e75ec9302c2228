//! Agents: the principals that sessions are granted to.

use std::future::Future;

use super::{Page, PageRequest, StoreError};
use crate::{clock::Timestamp, id::AgentId};

/// A registered agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// The agent's id.
    pub id: AgentId,
    /// A name for people.
    pub name: Option<String>,
    /// When it was registered.
    pub created_at: Timestamp,
}

/// Tells whether an agent exists, before a session is opened for it.
pub trait AgentDirectory: Send + Sync + 'static {
    /// Whether the agent may have sessions.
    fn contains(&self, agent: AgentId) -> impl Future<Output = Result<bool, StoreError>> + Send;
}

/// Accepts any agent: for those who know their agents themselves.
#[derive(Debug, Clone, Copy, Default)]
pub struct AnyAgent;

impl AgentDirectory for AnyAgent {
    async fn contains(&self, _: AgentId) -> Result<bool, StoreError> {
        Ok(true)
    }
}

/// Keeps the agents of those who have no directory of their own.
pub trait AgentStore: Clone + Send + Sync + 'static {
    /// Registers an agent. When there is one with this id, nothing changes and that one is the answer.
    fn register(&self, agent: &Agent) -> impl Future<Output = Result<RegisterOutcome, StoreError>> + Send;

    /// Finds an agent.
    fn agent(&self, id: AgentId) -> impl Future<Output = Result<Option<Agent>, StoreError>> + Send;

    /// A page of the agents, by id.
    fn agents(
        &self,
        page: PageRequest<AgentId>,
    ) -> impl Future<Output = Result<Page<Agent, AgentId>, StoreError>> + Send;

    /// Deletes an agent and revokes its sessions in one step. No session can be added after it, not even by a command that
    /// was sent before. Answers how many sessions were active; `None` when there is no such agent.
    fn delete_agent(
        &self,
        id: AgentId,
        now: Timestamp,
    ) -> impl Future<Output = Result<Option<u32>, StoreError>> + Send;
}

/// The agents of an [`AgentStore`] as a directory.
#[derive(Debug, Clone)]
pub struct RegisteredAgents<S>(pub S);

impl<S: AgentStore> AgentDirectory for RegisteredAgents<S> {
    async fn contains(&self, agent: AgentId) -> Result<bool, StoreError> {
        Ok(self.0.agent(agent).await?.is_some())
    }
}

/// The outcome of [`AgentStore::register`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegisterOutcome {
    /// The agent was registered.
    Done,
    /// There was one already.
    Exists(Agent),
}
