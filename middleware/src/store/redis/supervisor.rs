//! The connection supervisor: a task that owns the connection, connects, and publishes the [`State`].

mod connect;

use std::{convert::Infallible, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot, watch},
    time::Instant,
};

pub(super) use self::connect::connect_timeout;

use self::connect::Connected;
use super::{
    acks::AckRequirement,
    address::Address,
    background::{AbortOnDrop, catch_panic},
    connect_backoff::ConnectBackoff,
    durability::Durability,
    endpoint::{Endpoint, RedisConnection},
    health_checks::{HEALTH_CHECK_TIMEOUT, HealthChecks, is_unusable},
    keys::Keys,
    link::{ConnectionFault, FaultKind, Link, State, UNCONFIRMED},
    recovery::Recovery,
    role::Role,
    skew_monitor::SkewMonitor,
    write_probe::WriteProbe,
};
use crate::{clock::Clock, telemetry::ServerMetrics};

/// A connection that lasted this long resets the back-off.
pub(super) const STABLE_AFTER: Duration = Duration::from_secs(1);
/// Size of the queue of reported faults. When it is full, the supervisor has enough reports to act on.
const FAULT_QUEUE: usize = 8;

/// What the connections to one server need.
pub(super) struct ServerSettings {
    pub(super) address: Address,
    /// The deadline of every call.
    pub(super) deadline: Duration,
    pub(super) keys: Keys,
    pub(super) clock: Arc<dyn Clock>,
    /// True for a node of a cluster.
    pub(super) in_cluster: bool,
    /// The id of the node that is expected at the address. `None` without a cluster.
    pub(super) node_id: Option<String>,
    pub(super) metrics: Arc<ServerMetrics>,
    /// The acknowledgements that a revocation waits for, if any.
    pub(super) acks: Option<AckRequirement>,
    pub(super) recovery: Arc<Recovery>,
    pub(super) durability: Arc<Durability>,
    /// The first attempt begins when the sender is dropped.
    pub(super) start: Option<oneshot::Receiver<Infallible>>,
}

pub(super) struct Supervisor {
    settings: ServerSettings,
    publish: watch::Sender<State>,
    faults: mpsc::WeakSender<ConnectionFault>,
    reports: mpsc::Receiver<ConnectionFault>,
    skew: Arc<SkewMonitor>,
    write_probe: Arc<WriteProbe>,
    attempt: u64,
}

impl Supervisor {
    /// Starts the task. Returns the published state, the queue for faults, and a guard that ends the task.
    pub(super) fn start(
        settings: ServerSettings,
        skew: Arc<SkewMonitor>,
        write_probe: Arc<WriteProbe>,
    ) -> (watch::Receiver<State>, mpsc::Sender<ConnectionFault>, AbortOnDrop) {
        let (publish, state) = watch::channel(State::Connecting);
        let (faults, reports) = mpsc::channel(FAULT_QUEUE);
        let supervisor = Self {
            settings,
            publish,
            faults: faults.downgrade(),
            reports,
            skew,
            write_probe,
            attempt: 0,
        };
        (state, faults, AbortOnDrop(tokio::spawn(supervisor.run())))
    }

    /// Runs until the store is dropped. After a panic, which is a defect, the store continues with a new connection.
    async fn run(mut self) {
        if let Some(start) = self.settings.start.take() {
            let _ = start.await;
        }
        let mut backoff = ConnectBackoff::new();
        while catch_panic(self.keep_connected(&mut backoff)).await.is_err() {
            tracing::error!("the connection supervisor panicked and is started again");
            self.skew.forget();
            let reason = "internal error in the connection supervisor".into();
            self.publish(State::Down(reason));
            backoff.wait(&self.settings.address).await;
        }
    }

    /// Publishes the state to callers and to the metrics.
    fn publish(&self, state: State) {
        self.settings.metrics.set_up(matches!(state, State::Up(_)));
        self.publish.send_replace(state);
    }

    /// Connects and reconnects. Returns when the store is dropped.
    async fn keep_connected(&mut self, backoff: &mut ConnectBackoff) {
        loop {
            self.attempt += 1;
            match self.connect(backoff).await {
                Ok(Connected {
                    endpoint,
                    connection,
                    role,
                    server_time,
                    has_history,
                }) => {
                    tracing::info!("connected to Redis");
                    if role == Role::Unknown {
                        tracing::warn!(
                            "the server does not say whether it is a replica: a replica is detected only by a failed write"
                        );
                    }
                    let since = Instant::now();
                    self.publish(State::Up(Link {
                        connection: connection.clone(),
                        lease: endpoint.lease().clone(),
                        endpoint: endpoint.clone(),
                        attempt: self.attempt,
                        since,
                        server_time,
                        connect_timeout: connect_timeout(self.settings.deadline),
                    }));
                    if !self
                        .wait_for_failure(&endpoint, connection, server_time.is_some(), has_history)
                        .await
                    {
                        return;
                    }
                    tracing::warn!("lost the connection to Redis");
                    self.skew.forget();
                    if since.elapsed() >= STABLE_AFTER {
                        backoff.reset();
                        self.publish(if endpoint.lease().holds() {
                            State::Connecting
                        } else {
                            State::Down(UNCONFIRMED.into())
                        });
                        continue;
                    }
                    self.publish(State::Down("the connection was lost".into()));
                }
                Err(reason) => {
                    self.skew.forget();
                    let is_logged = matches!(&*self.publish.borrow(), State::Down(old) if *old == reason);
                    if !is_logged {
                        tracing::warn!(%reason, "cannot connect to Redis");
                    }
                    self.publish(State::Down(reason));
                }
            }
            backoff.wait(&self.settings.address).await;
        }
    }

    /// Waits until the connection has to be replaced. Returns `false` when the store is dropped.
    async fn wait_for_failure(
        &mut self,
        endpoint: &Arc<Endpoint>,
        mut connection: RedisConnection,
        has_time: bool,
        has_history: bool,
    ) -> bool {
        let address = self.settings.address.clone();
        let superseded = address.superseded(endpoint);
        tokio::pin!(superseded);
        let health_checks = HealthChecks {
            connection: connection.clone(),
            endpoint: endpoint.clone(),
            attempt: self.attempt,
            skew: has_time.then(|| self.skew.clone()),
            recovery: has_history.then(|| self.settings.recovery.clone()),
            durability: self.settings.durability.clone(),
            write_probe: self.write_probe.clone(),
            limit: HEALTH_CHECK_TIMEOUT.max(self.settings.deadline),
        };
        let health_checks = health_checks.run();
        tokio::pin!(health_checks);
        let (lease, metrics) = (endpoint.lease(), self.settings.metrics.clone());
        let lease_changes = lease.watch(|holds| {
            metrics.set_up(holds);
            if holds {
                tracing::info!(server = %endpoint.server(), "a majority confirms the master again");
            } else {
                tracing::warn!(server = %endpoint.server(), "{UNCONFIRMED}: requests are rejected");
            }
        });
        tokio::pin!(lease_changes);
        loop {
            let fault = tokio::select! {
                biased;
                () = &mut superseded => {
                    tracing::warn!(server = %endpoint.server(), "the address names another server now");
                    return true;
                }
                () = &mut health_checks => return true,
                () = address.unconfirmed(endpoint) => return true,
                never = &mut lease_changes => match never {},
                // The last one: while calls miss their deadline, there is always a report.
                fault = self.reports.recv() => fault,
            };
            match fault {
                None => return false,
                Some(fault) if fault.attempt != self.attempt => {}
                Some(fault) if fault.kind == FaultKind::Broken => return true,
                Some(_) => {
                    let unusable = tokio::select! {
                        unusable = is_unusable(&mut connection, self.settings.deadline) => unusable,
                        () = &mut superseded => true,
                        () = &mut health_checks => true,
                    };
                    if unusable {
                        return true;
                    }
                }
            }
        }
    }
}
