//! The nodes of a new map.

use std::{convert::Infallible, sync::Arc};

use tokio::sync::oneshot;

use super::{
    super::{
        super::{address::Address, connection::Connection, url::Server},
        claims::{Claims, Master},
        map::{Node, SlotMap},
    },
    Discovery,
};

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
        if let Some(earlier) = earlier {
            settings.recovery = earlier.recovery.clone();
        }
        Some(Arc::new(Node {
            id: master.id.clone(),
            recovery: settings.recovery.clone(),
            connection: Arc::new(Connection::open(settings)),
            host,
        }))
    }
}

/// Logs the number of masters and of slots without one, if a new map changes them.
pub(super) fn log_change(before: Option<&SlotMap>, claims: &Claims) {
    let (masters, uncovered) = (
        claims.masters.iter().filter(|master| master.has_slots).count(),
        claims.uncovered(),
    );
    if before.is_none_or(|before| {
        before.claims().masters != claims.masters || before.claims().uncovered() != uncovered
    }) {
        tracing::info!(
            masters,
            uncovered_slots = uncovered,
            "the masters of the cluster are known"
        );
    }
}
