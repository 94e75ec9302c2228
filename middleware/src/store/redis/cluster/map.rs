//! The map from hash slots to masters, with their connections.

use std::sync::Arc;

use super::{
    super::{connection::Connection, recovery::Recovery, url::Host},
    claims::{Claims, Master},
    slot::{SLOTS, Slot},
    view::NodeId,
};

/// A master of the cluster. Its connection closes when the last map with it is dropped, and no read uses it.
pub(super) struct Node {
    pub(super) id: NodeId,
    pub(super) host: Host,
    /// No other node has this connection.
    pub(super) connection: Arc<Connection>,
    /// The replication history that was seen. It stays with the node while its address changes or is unknown.
    pub(super) recovery: Arc<Recovery>,
}

/// Which master has which slot.
pub(super) struct SlotMap {
    claims: Claims,
    /// In the order of the masters in `claims`. `None` without a usable address.
    nodes: Vec<Option<Arc<Node>>>,
}

impl SlotMap {
    pub(super) const fn new(claims: Claims, nodes: Vec<Option<Arc<Node>>>) -> Self {
        Self { claims, nodes }
    }

    pub(super) fn owner(&self, slot: Slot) -> Option<&Arc<Node>> {
        let place = (*self.claims.owners.get(slot.place())?)?;
        self.nodes.get(usize::from(place))?.as_ref()
    }

    /// The master at an address of a redirection. The name is empty if it is that of the server that redirects.
    pub(super) fn at(&self, address: &str, redirected_by: &Node) -> Option<&Arc<Node>> {
        let (name, port) = address.rsplit_once(':')?;
        let host = Host {
            name: if name.is_empty() {
                &redirected_by.host.name
            } else {
                name
            }
            .to_owned(),
            port: port.parse().ok()?,
        };
        let mut nodes = self.claims.masters.iter().zip(&self.nodes);
        let is_named = |master: &Master| master.hosts.contains(&host) || master.aliases.contains(&host);
        nodes
            .find(|(master, _)| is_named(master))
            .and_then(|(_, node)| node.as_ref())
    }

    /// True if the node is still a master.
    pub(super) fn has(&self, node: &Arc<Node>) -> bool {
        self.nodes().any(|known| Arc::ptr_eq(known, node))
    }

    pub(super) const fn claims(&self) -> &Claims {
        &self.claims
    }

    /// The number of slots without an owner that can be reached: no node claims the slot, or no node knows the address of its owner.
    pub(super) fn uncovered(&self) -> usize {
        (0..SLOTS)
            .filter(|slot| self.owner(Slot(*slot)).is_none())
            .count()
    }

    /// The nodes that have got or lost slots since an earlier map, also if they have the same slots again.
    pub(super) fn changed_since<'a>(&'a self, before: &'a Self) -> Vec<&'a Arc<Node>> {
        let mut changed: Vec<&Arc<Node>> = Vec::new();
        for (master, node) in self.claims.masters.iter().zip(&self.nodes) {
            let mut earlier = before.claims.masters.iter();
            let earlier = earlier.find(|earlier| earlier.id == master.id);
            if earlier.is_some_and(|earlier| earlier.config_epoch != master.config_epoch) {
                changed.extend(node);
            }
        }
        for slot in (0..SLOTS).map(Slot) {
            let owners = [self.owner(slot), before.owner(slot)];
            if owners[0].map(Arc::as_ptr) == owners[1].map(Arc::as_ptr) {
                continue;
            }
            for node in owners.into_iter().flatten() {
                if !changed.iter().any(|known| Arc::ptr_eq(known, node)) {
                    changed.push(node);
                }
            }
        }
        changed
    }

    /// All masters, also those without slots.
    pub(super) fn nodes(&self) -> impl Iterator<Item = &Arc<Node>> {
        self.nodes.iter().flatten()
    }

    /// The masters with slots.
    pub(super) fn owners(&self) -> impl Iterator<Item = &Arc<Node>> {
        let masters = self.claims.masters.iter().zip(&self.nodes);
        masters
            .filter(|(master, _)| master.has_slots)
            .filter_map(|(_, node)| node.as_ref())
    }
}
