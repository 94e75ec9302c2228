//! One attempt to connect: the handshake, the checks of the server, and its recovery.

use std::{sync::Arc, time::Duration};

use redis::{PushInfo, PushKind, RedisError, aio::SendError};
use tokio::time::{sleep, timeout};

use super::{
    super::{
        call_error::{cannot_begin, describe},
        connect_backoff::ConnectBackoff,
        endpoint::{Endpoint, RedisConnection, connection_config},
        health_checks::{HEALTH_CHECK_TIMEOUT, is_unusable},
        link::{ConnectionFault, FaultKind, ServerTime, State},
        preconditions::{Greeting, check_node_id, check_permissions},
        recovery::{OTHERS_WRITE_WITHIN, Recovered},
        role::{REPLICA, Role},
    },
    Supervisor,
};

/// The shortest and the longest time limit of an attempt to connect.
const MIN_CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const MAX_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The number of round trips of an attempt, with room for TLS. A store call has one, within its deadline.
const CONNECT_ROUND_TRIPS: u32 = 8;
/// The time limit for writing recent revocations again.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(10);
/// Size of the write queue. A full queue applies backpressure to callers.
const WRITE_QUEUE: usize = 1024;

/// The time limit of an attempt to connect. A server so far away that its replies barely arrive within the deadline of a call can still be
/// connected to.
pub(in super::super) fn connect_timeout(deadline: Duration) -> Duration {
    deadline
        .saturating_mul(CONNECT_ROUND_TRIPS)
        .clamp(MIN_CONNECT_TIMEOUT, MAX_CONNECT_TIMEOUT)
}

/// The result of an attempt to connect.
pub(super) struct Connected {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) connection: RedisConnection,
    pub(super) role: Role,
    pub(super) server_time: Option<ServerTime>,
    /// True if the server reports its replication history.
    pub(super) has_history: bool,
}

impl Supervisor {
    /// Makes one attempt to connect.
    pub(super) async fn connect(&self, backoff: &mut ConnectBackoff) -> Result<Connected, String> {
        let endpoint = self.settings.address.find().await?;
        backoff.begin_attempt(&endpoint);
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
            self.settings.recovery.trust();
        }
        connected.has_history = history.is_some();
        if let Some(history) = history {
            self.settings.recovery.remember(history);
        }
        Ok(connected)
    }

    async fn connect_to(&self, endpoint: Arc<Endpoint>) -> Result<Connected, String> {
        let limit = connect_timeout(self.settings.deadline);
        let (faults, attempt) = (self.faults.clone(), self.attempt);
        let config = connection_config(limit)
            .set_pipeline_buffer_size(WRITE_QUEUE)
            .set_push_sender(move |push: PushInfo| {
                if push.kind == PushKind::Disconnection
                    && let Some(faults) = faults.upgrade()
                {
                    let kind = FaultKind::Broken;
                    let _ = faults.try_send(ConnectionFault { attempt, kind });
                }
                Ok::<_, SendError>(())
            });
        let connecting = async {
            let refused = |error: RedisError| describe(&error);
            let connected = endpoint.connect(&config).await;
            let mut connection = connected.map_err(|error| cannot_begin(&error))?;
            let greeting = Greeting::ask(&mut connection).await.map_err(refused)?;
            greeting.check(self.settings.in_cluster)?;
            if let Some(id) = &self.settings.node_id {
                check_node_id(&mut connection, id).await?;
            }
            if greeting.role == Role::Replica {
                return Err(REPLICA.to_owned());
            }
            check_permissions(
                &mut connection,
                &self.settings.keys,
                self.settings.in_cluster,
                self.settings.acks.as_ref(),
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
}

async fn within_limit<T>(recovering: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let recovered = timeout(RECOVERY_TIMEOUT, recovering).await;
    recovered.unwrap_or_else(|_| Err("no answer while recent revocations are written again".into()))
}
