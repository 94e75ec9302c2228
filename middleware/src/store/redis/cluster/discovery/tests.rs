//! The lease, the caches and the calls in flight, when the views change.

use std::sync::Mutex;

use super::{
    super::{
        Cluster,
        demand::Demand,
        map::Node,
        route::{Attempt, Route},
        slot::Slot,
        view::{NodeView, View},
    },
    *,
};
use crate::{
    clock::SystemClock,
    store::redis::{
        durability::Durability,
        keys::Keys,
        lease::Lease,
        near::{NearCache, NearCacheConfig, TrackingThread},
        recovery::Recovery,
    },
};

const LEASE: Duration = Duration::from_secs(3);

fn host(id: &str) -> Host {
    Host {
        name: "127.0.0.1".to_owned(),
        port: u16::from(id.as_bytes()[0]),
    }
}

/// The view of `by`: the masters, each with its epoch, and with one of three slots.
fn view(by: &str, masters: [(&str, u64); 3]) -> View {
    let node = |(slot, (id, epoch)): (u16, (&str, u64))| NodeView {
        id: id.to_owned(),
        host: Some(host(id)),
        alias: None,
        is_master: true,
        has_failed: false,
        config_epoch: epoch,
        slots: vec![slot..=slot],
    };
    View {
        by: by.to_owned(),
        nodes: (0..).zip(masters).map(node).collect(),
    }
}

/// A discovery without answers. `open` is called with each address.
fn discovery(lease: Lease, opened: impl Fn() + Send + 'static) -> Discovery {
    let (reporter, reports) = mpsc::channel(REPORT_QUEUE);
    let metrics = ServersMetrics::new();
    let coverage = metrics.server();
    let recovery = Recovery::new(Keys::new(""), Arc::default(), false);
    let open = move |address| {
        opened();
        ServerSettings {
            address,
            deadline: LEASE,
            keys: Keys::new(""),
            clock: Arc::new(SystemClock),
            in_cluster: true,
            node_id: None,
            metrics: metrics.server(),
            acks: None,
            recovery: Arc::new(recovery.for_server()),
            durability: Arc::new(Durability::new(false)),
            start: None,
        }
    };
    Discovery {
        seeds: Vec::new(),
        login: Login::default(),
        open: Box::new(open),
        views: Views::default(),
        recoveries: BTreeMap::new(),
        watchers: BTreeMap::new(),
        failures: BTreeMap::new(),
        reports,
        reporter,
        demand: watch::channel(0).1,
        publish: watch::channel(MapState::Pending).0,
        is_current: false,
        lease: MapLease {
            lease,
            duration: LEASE,
        },
        coverage,
    }
}

/// The node `by` answers when it was asked at this second.
fn answer(discovery: &mut Discovery, origin: Instant, by: &str, masters: [(&str, u64); 3], second: u64) {
    discovery.apply_report(Report {
        host: host(by),
        sent: origin + Duration::from_secs(second),
        view: Ok(view(by, masters)),
    });
}

const BEFORE: [(&str, u64); 3] = [("a", 1), ("b", 2), ("d", 3)];
/// After a failover of `a`.
const AFTER: [(&str, u64); 3] = [("c", 4), ("b", 2), ("d", 3)];

/// All three nodes have answered at second 10.
fn known(lease: Lease, opened: impl Fn() + Send + 'static) -> (Discovery, Instant) {
    let (mut discovery, origin) = (discovery(lease, opened), Instant::now());
    for by in ["a", "b", "d"] {
        answer(&mut discovery, origin, by, BEFORE, 10);
    }
    (discovery, origin)
}

fn map(discovery: &Discovery) -> Arc<SlotMap> {
    match &*discovery.publish.borrow() {
        MapState::Known(map) => map.clone(),
        _ => panic!("no map"),
    }
}

/// The node `by` of a cluster that was made anew answers at the address that node `at` had. The master of each slot has the address of the
/// earlier one.
fn answer_anew(discovery: &mut Discovery, origin: Instant, at: &str, by: &str, second: u64) {
    let mut view = view(by, [("x", 1), ("y", 2), ("z", 3)]);
    for (node, earlier) in view.nodes.iter_mut().zip(["a", "b", "d"]) {
        node.host = Some(host(earlier));
    }
    discovery.apply_report(Report {
        host: host(at),
        sent: origin + Duration::from_secs(second),
        view: Ok(view),
    });
}

#[tokio::test]
async fn cluster_made_anew_at_the_same_addresses_is_used_when_no_node_of_the_earlier_one_answers() {
    let (mut discovery, origin) = known(Lease::ended(), || {});
    let anew = [("a", "x"), ("b", "y"), ("d", "z")];
    for second in [20, 69] {
        for (at, by) in anew {
            answer_anew(&mut discovery, origin, at, by, second);
        }
        assert_eq!(map(&discovery).owner(Slot(0)).unwrap().id, "a", "at {second}");
    }
    // One answer after the earlier cluster is forgotten is no majority.
    answer_anew(&mut discovery, origin, "a", "x", 71);
    answer_anew(&mut discovery, origin, "a", "x", 72);
    assert!(!discovery.is_known());
    answer_anew(&mut discovery, origin, "b", "y", 72);
    let ids = [0, 1, 2].map(|slot| map(&discovery).owner(Slot(slot)).unwrap().id.clone());
    assert_eq!(ids, ["x", "y", "z"]);
    answer_anew(&mut discovery, origin, "d", "z", 73);
    assert_eq!(discovery.failures, BTreeMap::new());
}

/// After a suspension of the process, all views are old.
#[tokio::test]
async fn cluster_is_not_forgotten_while_an_address_has_not_failed() {
    let (mut discovery, origin) = known(Lease::ended(), || {});
    answer_anew(&mut discovery, origin, "a", "x", 11);
    answer_anew(&mut discovery, origin, "a", "x", 200);
    answer_anew(&mut discovery, origin, "a", "x", 201);
    answer(&mut discovery, origin, "b", BEFORE, 201);
    answer(&mut discovery, origin, "d", BEFORE, 201);
    assert_eq!(map(&discovery).owner(Slot(1)).unwrap().id, "b");
    assert_eq!(discovery.failures.keys().collect::<Vec<_>>(), [&host("a")]);
}

/// Until the new map is in use, lookups go to the old owner, whose cache could be stale for longer than the bound.
#[tokio::test]
async fn lease_is_not_extended_by_views_of_a_new_owner_before_its_map_is_published() {
    let lease = Lease::ended();
    // The lease whenever a connection to a new master is opened: before the map is published.
    let seen: Arc<Mutex<Vec<Option<Instant>>>> = Arc::default();
    let opened = {
        let (seen, lease) = (seen.clone(), lease.clone());
        move || seen.lock().unwrap().push(lease.until())
    };
    let (mut discovery, origin) = known(lease.clone(), opened);
    let at = |second| Some(origin + Duration::from_secs(second) + LEASE);
    assert_eq!(lease.until(), at(10));
    answer(&mut discovery, origin, "d", BEFORE, 20);
    assert_eq!(lease.until(), at(10), "only one of three");
    seen.lock().unwrap().clear();
    // With this view, b and d are the majority of the new masters.
    answer(&mut discovery, origin, "b", AFTER, 21);
    assert_eq!(*seen.lock().unwrap(), [at(10)]);
    assert_eq!(lease.until(), at(20));
}

#[tokio::test]
async fn caches_of_the_masters_that_got_or_lost_a_slot_begin_a_new_epoch() {
    let (mut discovery, origin) = known(Lease::ended(), || {});
    let thread = TrackingThread::start().unwrap();
    let epoch = |node: &Arc<Node>| {
        let start = || {
            let (own, config) = (node.connection.observer(), NearCacheConfig::default());
            NearCache::start(&thread, own, Keys::new(""), config, Arc::default())
        };
        node.connection.cache.get_or_init(start).epoch()
    };
    let owners = |map: &SlotMap| {
        (0..3)
            .map(|slot| map.owner(Slot(slot)).unwrap().clone())
            .collect::<Vec<_>>()
    };
    let before = owners(&map(&discovery));
    assert_eq!(before.iter().map(epoch).collect::<Vec<_>>(), [0, 0, 0]);
    answer(&mut discovery, origin, "b", AFTER, 11);
    assert_eq!(
        before.iter().map(epoch).collect::<Vec<_>>(),
        [1, 0, 0],
        "lost a slot"
    );
    let after = owners(&map(&discovery));
    assert_eq!(epoch(&after[0]), 0, "a new server");
    // The old master gets its slot back.
    answer(&mut discovery, origin, "d", [("a", 5), ("b", 2), ("d", 3)], 12);
    assert_eq!(
        before.iter().map(epoch).collect::<Vec<_>>(),
        [2, 0, 0],
        "got a slot"
    );
    assert_eq!(epoch(&after[0]), 1);
}

/// Node `by` no longer knows the address of `a`, as after a restart of `a` with a new id.
fn answer_without_address(discovery: &mut Discovery, origin: Instant, by: &str, second: u64) {
    let mut view = view(by, BEFORE);
    view.nodes[0].host = None;
    discovery.apply_report(Report {
        host: host(by),
        sent: origin + Duration::from_secs(second),
        view: Ok(view),
    });
}

#[tokio::test]
async fn slots_of_a_master_without_an_address_are_not_covered() {
    let (mut discovery, origin) = known(Lease::ended(), || {});
    assert_eq!(map(&discovery).uncovered(), 16_384 - 3);
    for second in [11, 80] {
        answer_without_address(&mut discovery, origin, "b", second);
        answer_without_address(&mut discovery, origin, "d", second);
    }
    assert!(map(&discovery).owner(Slot(0)).is_none());
    assert_eq!(map(&discovery).uncovered(), 16_384 - 2);
}

/// Otherwise a master that returns at another address without its data would be used at once, also with `require_durable_store`.
#[tokio::test]
async fn history_of_a_node_stays_with_it_when_its_address_changes() {
    let (mut discovery, origin) = known(Lease::ended(), || {});
    let before = map(&discovery).owner(Slot(0)).unwrap().clone();
    let other_address = host("m");
    // Another node, z, answers at the address that a had before.
    for (at, by) in [("b", "b"), ("d", "d"), ("a", "z")] {
        let mut view = view(by, BEFORE);
        view.nodes[0].host = Some(other_address.clone());
        discovery.apply_report(Report {
            host: host(at),
            sent: origin + Duration::from_secs(11),
            view: Ok(view),
        });
    }
    let after = map(&discovery).owner(Slot(0)).unwrap().clone();
    assert_eq!(after.host, other_address);
    assert!(Arc::ptr_eq(&after.recovery, &before.recovery));
}

#[tokio::test]
async fn history_of_a_node_stays_with_it_while_its_address_is_unknown() {
    let (mut discovery, origin) = known(Lease::ended(), || {});
    let before = map(&discovery).owner(Slot(0)).unwrap().recovery.clone();
    for second in [11, 80] {
        answer_without_address(&mut discovery, origin, "b", second);
        answer_without_address(&mut discovery, origin, "d", second);
    }
    assert!(map(&discovery).owner(Slot(0)).is_none());
    answer(&mut discovery, origin, "a", BEFORE, 81);
    let after = map(&discovery).owner(Slot(0)).unwrap().recovery.clone();
    assert!(Arc::ptr_eq(&after, &before));
}

/// `b` gave the second slot to `d`, and then got a later epoch. `a` did not learn of the move, and names `b`.
#[tokio::test]
async fn node_that_answers_again_with_the_same_view_corrects_the_map() {
    const EPOCHS: [(&str, u64); 3] = [("a", 1), ("b", 9), ("d", 3)];
    let (mut discovery, origin) = known(Lease::ended(), || {});
    let after = |discovery: &mut Discovery, by: &str, second| {
        let mut view = view(by, EPOCHS);
        view.nodes[1].slots = Vec::new();
        view.nodes[2].slots = vec![1..=2];
        discovery.apply_report(Report {
            host: host(by),
            sent: origin + Duration::from_secs(second),
            view: Ok(view),
        });
    };
    let owner = |discovery: &Discovery| map(discovery).owner(Slot(1)).unwrap().id.clone();
    answer(&mut discovery, origin, "a", EPOCHS, 11);
    after(&mut discovery, "b", 11);
    after(&mut discovery, "d", 11);
    assert_eq!(owner(&discovery), "d");
    // `b` does not answer for a while, in which a view of `a` changes.
    answer(&mut discovery, origin, "a", [("a", 2), ("b", 9), ("d", 3)], 14);
    assert_eq!(owner(&discovery), "b");
    after(&mut discovery, "b", 15);
    assert_eq!(owner(&discovery), "d");
}

/// Two failovers between two views: the first one may have admitted a revocation on the other master.
#[tokio::test]
async fn master_that_lost_a_slot_and_got_it_back_unseen_begins_a_new_epoch() {
    let (mut discovery, origin) = known(Lease::ended(), || {});
    let thread = TrackingThread::start().unwrap();
    let node = map(&discovery).owner(Slot(0)).unwrap().clone();
    let start = || {
        let (own, config) = (node.connection.observer(), NearCacheConfig::default());
        NearCache::start(&thread, own, Keys::new(""), config, Arc::default())
    };
    let cache = node.connection.cache.get_or_init(start);
    assert_eq!(cache.epoch(), 0);
    answer(&mut discovery, origin, "b", [("a", 9), ("b", 2), ("d", 3)], 11);
    assert!(Arc::ptr_eq(map(&discovery).owner(Slot(0)).unwrap(), &node));
    assert_eq!(cache.epoch(), 1);
}

/// The new master is recovered from the revocations of this process when its map is published: one that is acknowledged later is lost.
#[tokio::test]
async fn answer_of_a_master_that_was_asked_and_replaced_is_not_used() {
    let (mut discovery, origin) = known(Lease::ended(), || {});
    let cluster = Cluster {
        map_state: discovery.publish.subscribe(),
        demand: Demand::new(watch::channel(0).0),
        keys: Keys::new(""),
        deadline: LEASE,
        _discovery: AbortOnDrop(tokio::spawn(std::future::pending())),
    };
    let map = map(&discovery);
    let attempt = Attempt {
        map: map.clone(),
        owner: map.owner(Slot(0)).unwrap().clone(),
        ask_target: map.owner(Slot(1)).cloned(),
    };
    let resolve = async |repeatable| {
        let mut route = Route {
            cluster: &cluster,
            slot: Slot(0),
            ask_target: None,
        };
        route.resolve(&attempt, Ok(1), repeatable).await
    };
    assert_eq!(resolve(false).await.unwrap(), Some(1));
    answer(&mut discovery, origin, "b", AFTER, 11);
    assert_eq!(resolve(false).await.unwrap(), Some(1), "another was replaced");
    answer(&mut discovery, origin, "d", [("c", 4), ("e", 5), ("d", 3)], 12);
    resolve(false).await.unwrap_err();
    assert_eq!(resolve(true).await.unwrap(), None, "repeated");
}
