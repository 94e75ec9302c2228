//! The connection supervisor: a task that owns the connection, connects, and publishes the [`State`].

use std::{convert::Infallible, sync::Arc, time::Duration};

use redis::{PushInfo, PushKind, RedisError, aio::SendError};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, sleep, timeout},
};

use super::{
    address::Address,
    background::{AbortOnDrop, catch_panic},
    call_error::{cannot_begin, describe},
    copies::Copies,
    durability::Durability,
    endpoint::{Endpoint, RedisConnection, connection_config},
    health_checks::{HEALTH_CHECK_TIMEOUT, HealthChecks, is_unusable},
    keys::Keys,
    link::{ConnectionFault, FaultKind, Link, ServerTime, State, UNCONFIRMED},
    pauses::Pauses,
    preconditions::{Greeting, check_permissions},
    recovery::{OTHERS_WRITE_WITHIN, Recovered, Recovery},
    role::{REPLICA, Role},
    skew_monitor::SkewMonitor,
    writes::Writes,
};
use crate::{clock::Clock, telemetry::ServerMetrics};

/// The shortest and the longest time limit of an attempt to connect.
const MIN_CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const MAX_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The number of round trips of an attempt, with room for TLS. A store call has one, within its deadline.
const CONNECT_ROUND_TRIPS: u32 = 8;
/// A connection that lasted this long resets the back-off.
pub(super) const STABLE_AFTER: Duration = Duration::from_secs(1);
/// The time limit for writing recent revocations again.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(10);
/// Size of the write queue. A full queue applies backpressure to callers.
const WRITE_QUEUE: usize = 1024;
/// Size of the queue of reported faults. When it is full, the supervisor has enough reports to act on.
const FAULT_QUEUE: usize = 8;

/// The time limit of an attempt to connect. A server so far away that its replies barely arrive within the deadline of a call can still be
/// connected to.
pub(super) fn connect_timeout(deadline: Duration) -> Duration {
    deadline
        .saturating_mul(CONNECT_ROUND_TRIPS)
        .clamp(MIN_CONNECT_TIMEOUT, MAX_CONNECT_TIMEOUT)
}

/// The result of an attempt to connect.
struct Connected {
    endpoint: Arc<Endpoint>,
    connection: RedisConnection,
    role: Role,
    server_time: Option<ServerTime>,
    /// True if the server reports its replication history.
    has_history: bool,
}

/// What the connections to one server need.
pub(super) struct ServerSettings {
    pub(super) address: Address,
    /// The deadline of every call.
    pub(super) deadline: Duration,
    pub(super) keys: Keys,
    pub(super) clock: Arc<dyn Clock>,
    /// True for a node of a cluster.
    pub(super) in_cluster: bool,
    pub(super) metrics: Arc<ServerMetrics>,
    /// The copies that a revocation waits for, if any.
    pub(super) copies: Option<Copies>,
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
    writes: Arc<Writes>,
    epoch: u64,
}

impl Supervisor {
    /// Starts the task. Returns the published state, the queue for faults, and a guard that ends the task.
    pub(super) fn start(
        settings: ServerSettings,
        skew: Arc<SkewMonitor>,
        writes: Arc<Writes>,
    ) -> (watch::Receiver<State>, mpsc::Sender<ConnectionFault>, AbortOnDrop) {
        let (publish, state) = watch::channel(State::Connecting);
        let (faults, reports) = mpsc::channel(FAULT_QUEUE);
        let supervisor = Self {
            settings,
            publish,
            faults: faults.downgrade(),
            reports,
            skew,
            writes,
            epoch: 0,
        };
        (state, faults, AbortOnDrop(tokio::spawn(supervisor.run())))
    }

    /// Runs until the store is dropped. After a panic, which is a defect, the store continues with a new connection.
    async fn run(mut self) {
        if let Some(start) = self.settings.start.take() {
            let _ = start.await;
        }
        let mut pauses = Pauses::new();
        while catch_panic(self.keep_connected(&mut pauses)).await.is_err() {
            tracing::error!("the connection supervisor panicked and is started again");
            self.skew.forget();
            let reason = "internal error in the connection supervisor".into();
            self.publish(State::Down(reason));
            pauses.wait(&self.settings.address).await;
        }
    }

    /// Publishes the state to callers and to the metrics.
    fn publish(&self, state: State) {
        self.settings.metrics.set_up(matches!(state, State::Up(_)));
        self.publish.send_replace(state);
    }

    /// Connects and reconnects. Returns when the store is dropped.
    async fn keep_connected(&mut self, pauses: &mut Pauses) {
        loop {
            self.epoch += 1;
            match self.connect(pauses).await {
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
                        epoch: self.epoch,
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
                        pauses.reset();
                        self.publish(State::Connecting);
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
            pauses.wait(&self.settings.address).await;
        }
    }

    async fn connect(&self, pauses: &mut Pauses) -> Result<Connected, String> {
        let endpoint = self.settings.address.find().await?;
        pauses.begin_attempt(&endpoint);
        tokio::select! {
            connected = self.connect_and_recover(endpoint.clone()) => connected,
            // The server may never answer.
            () = self.settings.address.superseded(&endpoint) => Err("the address names another server now".to_owned()),
        }
    }

    /// Connects, and recovers the connection: nothing is read over it before its server has the recent revocations of this process.
    async fn connect_and_recover(&self, endpoint: Arc<Endpoint>) -> Result<Connected, String> {
        let mut connected = self.connect_to(endpoint).await?;
        let connection = &mut connected.connection;
        let Recovered { history, distrust } =
            within_limit(self.settings.recovery.recover(connection)).await?;
        if let Some(reason) = distrust {
            tracing::warn!(%reason, "the server is not trusted yet");
            self.publish(State::Down(reason));
            sleep(OTHERS_WRITE_WITHIN).await;
            // The server may have become a replica, or have lost writes again.
            within_limit(self.settings.recovery.write_again(connection)).await?;
            if is_unusable(connection, HEALTH_CHECK_TIMEOUT).await {
                return Err("the server was lost while it was not trusted".into());
            }
        }
        connected.has_history = history.is_some();
        if let Some(history) = history {
            self.settings.recovery.remember(history);
        }
        Ok(connected)
    }

    async fn connect_to(&self, endpoint: Arc<Endpoint>) -> Result<Connected, String> {
        let limit = connect_timeout(self.settings.deadline);
        let (faults, epoch) = (self.faults.clone(), self.epoch);
        let config = connection_config(limit)
            .set_pipeline_buffer_size(WRITE_QUEUE)
            .set_push_sender(move |push: PushInfo| {
                if push.kind == PushKind::Disconnection
                    && let Some(faults) = faults.upgrade()
                {
                    let kind = FaultKind::Broken;
                    let _ = faults.try_send(ConnectionFault { epoch, kind });
                }
                Ok::<_, SendError>(())
            });
        let connecting = async {
            let refused = |error: RedisError| describe(&error);
            let connected = endpoint.connect(&config).await;
            let mut connection = connected.map_err(|error| cannot_begin(&error))?;
            let greeting = Greeting::ask(&mut connection).await.map_err(refused)?;
            greeting.check(self.settings.in_cluster)?;
            if greeting.role == Role::Replica {
                return Err(REPLICA.to_owned());
            }
            check_permissions(
                &mut connection,
                &self.settings.keys,
                self.settings.in_cluster,
                self.settings.copies.as_ref(),
            )
            .await?;
            let server_time = self.skew.measure(&mut connection).await;
            self.settings.durability.check(&mut connection, limit).await;
            Ok(Connected {
                endpoint: endpoint.clone(),
                connection,
                role: greeting.role,
                server_time,
                has_history: false,
            })
        };
        // The library's own timeout does not cover the whole handshake.
        let connected = timeout(limit, connecting).await;
        connected.unwrap_or_else(|_| {
            Err(if endpoint.has_tls() {
                "no answer while connecting with TLS; the port may have no TLS".to_owned()
            } else {
                "no answer while connecting".to_owned()
            })
        })
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
            epoch: self.epoch,
            skew: has_time.then(|| self.skew.clone()),
            recovery: has_history.then(|| self.settings.recovery.clone()),
            durability: self.settings.durability.clone(),
            writes: self.writes.clone(),
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
                fault = self.reports.recv() => fault,
                () = &mut health_checks => return true,
                never = &mut lease_changes => match never {},
            };
            match fault {
                None => return false,
                Some(fault) if fault.epoch != self.epoch => {}
                Some(fault) if fault.kind == FaultKind::Broken => return true,
                Some(_) => {
                    let unusable = tokio::select! {
                        unusable = is_unusable(&mut connection, self.settings.deadline) => unusable,
                        () = &mut superseded => true,
                    };
                    if unusable {
                        return true;
                    }
                }
            }
        }
    }
}

async fn within_limit<T>(recovering: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let recovered = timeout(RECOVERY_TIMEOUT, recovering).await;
    recovered.unwrap_or_else(|_| Err("no answer while recent revocations are written again".into()))
}
