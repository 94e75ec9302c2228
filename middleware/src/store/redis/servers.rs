//! The servers of a store: one, or the masters of a cluster. Each call goes to the server that has its keys.

use std::{future::Future, sync::Arc, time::Duration};

use redis::{Cmd, FromRedisValue, Pipeline, Value};
use tokio::time::timeout;

use super::{
    acks::AckRequirement,
    address::Address,
    call_error::Redirect,
    calls::{Calls, Within},
    cluster::Cluster,
    config::{Location, RedisStoreConfig},
    connection::{Connection, timely},
    durability::Durability,
    keys::Keys,
    recent::RecentRevocations,
    recovery::Recovery,
    request::Request,
    script::{LuaScript, ScriptCall},
    server_info::RedisServerInfo,
    supervisor::ServerSettings,
};
use crate::{
    store::{ClockSkew, StoreError, StoreHealth, StoreWarning},
    telemetry::{ServersMetrics, StoreOperation},
};

/// The connections to the servers. They close when this is dropped.
pub(super) struct Servers {
    calls: Calls,
    /// The acknowledgements that a revocation waits for, if any.
    acks: Option<AckRequirement>,
    /// The limit of a revocation.
    longest_revocation: Duration,
    topology: Topology,
}

enum Topology {
    One(Arc<Connection>),
    Cluster(Cluster),
}

impl Servers {
    /// Starts to connect. Must be called inside a Tokio runtime.
    pub(super) fn open(
        location: Location,
        config: &RedisStoreConfig,
        keys: &Keys,
        recent: &Arc<RecentRevocations>,
    ) -> Self {
        let metrics = Arc::new(ServersMetrics::new());
        let recovery = Recovery::new(keys.clone(), recent.clone(), config.require_durable_store);
        let acks = config.waits_for_acks().then_some(AckRequirement {
            replicas: config.min_replicas_ack,
            local_disk: config.ack_local_disk,
            timeout: config.ack_timeout,
        });
        let require_durable = config.require_durable_store;
        let cluster_keys = keys.clone();
        let in_cluster = matches!(location, Location::Cluster(_));
        let (deadline, keys, clock, of_server) = (
            config.timeout,
            keys.clone(),
            config.clock.clone(),
            metrics.clone(),
        );
        let open = move |address: Address| ServerSettings {
            address,
            deadline,
            keys: keys.clone(),
            clock: clock.clone(),
            in_cluster,
            node_id: None,
            metrics: of_server.server(),
            acks,
            recovery: Arc::new(recovery.for_server()),
            durability: Arc::new(Durability::new(require_durable)),
            start: None,
        };
        let topology = match location {
            Location::One(address) => Topology::One(Arc::new(Connection::open(open(address)))),
            Location::Cluster(cluster) => Topology::Cluster(Cluster::open(
                cluster,
                Box::new(open),
                cluster_keys,
                deadline,
                &metrics,
            )),
        };
        Self {
            calls: Calls::new(config.timeout),
            acks,
            longest_revocation: config.longest_revocation(),
            topology,
        }
    }

    /// The deadline of a store call.
    pub(super) const fn deadline(&self) -> Duration {
        self.calls.deadline()
    }

    /// The time after which a timely script must not run.
    pub(super) const fn timely(&self) -> Duration {
        timely(self.deadline())
    }

    /// Applies the deadline to a store call, and measures it. A command that was sent may still run after it.
    pub(super) fn within<F: Future>(&self, operation: StoreOperation, call: F) -> Within<'_, F> {
        self.calls.within(operation, call)
    }

    /// Like [`within`](Self::within), for a revocation, which may wait for acknowledgements.
    pub(super) fn within_durably<F: Future>(&self, operation: StoreOperation, call: F) -> Within<'_, F> {
        self.calls.within_limit(operation, self.longest_revocation, call)
    }

    /// Applies the deadline to a read of a call that may wait for acknowledgements.
    pub(super) async fn before_deadline<T>(
        &self,
        read: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let read = timeout(self.deadline(), read).await;
        read.unwrap_or(Err(StoreError::Timeout))
    }

    /// True if revocations wait for acknowledgements.
    pub(super) const fn waits_for_acks(&self) -> bool {
        self.acks.is_some()
    }

    /// Sends a command whose second word is a key. It must be idempotent: in a cluster, it is sent again if its hash slot moves meanwhile.
    pub(super) async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        self.call(Request::Command(command)).await
    }

    /// Runs a script by its hash, or by its text if the server has not cached it.
    pub(super) async fn script<T: FromRedisValue>(
        &self,
        script: &LuaScript,
        call: &ScriptCall,
    ) -> Result<T, StoreError> {
        self.call(Request::Script(script, call)).await
    }

    /// Runs a script that revokes, and waits for the acknowledgements if its reply shows a revocation. `None` if
    /// the store waits for none.
    pub(super) async fn script_durably<T: FromRedisValue>(
        &self,
        script: &LuaScript,
        call: &ScriptCall,
        revoked: impl Fn(&T) -> bool,
    ) -> Result<(T, Option<bool>), StoreError> {
        match &self.topology {
            Topology::One(connection) => Ok(connection.script_durably(script, call, &revoked, false).await?),
            Topology::Cluster(cluster) => cluster.script_durably(script, call, &revoked).await,
        }
    }

    async fn call<T: FromRedisValue>(&self, request: Request<'_>) -> Result<T, StoreError> {
        match &self.topology {
            Topology::One(connection) => Ok(connection.call(request, false).await?),
            // Boxed: otherwise each read from one server would allocate and move the state of this future too.
            Topology::Cluster(cluster) => Box::pin(cluster.call(request)).await,
        }
    }

    /// Sends commands in one round trip. A WRONGTYPE error is returned among the replies, so that one record does not fail the others.
    pub(super) async fn pipeline(&self, pipeline: &Pipeline) -> Result<Vec<Value>, StoreError> {
        match &self.topology {
            Topology::One(connection) => {
                let replies = connection.pipeline(pipeline).await?;
                match replies.iter().find_map(Redirect::of_reply) {
                    Some(_) => Err(StoreError::Unavailable(
                        "the server is a node of a cluster".into(),
                    )),
                    None => Ok(replies),
                }
            }
            Topology::Cluster(cluster) => cluster.pipeline(pipeline).await,
        }
    }

    /// Calls `f` with the connection to the server that has the sessions of a bucket now. `None` if no server has them.
    ///
    /// The connection is lent: with one server, threads with cache hits would otherwise contend for its reference count.
    pub(super) fn with_owner<T>(&self, bucket: u16, f: impl FnOnce(&Arc<Connection>) -> T) -> Option<T> {
        match &self.topology {
            Topology::One(connection) => Some(f(connection)),
            Topology::Cluster(cluster) => Some(f(&cluster.owner(bucket)?)),
        }
    }

    /// Calls `f` with each server that has sessions.
    pub(super) fn for_each(&self, f: impl FnMut(&Connection)) {
        match &self.topology {
            Topology::One(connection) => std::iter::once(&**connection).for_each(f),
            Topology::Cluster(cluster) => cluster.for_each(f),
        }
    }

    /// Asks each server to describe itself. The answers, in no order.
    pub(super) async fn describe_each(&self) -> Result<Vec<RedisServerInfo>, StoreError> {
        match &self.topology {
            Topology::One(connection) => Ok(vec![connection.describe().await?]),
            Topology::Cluster(cluster) => cluster.describe_each().await,
        }
    }

    /// True if two requests are executed in the order in which they are sent.
    pub(super) const fn keeps_order(&self) -> bool {
        matches!(self.topology, Topology::One(_))
    }

    /// The error of a timely script that ran too late.
    pub(super) fn too_late(&self, call: &ScriptCall) -> StoreError {
        match &self.topology {
            Topology::One(connection) => connection.reconnect_after_late_script(),
            Topology::Cluster(cluster) => cluster.reconnect_after_late_script(call),
        }
        StoreError::Timeout
    }

    /// Checks that all servers answer and are masters.
    pub(super) async fn probe(&self) -> Result<(), StoreError> {
        match &self.topology {
            Topology::One(connection) => connection.probe().await,
            Topology::Cluster(cluster) => cluster.probe().await,
        }
    }

    /// Like [`probe`](Self::probe), and checks whether the servers accept writes.
    pub(super) async fn health(&self) -> Result<StoreHealth, StoreError> {
        match &self.topology {
            Topology::One(connection) => connection.health().await,
            Topology::Cluster(cluster) => cluster.health().await,
        }
    }

    /// The findings on all servers, each once.
    pub(super) fn warnings(&self) -> Vec<StoreWarning> {
        let mut all = Vec::new();
        self.for_each(|connection| {
            let cache = connection.cache.get();
            let no_tracking = cache
                .filter(|cache| cache.refuses_tracking())
                .map(|_| StoreWarning::NoTracking);
            for warning in connection.durability.warnings().into_iter().chain(no_tracking) {
                if !all.contains(&warning) {
                    all.push(warning);
                }
            }
        });
        all
    }

    /// The latest clock skew: in a cluster, the largest.
    pub(super) fn clock_skew(&self) -> Option<ClockSkew> {
        match &self.topology {
            Topology::One(connection) => connection.skew.latest(),
            Topology::Cluster(cluster) => cluster.clock_skew(),
        }
    }
}
