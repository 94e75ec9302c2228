//! The way of one call to the master that has its hash slot.

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
    /// The map and the master of the last attempt.
    pub(super) attempt: Option<(Arc<SlotMap>, Arc<Node>)>,
    /// The node that the next attempt asks, because the last one was told to.
    pub(super) asked: Option<Arc<Node>>,
}

impl Route<'_> {
    /// The node of the next attempt, and whether it is asked although it does not have the slot yet.
    pub(super) async fn next(&mut self) -> Result<(Arc<Node>, bool), StoreError> {
        if let Some(asked) = &self.asked {
            return Ok((asked.clone(), true));
        }
        let map = self.cluster.map().await?;
        let Some(node) = map.owner(self.slot).cloned() else {
            self.cluster.demand_views();
            return Err(StoreError::Unavailable("no master has the hash slot".into()));
        };
        self.attempt = Some((map, node.clone()));
        Ok((node, false))
    }

    /// The answer of an attempt. `None`, after a pause, if the call is to be sent again.
    pub(super) async fn judge<T>(
        &mut self,
        answer: Result<T, CallError>,
        repeatable: bool,
    ) -> Result<Option<T>, StoreError> {
        let asked = self.asked.take();
        let Some((map, node)) = &self.attempt else {
            return Ok(None);
        };
        match answer {
            Ok(answer)
                if asked.as_ref().map_or_else(
                    || self.cluster.is_owner(self.slot, node),
                    |asked| self.cluster.was_not_replaced(asked, map),
                ) =>
            {
                return Ok(Some(answer));
            }
            Ok(_) if repeatable => {}
            Ok(_) => {
                return Err(StoreError::Unavailable(
                    "the hash slot was moved during the call".into(),
                ));
            }
            Err(CallError::Redirected(Redirect::Moved)) => self.cluster.wait_for_views(map).await,
            Err(CallError::Redirected(Redirect::Ask(address))) if asked.is_none() => {
                match map.at(&address, node) {
                    Some(other) => self.asked = Some(other.clone()),
                    None => self.cluster.wait_for_views(map).await,
                }
            }
            Err(CallError::Redirected(Redirect::Ask(_) | Redirect::TryAgain)) => sleep(PAUSE).await,
            Err(CallError::Failed(error)) => {
                // The node may have been replaced.
                self.cluster.demand_views();
                return Err(error);
            }
        }
        Ok(None)
    }
}
