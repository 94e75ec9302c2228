//! The nodes of a new map.

use std::{convert::Infallible, sync::Arc};

use tokio::sync::oneshot;

use super::{
    super::{
        super::{address::Address, connection::Connection, url::Server},
        claims::Master,
        map::{Node, SlotMap},
    },
    Discovery,
};

/// The number of nodes whose recoveries are kept while they are no masters.
const MAX_RECOVERIES: usize = 1_000;

impl Discovery {
    /// The node of a master: the known one while its address is valid.
    /// A new one connects when its sender in `starts` is dropped.
    pub(super) fn node(
        &self,
        master: &Master,
        known: &[&Arc<Node>],
        starts: &mut Vec<oneshot::Sender<Infallible>>,
    ) -> Option<Arc<Node>> {
        let earlier = known.iter().find(|node| node.id == master.id);
        if let Some(node) = earlier
            && master.hosts.contains(&node.host)
        {
            return Some(Arc::clone(node));
        }
        let host = master.hosts.first()?.clone();
        let address = match Address::leased(&Server::Tcp(host.clone()), &self.login, self.lease.lease.clone())
        {
            Ok(address) => address,
            Err(reason) => {
                tracing::error!(node = %host, %reason, "a master cannot be used");
                return None;
            }
        };
        let (start, started) = oneshot::channel();
        starts.push(start);
        let mut settings = (self.open)(address);
        settings.start = Some(started);
        settings.node_id = Some(master.id.clone());
        if let Some(recovery) = self.recoveries.get(&master.id) {
            settings.recovery = recovery.clone();
        }
        Some(Arc::new(Node {
            id: master.id.clone(),
            recovery: settings.recovery.clone(),
            connection: Arc::new(Connection::open(settings)),
            host,
        }))
    }

    pub(super) fn keep_recoveries(&mut self, nodes: &[Option<Arc<Node>>]) {
        let of_nodes = nodes.iter().flatten();
        self.recoveries
            .extend(of_nodes.map(|node| (node.id.clone(), node.recovery.clone())));
        if self.recoveries.len() > MAX_RECOVERIES {
            self.recoveries
                .retain(|_, recovery| Arc::strong_count(recovery) > 1);
        }
    }
}

/// Logs the number of masters and of slots without one, if a new map changes them.
pub(super) fn log_change(before: Option<&SlotMap>, map: &SlotMap, uncovered: usize) {
    let masters = &map.claims().masters;
    if before.is_none_or(|before| before.claims().masters != *masters || before.uncovered() != uncovered) {
        tracing::info!(
            masters = masters.iter().filter(|master| master.has_slots).count(),
            uncovered_slots = uncovered,
            "the masters of the cluster are known"
        );
    }
}
