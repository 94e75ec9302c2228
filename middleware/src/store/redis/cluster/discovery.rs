//! Finds the nodes of the cluster and the owners of its slots, and follows their changes.

mod nodes;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};

use self::nodes::log_change;
use super::{
    super::{
        address::Address,
        background::{AbortOnDrop, catch_panic},
        endpoint::Login,
        recovery::Recovery,
        supervisor::ServerSettings,
        url::Host,
    },
    claims::{Claims, Views},
    map::SlotMap,
    map_lease::MapLease,
    view::NodeId,
    watcher::{Report, Watcher},
};
use crate::telemetry::{ServerMetrics, ServersMetrics};

/// The time after which a node that does not answer is forgotten. Others may still name it.
const FORGET_AFTER: Duration = Duration::from_secs(60);
const REPORT_QUEUE: usize = 64;

/// The map, or the reason why there is none.
#[derive(Clone)]
pub(super) enum MapState {
    /// No node has answered yet. Callers wait for the first answer.
    Pending,
    /// No node answers, each for a reason.
    Unavailable(String),
    Known(Arc<SlotMap>),
}

/// Builds the settings of the connection to a master.
pub(in super::super) type Open = Box<dyn Fn(Address) -> ServerSettings + Send>;

pub(super) struct Discovery {
    seeds: Vec<Host>,
    login: Login,
    open: Open,
    views: Views,
    /// The recovery of each node that was a master. A node keeps its replication history while its address is unknown or changes.
    recoveries: BTreeMap<NodeId, Arc<Recovery>>,
    watchers: BTreeMap<Host, AbortOnDrop>,
    /// The latest failure of each address.
    failures: BTreeMap<Host, String>,
    reports: mpsc::Receiver<Report>,
    /// Kept for new watchers, so the queue never closes.
    reporter: mpsc::Sender<Report>,
    demand: watch::Receiver<u64>,
    publish: watch::Sender<MapState>,
    /// True if the published map is that of the latest views.
    is_current: bool,
    lease: MapLease,
    /// Counts the cluster as up while every slot has an owner.
    coverage: Arc<ServerMetrics>,
}

/// The handles of a running discovery.
pub(super) struct DiscoveryHandle {
    pub(super) map_state: watch::Receiver<MapState>,
    /// Demands new views.
    pub(super) demand: watch::Sender<u64>,
    pub(super) task: AbortOnDrop,
}

impl Discovery {
    pub(super) fn start(
        seeds: Vec<Host>,
        login: Login,
        open: Open,
        lease: MapLease,
        metrics: &ServersMetrics,
    ) -> DiscoveryHandle {
        let (reporter, reports) = mpsc::channel(REPORT_QUEUE);
        let (demand, demanded) = watch::channel(0);
        let (publish, map_state) = watch::channel(MapState::Pending);
        let discovery = Self {
            seeds,
            login,
            open,
            views: Views::default(),
            recoveries: BTreeMap::new(),
            watchers: BTreeMap::new(),
            failures: BTreeMap::new(),
            reports,
            reporter,
            demand: demanded,
            publish,
            is_current: false,
            lease,
            coverage: metrics.server(),
        };
        DiscoveryHandle {
            map_state,
            demand,
            task: AbortOnDrop(tokio::spawn(discovery.run())),
        }
    }

    /// Runs until the store is dropped. After a panic, which is a defect, it goes on with the next report.
    async fn run(mut self) {
        while catch_panic(self.follow()).await.is_err() {
            tracing::error!("the discovery of the cluster panicked and is started again");
        }
    }

    async fn follow(&mut self) {
        self.watch_all();
        while let Some(report) = self.reports.recv().await {
            self.apply_report(report);
            if !self.is_known() {
                self.publish_failure();
            }
        }
    }

    fn apply_report(&mut self, Report { host, sent, view }: Report) {
        let view = match view {
            Ok(view) => view,
            Err(reason) => return self.failed(host, reason),
        };
        match self.views.add(host.clone(), view, sent) {
            Ok(new) => {
                self.failures.remove(&host);
                let oldest = sent.checked_sub(FORGET_AFTER);
                let forgot = oldest.is_some_and(|oldest| self.views.forget_before(oldest));
                if new || forgot || !self.is_known() {
                    self.is_current = self.update();
                }
                // Last: views of a new owner must not extend the lease while the old one is in use.
                if let MapState::Known(map) = &*self.publish.borrow()
                    && self.is_current
                {
                    self.extend_lease(map.claims());
                }
            }
            Err(()) => {
                self.failed(host, "the node belongs to another cluster".to_owned());
                self.forget_lost_cluster(sent);
            }
        }
    }

    /// Forgets a cluster of which no node answers any longer, so that one that was made anew at its addresses is accepted. Its first map needs
    /// a majority.
    fn forget_lost_cluster(&mut self, now: Instant) {
        // After a suspension of this process, the nodes may not have had the time to answer.
        let every_address_failed = self.watchers.keys().all(|host| self.failures.contains_key(host));
        let oldest = now.checked_sub(FORGET_AFTER);
        if every_address_failed && oldest.is_some_and(|oldest| !self.views.has_answer_since(oldest)) {
            tracing::warn!(
                "no node of the cluster has answered for a minute: another cluster at its addresses is accepted"
            );
            self.views = Views::default();
            self.publish_failure();
        }
    }

    fn failed(&mut self, host: Host, reason: String) {
        if self.failures.get(&host) != Some(&reason) {
            tracing::warn!(node = %host, %reason, "a node of the cluster does not tell its view");
            self.failures.insert(host, reason);
        }
    }

    fn is_known(&self) -> bool {
        matches!(&*self.publish.borrow(), MapState::Known(_))
    }

    /// Publishes why there is no map, once every node has answered or failed.
    fn publish_failure(&self) {
        let waits = |host: &&Host| !self.failures.contains_key(*host) && !self.views.has_answer_of(host);
        if self.watchers.keys().any(|host| waits(&host)) {
            return;
        }
        let reasons = self
            .failures
            .iter()
            .map(|(host, reason)| format!("{host}: {reason}"));
        let reason = format!(
            "no majority of the masters of the cluster answers: {}",
            reasons.collect::<Vec<_>>().join("; ")
        );
        self.coverage.set_up(false);
        self.publish.send_replace(MapState::Unavailable(reason));
    }

    /// Publishes a new map if the views have changed it. True if the published map is then that of the views.
    fn update(&mut self) -> bool {
        self.watch_all();
        let claims = self.views.merge();
        // The first map needs a majority: the node that answers first may be cut off from the others.
        if !self.is_known() && !self.lease.duration.is_zero() && self.views.confirmed_at(&claims).is_none() {
            return false;
        }
        let before = match &*self.publish.borrow() {
            MapState::Known(map) => Some(map.clone()),
            _ => None,
        };
        if before.as_ref().is_some_and(|before| *before.claims() == claims) {
            return true;
        }
        let known: Vec<_> = before.iter().flat_map(|map| map.nodes()).collect();
        let mut starts = Vec::new();
        let nodes = claims
            .masters
            .iter()
            .map(|master| self.node(master, &known, &mut starts));
        let nodes: Vec<_> = nodes.collect();
        self.keep_recoveries(&nodes);
        if before.is_none() {
            // Callers wait for the first map, and need the lease with it.
            self.extend_lease(&claims);
        }
        let map = Arc::new(SlotMap::new(claims, nodes));
        let uncovered = map.uncovered();
        log_change(before.as_deref(), &map, uncovered);
        self.coverage.set_up(uncovered == 0);
        self.publish.send_replace(MapState::Known(map.clone()));
        // From here on, old owners acknowledge no revocation. The new owners can now be recovered.
        drop(starts);
        // After the map is in use: from then on, no lookup begins with the cache of the old owner.
        if let Some(before) = before {
            for node in map.changed_since(&before) {
                if let Some(cache) = node.connection.cache.get() {
                    cache.begin_epoch();
                }
            }
        }
        true
    }

    /// Watches the seeds and all nodes that are known.
    fn watch_all(&mut self) {
        let hosts: BTreeSet<Host> = self
            .views
            .hosts()
            .into_iter()
            .chain(self.seeds.iter().cloned())
            .collect();
        self.watchers.retain(|host, _| hosts.contains(host));
        self.failures.retain(|host, _| hosts.contains(host));
        for host in hosts {
            let (login, reports, demand) = (&self.login, &self.reporter, &self.demand);
            self.watchers.entry(host.clone()).or_insert_with(|| {
                let watcher = Watcher {
                    host,
                    login: login.clone(),
                    reports: reports.clone(),
                    demand: demand.clone(),
                };
                watcher.start()
            });
        }
    }

    fn extend_lease(&self, claims: &Claims) {
        if let Some(confirmed) = self.views.confirmed_at(claims) {
            self.lease.extend(confirmed);
        }
    }
}

#[cfg(test)]
mod tests;
