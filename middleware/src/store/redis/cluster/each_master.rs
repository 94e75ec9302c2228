//! Calls to each master that has hash slots.

use futures_util::future::join_all;

use super::{
    super::{connection::Connection, server_info::RedisServerInfo},
    Cluster,
    discovery::Found,
};
use crate::store::{ClockSkew, StoreError};

impl Cluster {
    /// Calls `f` with each master that has slots.
    pub(in super::super) fn for_each(&self, mut f: impl FnMut(&Connection)) {
        // Not under the lock of the channel.
        let found = self.found.borrow().clone();
        if let Found::Map(map) = found {
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
        match &*self.found.borrow() {
            Found::Map(map) => {
                let skews = map.owners().filter_map(|node| node.connection.skew.latest());
                skews.max_by_key(|skew| skew.millis().unsigned_abs())
            }
            _ => None,
        }
    }
}
