//! Places for the keys of a test, on each kind of Redis.

use std::{
    any::Any,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use tower_session_auth::store::RedisStoreConfig;

use super::{Cluster, TestRedis, backend::variable};

/// Keeps a shared server running.
pub type Guard = Arc<dyn Any + Send + Sync>;

/// A kind of Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topology {
    /// One server, of the back-end that `TEST_REDIS` chooses.
    Single,
    /// A cluster of three masters, each with a replica.
    Cluster,
    /// One Valkey server.
    Valkey,
    /// A Valkey cluster of three masters.
    ValkeyCluster,
}

/// A part of a shared Redis that no other test uses: a database, or on a cluster, which has only one, a prefix of the keys.
#[derive(Clone)]
pub struct Keyspace {
    pub url: String,
    /// The prefix of every key. It is empty on a single server.
    pub key_prefix: String,
    pub server: Guard,
}

impl Topology {
    /// The kind that `TEST_REDIS_TOPOLOGY` names: `single`, which is the default, `cluster`, `valkey` or `valkey-cluster`.
    ///
    /// # Panics
    /// If it names another one.
    #[must_use]
    #[track_caller]
    pub fn chosen() -> Self {
        match variable("TEST_REDIS_TOPOLOGY").as_deref() {
            None | Some("single") => Self::Single,
            Some("cluster") => Self::Cluster,
            Some("valkey") => Self::Valkey,
            Some("valkey-cluster") => Self::ValkeyCluster,
            Some(other) => {
                panic!("TEST_REDIS_TOPOLOGY is single, cluster, valkey or valkey-cluster, not `{other}`")
            }
        }
    }

    /// An unused keyspace, or `None` if the tests about Valkey are skipped.
    #[track_caller]
    pub fn keyspace(self) -> Option<Keyspace> {
        Some(match self {
            Self::Single => Keyspace::database(TestRedis::shared()),
            Self::Valkey => Keyspace::database(TestRedis::shared_valkey()?),
            Self::Cluster => Keyspace::prefix(Cluster::shared()),
            Self::ValkeyCluster => Keyspace::prefix(Cluster::shared_valkey()?),
        })
    }
}

impl Keyspace {
    /// An unused keyspace of the kind that `TEST_REDIS_TOPOLOGY` names.
    ///
    /// # Panics
    /// If there is no such Redis.
    #[track_caller]
    pub fn fresh() -> Self {
        let topology = Topology::chosen();
        topology
            .keyspace()
            .unwrap_or_else(|| panic!("{topology:?} is chosen and not available"))
    }

    /// The configuration of a store in this keyspace.
    #[must_use]
    pub fn config(&self) -> RedisStoreConfig {
        let mut config = RedisStoreConfig::new(&self.url);
        config.key_prefix.clone_from(&self.key_prefix);
        config
    }

    #[track_caller]
    fn database(server: Arc<TestRedis>) -> Self {
        Self {
            url: server.fresh_database(),
            key_prefix: String::new(),
            server,
        }
    }

    fn prefix(cluster: Arc<Cluster>) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        Self {
            url: cluster.url(),
            key_prefix: format!("t{}:", COUNT.fetch_add(1, Ordering::Relaxed)),
            server: cluster,
        }
    }
}
