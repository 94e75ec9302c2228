use std::{collections::BTreeSet, fmt, sync::Arc};

use super::{Right, Rights};
use crate::{
    error::{AuthError, ErrorKind, RejectionReason},
    id::AgentId,
};

/// The administrator of an admitted request, a request extension that [`MasterAuthLayer`](super::MasterAuthLayer) adds.
///
/// The layer checks the right that it demands. It does not know which agent a request is about: check that in the handler with
/// [`require_agent`](Self::require_agent). The endpoints of this crate do both.
///
/// ```
/// use axum::Extension;
/// use tower_session_auth::{AgentId, AuthError, master_auth::Administrator};
///
/// async fn suspend(Extension(admin): Extension<Administrator>, agent: AgentId) -> Result<String, AuthError> {
///     admin.require_agent(agent)?;
///     Ok(format!("{} suspended {agent}", admin.name()))
/// }
/// # let _ = suspend;
/// ```
#[derive(Clone)]
pub struct Administrator {
    name: Arc<str>,
    rights: Rights,
    agents: Option<Arc<BTreeSet<AgentId>>>,
}

impl Administrator {
    /// The name of the administrator who sent the master password. No admin key can have this name.
    pub const MASTER: &'static str = "master";

    /// The administrator who sent the master password: every right, for all agents.
    #[must_use]
    pub fn master() -> Self {
        Self {
            name: Self::MASTER.into(),
            rights: Rights::all(),
            agents: None,
        }
    }

    pub(super) const fn new(name: Arc<str>, rights: Rights, agents: Option<Arc<BTreeSet<AgentId>>>) -> Self {
        Self { name, rights, agents }
    }

    /// The name of the admin key, or [`MASTER`](Self::MASTER).
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The rights.
    #[must_use]
    pub const fn rights(&self) -> Rights {
        self.rights
    }

    /// The agents that the administrator may act on. `None` means all agents.
    #[must_use]
    pub fn agents(&self) -> Option<&BTreeSet<AgentId>> {
        self.agents.as_deref()
    }

    /// True if the administrator may act on this agent and its sessions.
    #[must_use]
    pub fn permits_agent(&self, agent: AgentId) -> bool {
        self.agents().is_none_or(|agents| agents.contains(&agent))
    }

    /// Checks a right.
    ///
    /// # Errors
    /// `Forbidden` if the administrator does not have it.
    pub fn require(&self, right: Right) -> Result<(), AuthError> {
        if self.rights.contains(right) {
            Ok(())
        } else {
            let detail = format!("This admin key does not have the right {right}.");
            Err(AuthError::new(ErrorKind::Forbidden).with_detail(detail))
        }
    }

    /// Checks that the administrator may act on an agent.
    ///
    /// # Errors
    /// `Forbidden` if the admin key is restricted to other agents.
    pub fn require_agent(&self, agent: AgentId) -> Result<(), AuthError> {
        if self.permits_agent(agent) {
            Ok(())
        } else {
            Err(Self::other_agent())
        }
    }

    /// Checks that the administrator has every right for all agents.
    ///
    /// # Errors
    /// `Forbidden` otherwise.
    pub fn require_everything(&self) -> Result<(), AuthError> {
        Rights::all().iter().try_for_each(|right| self.require(right))?;
        if self.agents.is_some() {
            return Err(Self::other_agent());
        }
        Ok(())
    }

    pub(crate) fn other_agent() -> AuthError {
        AuthError::new(ErrorKind::Forbidden)
            .with_detail("This admin key is restricted to other agents.")
            .with_reason(RejectionReason::OtherAgent)
    }
}

impl fmt::Debug for Administrator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Administrator")
            .field("name", &self.name)
            .field("rights", &self.rights)
            .field("agents", &self.agents)
            .finish()
    }
}
