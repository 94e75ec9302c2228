//! The health of a cluster: of its masters, and of its hash slots.

use std::sync::Arc;

use futures_util::future::join_all;
use redis::Value;
use tokio::time::timeout;

use super::{
    super::{call_error::CallError, request::Request},
    Cluster,
    map::{Node, SlotMap},
    slot::Slot,
};
use crate::store::{StoreError, StoreHealth};

impl Cluster {
    pub(in super::super) async fn probe(&self) -> Result<(), StoreError> {
        let map = self.map().await?;
        let probes = map.owners().map(|node| node.connection.probe());
        join_all(probes).await.into_iter().collect()
    }

    /// A cluster of which only some masters work is degraded: sessions on the others are served.
    pub(in super::super) async fn health(&self) -> Result<StoreHealth, StoreError> {
        let map = self.map().await?;
        // A node that hangs must not delay the answer beyond the deadline of the call.
        let limit = self.deadline - self.deadline / 10;
        let probes = map.owners().map(|node| async {
            let health = timeout(limit, self.health_of(&map, node)).await;
            (&node.host, health.unwrap_or(Err(StoreError::Timeout)))
        });
        let (mut failed, mut works) = (Vec::new(), false);
        let mut worst = StoreHealth::Ready;
        for (host, health) in join_all(probes).await {
            match health {
                Ok(StoreHealth::Ready) => works = true,
                Ok(other) => {
                    works = true;
                    // A server that is not durable is not ready, and one that only refuses writes is degraded.
                    if !matches!(worst, StoreHealth::NotDurable { .. }) {
                        worst = other;
                    }
                }
                Err(error) => failed.push((host, error)),
            }
        }
        let uncovered = map.uncovered();
        if matches!(worst, StoreHealth::NotDurable { .. }) {
            return Ok(worst);
        }
        match (works, failed.first()) {
            (false, Some((_, error))) => Err(error.clone()),
            (false, None) => Err(StoreError::Unavailable(
                "no master of the cluster has a hash slot".into(),
            )),
            (true, Some((host, error))) => Ok(StoreHealth::Partial {
                reason: format!("{host}: {error}"),
            }),
            (true, None) if uncovered > 0 => Ok(StoreHealth::Partial {
                reason: format!("{uncovered} of 16384 hash slots have no master that can be reached"),
            }),
            (true, None) => Ok(worst),
        }
    }

    /// The health of one master. It also reads a key: a cluster that is down refuses only commands with keys.
    async fn health_of(&self, map: &SlotMap, node: &Arc<Node>) -> Result<StoreHealth, StoreError> {
        let has = |bucket: &u16| {
            let owner = map.owner(Slot::of_bucket(*bucket));
            owner.is_some_and(|owner| Arc::ptr_eq(owner, node))
        };
        let Some(bucket) = (0..=u16::MAX).find(has) else {
            return node.connection.health().await;
        };
        let mut get = redis::cmd("GET");
        get.arg(self.keys.agent_epochs(bucket));
        let read = node.connection.call::<Value>(Request::Command(&get), false);
        match tokio::join!(node.connection.health(), read) {
            (health, Ok(_) | Err(CallError::Redirected(_))) => health,
            (health, Err(CallError::Failed(error))) => health.and(Err(error)),
        }
    }
}
