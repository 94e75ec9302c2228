//! How the nodes become a cluster, and how the harness follows its state.

use std::{
    ops::RangeInclusive,
    time::{Duration, Instant},
};

use redis::{InfoDict, Value};

use super::{Cluster, MASTERS, poll, setting};

const SLOTS: u16 = 16_384;
/// Longer than Redis tries a manual failover: 5 s.
const MANUAL_FAILOVER: Duration = Duration::from_secs(6);

impl Cluster {
    /// Distributes the slots, connects the nodes and assigns the replicas, as `redis-cli --cluster create` does.
    pub(super) fn form(&self) {
        for (number, (first, last)) in slot_ranges().enumerate() {
            self.execute(
                number,
                &["CLUSTER", "SET-CONFIG-EPOCH", &(number + 1).to_string()],
            );
            let (first, last) = (first.to_string(), last.to_string());
            self.execute(number, &["CLUSTER", "ADDSLOTSRANGE", &first, &last]);
        }
        for node in 1..self.nodes.len() {
            self.introduce(node);
        }
        self.wait_until_all_know_each_other();
        for replica in MASTERS..self.nodes.len() {
            let master = &self.nodes[replica - MASTERS].id;
            self.execute(replica, &["CLUSTER", "REPLICATE", master]);
        }
        self.wait_until_all_slots_are_served();
        for replica in MASTERS..self.nodes.len() {
            self.wait_for_sync(replica);
        }
        self.set_node_timeout();
    }

    /// Adds a master without slots. Returns its number.
    #[track_caller]
    pub fn add_node(&mut self) -> usize {
        self.start_node();
        let number = self.nodes.len() - 1;
        self.introduce(number);
        self.wait_until_all_know_each_other();
        self.wait_until_all_slots_are_served();
        self.set_node_timeout();
        number
    }

    /// Waits until a replica has the data of its master.
    #[track_caller]
    pub fn wait_for_sync(&self, replica: usize) {
        let synced = poll(|| {
            let role: Vec<Value> = self.command(replica, &["ROLE"]).unwrap_or_default();
            matches!(&role[..], [_, _, _, Value::BulkString(state), ..] if state == b"connected")
        });
        assert!(synced, "node {replica} does not replicate");
    }

    /// Waits until each node that answers finds the cluster complete.
    #[track_caller]
    pub fn wait_until_all_slots_are_served(&self) {
        let complete = |info: &InfoDict| {
            info.get::<String>("cluster_state").as_deref() == Some("ok")
                && info.get::<u16>("cluster_slots_ok") == Some(SLOTS)
        };
        let all = poll(|| {
            self.answering().all(|node| {
                let info = self.command(node, &["CLUSTER", "INFO"]);
                info.is_ok_and(|info| complete(&info))
            })
        });
        assert!(all, "the cluster is not complete");
    }

    /// The slot of a key.
    #[track_caller]
    pub fn slot(&self, key: &str) -> u16 {
        let node = self.answering().next().expect("a node that answers");
        self.command(node, &["CLUSTER", "KEYSLOT", key]).expect("a slot")
    }

    /// The number of the master that serves this key.
    ///
    /// # Panics
    /// If the nodes that answer do not agree.
    #[track_caller]
    pub fn owner(&self, key: &str) -> usize {
        let slot = self.slot(key);
        self.agreed_owner(slot).expect("all nodes name the same owner")
    }

    /// The slots of a master, in order.
    #[track_caller]
    pub fn slots_of(&self, master: usize) -> Vec<u16> {
        let node = self.answering().next().expect("a node that answers");
        let ranges = self.ranges_by(node).expect("an answer");
        let own = ranges.into_iter().filter(|&(_, owner)| owner == master);
        let mut slots: Vec<u16> = own.flat_map(|(range, _)| range).collect();
        slots.sort_unstable();
        slots
    }

    /// Waits until each node that answers names another owner of this key than the old one. Returns the new owner.
    #[track_caller]
    pub fn wait_for_failover(&self, key: &str, old: usize) -> usize {
        let slot = self.slot(key);
        let mut owner = old;
        let changed = poll(|| {
            owner = self.agreed_owner(slot).unwrap_or(old);
            owner != old
        });
        assert!(changed, "no other node serves the keys of node {old}");
        owner
    }

    /// Makes a replica the master of this key, with the consent of its master, and waits as [`wait_for_failover`](Self::wait_for_failover)
    /// does.
    ///
    /// `OK` only means that an attempt has begun. Redis gives an attempt up after 5 s: then the command is sent again.
    #[track_caller]
    pub fn fail_over(&self, key: &str, old: usize, replica: usize) {
        let slot = self.slot(key);
        let mut begun: Option<Instant> = None;
        let changed = poll(|| {
            if begun.is_none_or(|begun| begun.elapsed() > MANUAL_FAILOVER) {
                // An error if the replica has become a master meanwhile.
                let _ = self.command::<Value>(replica, &["CLUSTER", "FAILOVER"]);
                begun = Some(Instant::now());
            }
            self.agreed_owner(slot).is_some_and(|owner| owner != old)
        });
        assert!(changed, "node {replica} does not replace node {old}");
    }

    /// The owner of a slot, if each node that answers names the same one.
    fn agreed_owner(&self, slot: u16) -> Option<usize> {
        let mut named = self.answering().map(|node| {
            let ranges = self.ranges_by(node)?;
            let owner = ranges.iter().find(|(range, _)| range.contains(&slot));
            owner.map(|&(_, owner)| owner)
        });
        let first = named.next()??;
        named.all(|owner| owner == Some(first)).then_some(first)
    }

    /// The ranges of slots and the numbers of their owners, as one node sees them.
    fn ranges_by(&self, node: usize) -> Option<Vec<(RangeInclusive<u16>, usize)>> {
        let nodes: String = self.command(node, &["CLUSTER", "NODES"]).ok()?;
        let mut ranges = Vec::new();
        for line in nodes.lines() {
            let mut words = line.split(' ');
            let id = words.next()?;
            let Some(number) = self.nodes.iter().position(|node| node.id == id) else {
                continue;
            };
            // The first slot is the ninth word. In brackets are slots that are being moved.
            for range in words.skip(7).filter(|word| !word.starts_with('[')) {
                let (first, last) = range.split_once('-').unwrap_or((range, range));
                ranges.push((first.parse().ok()?..=last.parse().ok()?, number));
            }
        }
        Some(ranges)
    }

    fn set_node_timeout(&self) {
        let milliseconds = self.builder.node_timeout.as_millis().to_string();
        self.command_on_each(&["CONFIG", "SET", "cluster-node-timeout", &milliseconds]);
    }

    /// Connects a node to all earlier ones.
    fn introduce(&self, node: usize) {
        let port = self.node(node).port().to_string();
        let bus = match setting(self.node(node), "cluster-announce-bus-port") {
            0 => self.nodes[node].bus_port,
            announced => announced,
        };
        let bus = bus.to_string();
        for earlier in self.answering().filter(|&earlier| earlier < node) {
            self.execute(earlier, &["CLUSTER", "MEET", "127.0.0.1", &port, &bus]);
        }
    }

    fn wait_until_all_know_each_other(&self) {
        let met = poll(|| {
            self.answering().all(|node| {
                let nodes: String = self.command(node, &["CLUSTER", "NODES"]).unwrap_or_default();
                let known = nodes.lines().filter(|line| !line.contains("handshake"));
                known.count() == self.nodes.len()
            })
        });
        assert!(met, "the nodes do not find each other");
    }

    #[track_caller]
    pub(super) fn execute(&self, node: usize, arguments: &[&str]) {
        let reply = self.command::<Value>(node, arguments);
        assert!(reply.is_ok(), "node {node}: {arguments:?}: {reply:?}");
    }
}

/// The first and the last slot of each master.
fn slot_ranges() -> impl Iterator<Item = (u16, u16)> {
    let share = SLOTS.div_ceil(3);
    (0..3).map(move |number| (number * share, ((number + 1) * share - 1).min(SLOTS - 1)))
}
