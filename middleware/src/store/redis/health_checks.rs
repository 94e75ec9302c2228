//! The health checks of a connection in use.

use std::{sync::Arc, time::Duration};

use redis::{ErrorKind, ServerErrorKind};
use tokio::time::{sleep, timeout};

use super::{
    durability::Durability,
    endpoint::{Endpoint, RedisConnection},
    history::History,
    recovery::Recovery,
    role::Role,
    skew_monitor::SkewMonitor,
    write_probe::WriteProbe,
};

/// The number of health checks from one question for eviction policy and persistence to the next.
const DURABILITY_CHECKS: u64 = 10;
const HEALTH_CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// The minimum time that a health check waits for its reply. A short pause of the server does not break its connection.
pub(super) const HEALTH_CHECK_TIMEOUT: Duration = Duration::from_secs(1);

/// The health checks of a connection in use.
pub(super) struct HealthChecks {
    pub(super) connection: RedisConnection,
    /// The server that it reaches, for the connection of the write probes.
    pub(super) endpoint: Arc<Endpoint>,
    /// The number of the connection attempt.
    pub(super) attempt: u64,
    /// `None` if the user may not call `TIME`.
    pub(super) skew: Option<Arc<SkewMonitor>>,
    /// `None` if the server does not report its replication history.
    pub(super) recovery: Option<Arc<Recovery>>,
    pub(super) durability: Arc<Durability>,
    pub(super) write_probe: Arc<WriteProbe>,
    /// The time that each check waits for its reply.
    pub(super) limit: Duration,
}

impl HealthChecks {
    /// Checks a connection at intervals, also while it is idle, whether it accepts writes, and the clock skew and the replication history
    /// unless the user may not ask for them. Returns when a check fails.
    pub(super) async fn run(self) {
        let Self {
            mut connection,
            endpoint,
            attempt,
            skew,
            recovery,
            durability,
            write_probe,
            limit,
        } = self;
        for number in 1_u64.. {
            sleep(HEALTH_CHECK_INTERVAL).await;
            if is_unusable(&mut connection, limit).await {
                return;
            }
            if let Some(skew) = &skew
                && timeout(limit, skew.measure(&mut connection)).await.is_err()
            {
                return;
            }
            if let Some(recovery) = &recovery {
                match timeout(limit, History::ask(&mut connection)).await {
                    Ok(Ok(Some(history))) => recovery.remember(history),
                    Ok(_) => {}
                    Err(_) => return,
                }
            }
            if number.is_multiple_of(DURABILITY_CHECKS) {
                durability.check(&mut connection, limit).await;
            }
            // A refusal is logged. A replica whose role `HELLO` does not show answers READONLY.
            if let Err(error) = write_probe.check(&endpoint, attempt, limit).await
                && error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly)
            {
                return;
            }
        }
    }
}

/// True if the connection is broken, does not answer, or reaches a replica.
pub(super) async fn is_unusable(connection: &mut RedisConnection, limit: Duration) -> bool {
    match timeout(limit, Role::query(connection)).await {
        Ok(Ok(role)) => role == Role::Replica,
        Ok(Err(error)) => error.is_io_error(),
        Err(_) => true,
    }
}
