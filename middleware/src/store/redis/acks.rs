//! Revocations that wait for acknowledgements: of replicas (`WAIT`), and of the append-only file of the master (`WAITAOF`).
//!
//! `WAIT` covers the writes of its own connection, and blocks it. So the script and `WAIT` run on a connection of their own.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use redis::{FromRedisValue, RedisError, RedisResult, cmd};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};

use super::{
    call_error::describe,
    endpoint::RedisConnection,
    link::Link,
    role::is_same_server,
    script::{LuaScript, ScriptCall},
};

use crate::sync::lock;

/// The number of idle connections that are kept.
const MAX_IDLE: usize = 8;
/// The number of connections in use at the same time. Further revocations wait for half of the time for acknowledgements, and are then not durable.
const MAX_IN_USE: usize = 32;
/// A longer wait counts as this one: the server refuses a time that its clock cannot reach.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// The acknowledgements that a revocation waits for.
#[derive(Debug, Clone, Copy)]
pub(super) struct AckRequirement {
    pub(super) replicas: u32,
    pub(super) local_disk: bool,
    /// How long a revocation waits, the round trip included.
    pub(super) timeout: Duration,
}

/// Runs scripts and waits for the acknowledgements.
pub(super) struct AckWaiter {
    requirement: AckRequirement,
    places: Arc<Semaphore>,
    /// Idle connections, each with the attempt of the store's connection to the same server.
    idle: Mutex<Vec<(u64, RedisConnection)>>,
    /// Why the last revocation was not durable.
    shortfall: Mutex<Option<String>>,
    /// True if a revocation found all places taken. It is cleared when all are free.
    crowded: AtomicBool,
}

/// A connection in use.
pub(super) struct InUse {
    attempt: u64,
    connection: RedisConnection,
    /// The time that is left for acknowledgements.
    time: Duration,
    _place: OwnedSemaphorePermit,
}

impl AckWaiter {
    pub(super) fn new(requirement: AckRequirement) -> Self {
        Self {
            requirement,
            places: Arc::new(Semaphore::new(MAX_IN_USE)),
            idle: Mutex::default(),
            shortfall: Mutex::default(),
            crowded: AtomicBool::new(false),
        }
    }

    /// A connection to the server of this link: an idle one, or a new one. `None` if too many stay in use.
    pub(super) async fn connection(&self, link: &Link) -> RedisResult<Option<InUse>> {
        let began = Instant::now();
        if self.places.available_permits() == MAX_IN_USE {
            self.crowded.store(false, Ordering::Relaxed);
        }
        let place = timeout(self.requirement.timeout / 2, self.places.clone().acquire_owned());
        let Ok(place) = place.await else {
            if !self.crowded.swap(true, Ordering::Relaxed) {
                tracing::warn!(
                    "more than {MAX_IN_USE} revocations wait for acknowledgements: the others are not durable"
                );
            }
            return Ok(None);
        };
        let time = self.requirement.timeout.saturating_sub(began.elapsed());
        let place = place.map_err(|error| RedisError::from(std::io::Error::other(error)))?;
        let connection = match self.take_idle(link.attempt) {
            Some(connection) => connection,
            None => connect(link).await?,
        };
        Ok(Some(InUse {
            attempt: link.attempt,
            connection,
            time,
            _place: place,
        }))
    }

    /// Runs a script. It must be safe to repeat: if the connection turns out to be closed, it runs on a new one.
    pub(super) async fn write<T: FromRedisValue>(
        &self,
        link: &Link,
        mut on: InUse,
        script: &LuaScript,
        call: &ScriptCall,
        asking: bool,
    ) -> RedisResult<(T, InUse)> {
        match script.run(&mut on.connection, call, None, asking).await {
            Err(error) if error.is_io_error() || error.is_unrecoverable_error() => {
                on.connection = connect(link).await?;
                let reply = script.run(&mut on.connection, call, None, asking).await;
                self.written(on, reply)
            }
            reply => self.written(on, reply),
        }
    }

    fn written<T>(&self, on: InUse, reply: RedisResult<T>) -> RedisResult<(T, InUse)> {
        match reply {
            Ok(reply) => Ok((reply, on)),
            Err(error) => {
                if !error.is_io_error() {
                    self.release(on);
                }
                Err(error)
            }
        }
    }

    /// Waits until every write of the connection is acknowledged. `false` if it is not in time.
    pub(super) async fn confirm(&self, mut used: InUse) -> bool {
        let answer = timeout(used.time, self.wait(&mut used.connection, used.time)).await;
        let shortfall = match answer {
            Ok(Ok(shortfall)) => {
                self.release(used);
                shortfall
            }
            Ok(Err(error)) => {
                if !error.is_io_error() {
                    self.release(used);
                }
                Some(describe(&error))
            }
            Err(_) => Some("the server does not answer WAIT".to_owned()),
        };
        let reached = shortfall.is_none();
        self.record(shortfall);
        reached
    }

    /// Puts a connection back whose commands were all answered.
    pub(super) fn release(&self, used: InUse) {
        let mut idle = lock(&self.idle);
        // It may reach an earlier server than the others.
        if idle.len() < MAX_IDLE && idle.iter().all(|(attempt, _)| *attempt <= used.attempt) {
            idle.push((used.attempt, used.connection));
        }
    }

    fn take_idle(&self, attempt: u64) -> Option<RedisConnection> {
        let mut idle = lock(&self.idle);
        // Connections to an earlier server are closed.
        idle.retain(|(of, _)| *of == attempt);
        idle.pop().map(|(_, connection)| connection)
    }

    /// Returns what is missing. The server waits a little less than the client, so that its answer arrives in time.
    async fn wait(
        &self,
        connection: &mut RedisConnection,
        time: Duration,
    ) -> Result<Option<String>, RedisError> {
        let replicas = self.requirement.replicas;
        let began = Instant::now();
        let limit = (time - time / 10).min(LONGEST_WAIT);
        // 0 would be no limit.
        let millis =
            || u64::try_from(limit.saturating_sub(began.elapsed()).as_millis()).map_or(1, |left| left.max(1));
        if replicas > 0 {
            let mut wait = cmd("WAIT");
            wait.arg(replicas).arg(millis());
            let reached: u32 = wait.query_async(&mut **connection).await?;
            if reached < replicas {
                return Ok(Some(format!("fewer than {replicas} replicas confirm in time")));
            }
        }
        if self.requirement.local_disk {
            let mut wait = cmd("WAITAOF");
            wait.arg(1).arg(0).arg(millis());
            let (local, _replicas): (u32, u32) = wait.query_async(&mut **connection).await?;
            if local < 1 {
                return Ok(Some(
                    "the append-only file of the master is not written in time".into(),
                ));
            }
        }
        Ok(None)
    }

    /// Keeps the result, and logs a change.
    fn record(&self, shortfall: Option<String>) {
        let mut latest = lock(&self.shortfall);
        if *latest != shortfall {
            match &shortfall {
                Some(reason) => {
                    tracing::warn!(%reason, "revocations are not durable: a failover can undo them");
                }
                None => tracing::info!("revocations are durable again"),
            }
            *latest = shortfall;
        }
    }
}

/// Opens a connection to the server of this link.
async fn connect(link: &Link) -> RedisResult<RedisConnection> {
    let mut connection = link.endpoint.connect_within(link.connect_timeout).await?;
    match is_same_server(&mut connection, &mut link.connection.clone()).await? {
        Some(false) => Err(RedisError::from(std::io::Error::other(
            "the address names another server now",
        ))),
        Some(true) | None => Ok(connection),
    }
}
