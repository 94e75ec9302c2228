//! The servers of a round, and the faults of a master.

use session_auth_tests::{
    fixtures::agent,
    redis::{Cluster, Partition, Sentinels, command},
};
use tower_session_auth::AgentId;

/// The master that fails, and its replica.
const MASTER: usize = 0;
const REPLICA: usize = 3;

/// What happens to the master.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL. It never returns.
    Kill,
    /// SIGSTOP, until it was replaced.
    Stop,
    /// The sentinels, or the other nodes of the cluster, cannot reach it. Clients can.
    Partition,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Sentinel,
    Cluster,
}

/// A master with one replica.
pub enum Servers {
    Sentinel(Box<Sentinels>, Partition),
    Cluster(Box<Cluster>),
}

/// All functions block for a short time.
impl Servers {
    pub fn start(kind: Kind) -> Self {
        match kind {
            Kind::Sentinel => {
                let sentinels = Box::new(Sentinels::start());
                let partition = Partition::prepare(&sentinels);
                Self::Sentinel(sentinels, partition)
            }
            Kind::Cluster => {
                let builder = Cluster::builder().node_timeout_ms(1_000).can_isolate();
                Self::Cluster(Box::new(builder.without_full_coverage().start()))
            }
        }
    }

    /// The URL of a store.
    pub fn url(&self) -> String {
        match self {
            Self::Sentinel(sentinels, partition) => partition.url(&sentinels.ports()),
            Self::Cluster(cluster) => cluster.cluster_url_of_user(),
        }
    }

    /// The URL of the old master alone.
    pub fn url_of_the_old_master(&self) -> String {
        match self {
            Self::Sentinel(_, partition) => partition.url_of_the_old_master().to_owned(),
            Self::Cluster(cluster) => cluster.url_of_user(MASTER),
        }
    }

    /// The URL of the replica alone, which becomes the master.
    pub fn url_of_the_replica(&self) -> String {
        match self {
            Self::Sentinel(sentinels, _) => sentinels.replica.url(),
            Self::Cluster(cluster) => cluster.node(REPLICA).url(),
        }
    }

    /// True if the master has the sessions of this agent.
    pub fn is_on_the_master(&self, agent: AgentId) -> bool {
        match self {
            Self::Sentinel(..) => true,
            Self::Cluster(cluster) => cluster.owner(&format!("{{{:04x}}}", agent.bucket())) == MASTER,
        }
    }

    /// An agent whose sessions are on the master.
    pub fn agent(&self) -> AgentId {
        loop {
            let agent = agent();
            if self.is_on_the_master(agent) {
                return agent;
            }
        }
    }

    /// Waits until the replica has every write of the master.
    pub fn replicate(&self) {
        let copied: u32 = command(&self.url_of_the_old_master(), &["WAIT", "1", "4000"]).unwrap();
        assert_eq!(copied, 1, "the replica does not answer");
    }

    /// Pauses the replica and cuts it off from the master, so that it lacks every later write.
    pub fn stop_replication(&mut self) {
        match self {
            Self::Sentinel(sentinels, _) => sentinels.stop_replication(),
            Self::Cluster(cluster) => {
                cluster.pause(REPLICA);
                cluster
                    .command::<redis::Value>(MASTER, &["CLIENT", "KILL", "TYPE", "replica"])
                    .unwrap();
            }
        }
    }

    /// Begins the fault. A paused replica then continues.
    pub fn begin(&mut self, fault: Fault) {
        match self {
            Self::Sentinel(sentinels, partition) => {
                match fault {
                    Fault::Kill => sentinels.master.kill(),
                    Fault::Stop => sentinels.master.pause(),
                    Fault::Partition => partition.isolate_master(),
                }
                sentinels.replica.resume();
            }
            Self::Cluster(cluster) => {
                match fault {
                    Fault::Kill => cluster.kill(MASTER),
                    Fault::Stop => cluster.pause(MASTER),
                    Fault::Partition => cluster.isolate(MASTER),
                }
                cluster.resume(REPLICA);
            }
        }
    }

    /// True if no failover has happened.
    pub fn is_untouched(&self) -> bool {
        let named = match self {
            Self::Sentinel(sentinels, _) => sentinels.named_master() == sentinels.master.port(),
            Self::Cluster(_) => true,
        };
        named && is_master(&self.url_of_the_old_master())
    }

    /// True if the replica is the master, by its own word.
    pub fn is_promoted(&self) -> bool {
        is_master(&self.url_of_the_replica())
    }

    /// True if the old master answers clients.
    pub fn old_master_answers(&self) -> bool {
        let key = match self {
            Self::Sentinel(..) => "any",
            // In a slot of the first node.
            Self::Cluster(_) => "{bar}",
        };
        command::<redis::Value>(&self.url_of_the_old_master(), &["GET", key]).is_ok()
    }

    /// Waits until all sentinels, or all nodes that can be reached, name the new master.
    pub fn wait_until_announced(&self) {
        match self {
            Self::Sentinel(sentinels, _) => sentinels.wait_for_master(sentinels.replica.port()),
            Self::Cluster(cluster) => {
                assert_eq!(cluster.wait_for_failover("{bar}", MASTER), REPLICA);
            }
        }
    }

    /// Lets a stopped master continue. The others stay as they are.
    pub fn resume(&mut self, fault: Fault) {
        if fault == Fault::Stop {
            match self {
                Self::Sentinel(sentinels, _) => sentinels.master.resume(),
                Self::Cluster(cluster) => cluster.resume(MASTER),
            }
        }
    }
}

fn is_master(url: &str) -> bool {
    let role: Vec<redis::Value> = command(url, &["ROLE"]).unwrap_or_default();
    matches!(role.first(), Some(redis::Value::BulkString(name)) if name == b"master")
}
