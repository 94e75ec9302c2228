//! Which node has which slot: the views of all nodes, merged.
//!
//! Each election and each move of a slot gives the new owner a higher configuration epoch. For each slot, the claim of the highest epoch in
//! any view counts. So a node that was cut off or suspended cannot name an earlier owner.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    super::{lease::Confirmations, url::Host},
    slot::SLOTS,
    view::{NodeId, NodeView, View},
};

/// A node's own view of its slots takes precedence over another node's view that is at most this much newer.
const LATELY: Duration = Duration::from_secs(2);

/// The merged views.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claims {
    /// The masters, with or without slots.
    pub(super) masters: Vec<Master>,
    /// For each slot the place of its owner in `masters`.
    pub(super) owners: Vec<Option<u16>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Master {
    pub(super) id: NodeId,
    /// The addresses at which it can be reached: first those that other nodes name, then those at which it answered. Empty if no node knows
    /// one.
    pub(super) hosts: Vec<Host>,
    /// Other addresses by which a redirection may name it.
    pub(super) aliases: Vec<Host>,
    pub(super) has_slots: bool,
    /// The latest configuration epoch in which it claims slots. It differs if the master lost and got back a slot between two views.
    pub(super) config_epoch: u64,
}

/// The latest view of each node.
#[derive(Default)]
pub(super) struct Views(BTreeMap<NodeId, Latest>);

struct Latest {
    view: View,
    /// The addresses at which the node answered.
    asked: BTreeSet<Host>,
    /// The time at which it was asked last.
    sent: Instant,
}

impl Views {
    /// Adds the view of a node that was asked at this address and time. The answer to an earlier question than the latest one only adds its
    /// address.
    ///
    /// True if the merged views may have changed: the view is new, or claims about the node counted while its own view was old.
    ///
    /// # Errors
    /// The node belongs to another cluster: no node that has answered knows it, and it knows none of them.
    pub(super) fn add(&mut self, asked: Host, view: View, sent: Instant) -> Result<bool, ()> {
        let knows = |one: &View, other: &NodeId| one.nodes.iter().any(|node| node.id == *other);
        let mut others = self
            .0
            .values()
            .filter(|other| !other.asked.contains(&asked))
            .peekable();
        let is_first = others.peek().is_none();
        if !is_first && !others.any(|other| knows(&other.view, &view.by) || knows(&view, &other.view.by)) {
            return Err(());
        }
        // Another node may have had this address before.
        self.0
            .retain(|id, other| *id == view.by || !other.asked.remove(&asked) || !other.asked.is_empty());
        let newest = self.0.values().map(|latest| latest.sent).max();
        match self.0.get_mut(&view.by) {
            Some(latest) => {
                let new_address = latest.asked.insert(asked);
                if sent < latest.sent {
                    return Ok(new_address);
                }
                let was_old = newest.is_some_and(|newest| latest.sent + LATELY < newest);
                latest.sent = sent;
                let before = std::mem::replace(&mut latest.view, view);
                Ok(new_address || was_old || before != latest.view)
            }
            None => {
                let asked = BTreeSet::from([asked]);
                self.0.insert(view.by.clone(), Latest { view, asked, sent });
                Ok(true)
            }
        }
    }

    /// Forgets the nodes that have not answered since then. True if there were any. If no node has answered, all are kept.
    pub(super) fn forget_before(&mut self, time: Instant) -> bool {
        let before = self.0.len();
        if self.has_answer_since(time) {
            self.0.retain(|_, latest| latest.sent >= time);
        }
        self.0.len() < before
    }

    /// True if a node has answered that was asked then or later.
    pub(super) fn has_answer_since(&self, time: Instant) -> bool {
        self.0.values().any(|latest| latest.sent >= time)
    }

    /// The addresses of all nodes.
    pub(super) fn hosts(&self) -> BTreeSet<Host> {
        let named = self.0.values().flat_map(|latest| &latest.view.nodes);
        let named = named.filter_map(|node| node.host.as_ref());
        let asked = self.0.values().flat_map(|latest| &latest.asked);
        named.chain(asked).cloned().collect()
    }

    pub(super) fn has_answer_of(&self, host: &Host) -> bool {
        self.0.values().any(|latest| latest.asked.contains(host))
    }

    /// The latest time at which a majority of the masters with slots had these views: later changes may be unknown.
    pub(super) fn confirmed_at(&self, claims: &Claims) -> Option<Instant> {
        let voters: Vec<_> = claims.masters.iter().filter(|master| master.has_slots).collect();
        let mut confirmed = Confirmations::new(voters.len());
        for (voter, master) in voters.into_iter().enumerate() {
            if let Some(latest) = self.0.get(&master.id) {
                confirmed.confirm(voter, latest.sent);
            }
        }
        confirmed.majority()
    }

    /// Merges the views.
    pub(super) fn merge(&self) -> Claims {
        let mut masters: BTreeMap<&NodeId, ([BTreeSet<&Host>; 2], u64)> = BTreeMap::new();
        // For each slot the highest claim. An outdated claim counts only if the slot has no other: the view of the new owner may not have arrived.
        // Two claims of one epoch are an error that Redis resolves by the ids.
        let mut highest: Vec<Option<(bool, u64, &NodeId)>> = vec![None; SLOTS.into()];
        for latest in self.0.values() {
            for node in latest.view.nodes.iter().filter(|node| node.is_master) {
                // A failed master without slots was replaced.
                if node.has_failed && node.slots.is_empty() {
                    continue;
                }
                let ([hosts, aliases], config_epoch) = masters.entry(&node.id).or_default();
                hosts.extend(&node.host);
                aliases.extend(&node.alias);
                let is_current = !self.is_outdated(latest, node);
                if is_current && !node.slots.is_empty() {
                    *config_epoch = (*config_epoch).max(node.config_epoch);
                }
                for slot in node.slots.iter().cloned().flatten() {
                    let highest = &mut highest[usize::from(slot)];
                    *highest = (*highest).max(Some((is_current, node.config_epoch, &node.id)));
                }
            }
        }
        let places: BTreeMap<&NodeId, u16> = (0..)
            .zip(masters.keys())
            .map(|(place, id)| (*id, place))
            .collect();
        let owner = |claim: &Option<(bool, u64, &NodeId)>| places.get(claim.as_ref()?.2).copied();
        let owners: Vec<Option<u16>> = highest.iter().map(owner).collect();
        let with_slots: BTreeSet<u16> = owners.iter().flatten().copied().collect();
        let masters = (0..)
            .zip(&masters)
            .map(|(place, (id, ([named, aliases], config_epoch)))| {
                let asked = self.0.get(*id).into_iter().flat_map(|latest| &latest.asked);
                let asked = asked.filter(|host| !named.contains(host));
                Master {
                    id: (*id).clone(),
                    hosts: named.iter().copied().chain(asked).cloned().collect(),
                    aliases: aliases.iter().copied().cloned().collect(),
                    has_slots: with_slots.contains(&place),
                    config_epoch: *config_epoch,
                }
            });
        Claims {
            masters: masters.collect(),
            owners,
        }
    }

    /// True if another node makes this claim, and a recent view of the claimed node itself is of the same epoch or a later one. A node that
    /// missed the move of a slot still reports the old owner, with that owner's latest epoch.
    fn is_outdated(&self, by: &Latest, claim: &NodeView) -> bool {
        let own = self.0.get(&claim.id).filter(|own| own.view.by != by.view.by);
        own.is_some_and(|own| {
            let own_claim = own.view.nodes.iter().find(|node| node.id == claim.id);
            own.sent + LATELY >= by.sent
                && own_claim.is_some_and(|own| own.is_master && own.config_epoch >= claim.config_epoch)
        })
    }
}

#[cfg(test)]
mod tests;
