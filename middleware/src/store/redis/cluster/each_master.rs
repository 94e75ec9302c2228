//! Calls to each master that has hash slots.

use futures_util::future::join_all;

use super::{
    super::{connection::Connection, server_info::RedisServerInfo},
    Cluster,
    discovery::MapState,
};
use crate::store::{ClockSkew, StoreError};

impl Cluster {
    /// Calls `f` with each master that has slots.
    pub(in super::super) fn for_each(&self, mut f: impl FnMut(&Connection)) {
        // Not under the lock of the channel.
        let map_state = self.map_state.borrow().clone();
        if let MapState::Known(map) = map_state {
            map.owners().for_each(|node| f(&node.connection));
        }
    }

    /// Asks each master with slots to describe itself.
    pub(in super::super) async fn describe_each(&self) -> Result<Vec<RedisServerInfo>, StoreError> {
        let map = self.map().await?;
        let answers = map.owners().map(|node| node.connection.describe());
        join_all(answers)
            .await
            .into_iter()
            .map(|answer| Ok(answer?))
            .collect()
    }

    /// The largest clock skew of any master.
    pub(in super::super) fn clock_skew(&self) -> Option<ClockSkew> {
        match &*self.map_state.borrow() {
            MapState::Known(map) => {
                let skews = map.owners().filter_map(|node| node.connection.skew.latest());
                skews.max_by_key(|skew| skew.millis().unsigned_abs())
            }
            _ => None,
        }
    }
}
