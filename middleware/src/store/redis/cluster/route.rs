//! Routes one call to the master of its hash slot, and follows redirections.

use std::sync::Arc;

use tokio::time::sleep;

use super::{
    super::call_error::{CallError, Redirect},
    Cluster, PAUSE,
    map::{Node, SlotMap},
    slot::Slot,
};
use crate::store::StoreError;

pub(super) struct Route<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) slot: Slot,
    /// The target of an `ASK` redirection.
    pub(super) ask_target: Option<Arc<Node>>,
}

/// One attempt: the node that is called.
pub(super) struct Attempt {
    pub(super) map: Arc<SlotMap>,
    /// The master that has the slot by the map.
    pub(super) owner: Arc<Node>,
    pub(super) ask_target: Option<Arc<Node>>,
}

impl Attempt {
    /// The node to call, and whether it is asked although it does not have the slot yet.
    pub(super) fn target(&self) -> (&Node, bool) {
        match &self.ask_target {
            Some(target) => (target, true),
            None => (&self.owner, false),
        }
    }
}

impl Route<'_> {
    /// The next attempt.
    pub(super) async fn attempt(&mut self) -> Result<Attempt, StoreError> {
        let map = self.cluster.map().await?;
        let owner = self.cluster.owner_in(&map, self.slot)?.clone();
        let ask_target = self.ask_target.take();
        Ok(Attempt {
            map,
            owner,
            ask_target,
        })
    }

    /// The answer of an attempt. `None`, after a pause, if the call is to be sent again.
    pub(super) async fn resolve<T>(
        &mut self,
        attempt: &Attempt,
        answer: Result<T, CallError>,
        repeatable: bool,
    ) -> Result<Option<T>, StoreError> {
        let Attempt {
            map,
            owner,
            ask_target,
        } = attempt;
        let was_asked = ask_target.is_some();
        let is_current = || match ask_target {
            Some(target) => self.cluster.was_not_replaced(target, map),
            None => self.cluster.is_owner(self.slot, owner),
        };
        match answer {
            Ok(answer) if is_current() => return Ok(Some(answer)),
            Ok(_) if repeatable => {}
            Ok(_) => {
                return Err(StoreError::Unavailable(
                    "the hash slot was moved during the call".into(),
                ));
            }
            Err(CallError::Redirected(Redirect::Moved)) => self.cluster.wait_for_views(map).await,
            Err(CallError::Redirected(Redirect::Ask(address))) if !was_asked => match map.at(&address, owner)
            {
                Some(target) => self.ask_target = Some(target.clone()),
                None => self.cluster.wait_for_views(map).await,
            },
            Err(CallError::Redirected(Redirect::Ask(_) | Redirect::TryAgain)) => sleep(PAUSE).await,
            Err(CallError::Failed(error)) => {
                self.cluster.demand.send_after_failure();
                return Err(error);
            }
        }
        Ok(None)
    }
}
