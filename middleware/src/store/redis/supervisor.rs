//! The task that owns the connection: it alone connects, and publishes what it has.

use std::time::Duration;

use redis::{
    AsyncConnectionConfig, Client, PushInfo, PushKind, RedisError, RedisResult, Value,
    aio::{MultiplexedConnection, SendError},
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const FIRST_BACKOFF: Duration = Duration::from_millis(20);
const LAST_BACKOFF: Duration = Duration::from_millis(500);
/// A connection that lasted this long ends the growth of the back-off.
const STABLE_AFTER: Duration = Duration::from_secs(1);
/// Commands that may wait to be written, before writers wait themselves.
const WRITE_QUEUE: usize = 1024;

#[derive(Clone)]
pub(super) enum State {
    /// The first attempt, or the first one after a loss, is under way: worth waiting for.
    Connecting,
    Up(Link),
    Down(String),
}

#[derive(Clone)]
pub(super) struct Link {
    pub(super) connection: MultiplexedConnection,
    pub(super) epoch: u64,
}

#[derive(Clone, Copy)]
pub(super) struct Trouble {
    pub(super) epoch: u64,
    pub(super) kind: TroubleKind,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum TroubleKind {
    /// A deadline passed.
    Suspect,
    /// The connection is of no use any more.
    Broken,
}

pub(super) struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Owns the connection.
pub(super) struct Supervisor {
    client: Client,
    deadline: Duration,
    publish: watch::Sender<State>,
    troubles: mpsc::WeakSender<Trouble>,
    reports: mpsc::Receiver<Trouble>,
    epoch: u64,
}

impl Supervisor {
    /// Starts the task: what it publishes, where it takes reports, and what ends it when dropped.
    pub(super) fn start(
        client: Client,
        deadline: Duration,
    ) -> (watch::Receiver<State>, mpsc::Sender<Trouble>, AbortOnDrop) {
        let (publish, state) = watch::channel(State::Connecting);
        let (troubles, reports) = mpsc::channel(8);
        let supervisor = Self {
            client,
            deadline,
            publish,
            troubles: troubles.downgrade(),
            reports,
            epoch: 0,
        };
        (state, troubles, AbortOnDrop(tokio::spawn(supervisor.run())))
    }

    async fn run(mut self) {
        let mut backoff = FIRST_BACKOFF;
        loop {
            self.epoch += 1;
            match self.connect().await {
                Ok(connection) => {
                    tracing::info!("connected to Redis");
                    let since = Instant::now();
                    self.publish.send_replace(State::Up(Link {
                        connection: connection.clone(),
                        epoch: self.epoch,
                    }));
                    if !self.watch_over(connection).await {
                        return;
                    }
                    tracing::warn!("lost the connection to Redis");
                    if since.elapsed() >= STABLE_AFTER {
                        backoff = FIRST_BACKOFF;
                        self.publish.send_replace(State::Connecting);
                        continue;
                    }
                    self.publish
                        .send_replace(State::Down("the connection was lost".into()));
                }
                Err(reason) => {
                    let news = !matches!(&*self.publish.borrow(), State::Down(old) if *old == reason);
                    if news {
                        tracing::warn!(%reason, "cannot connect to Redis");
                    }
                    self.publish.send_replace(State::Down(reason));
                }
            }
            sleep(backoff).await;
            backoff = (backoff * 2).min(LAST_BACKOFF);
        }
    }

    async fn connect(&self) -> Result<MultiplexedConnection, String> {
        let (troubles, epoch) = (self.troubles.clone(), self.epoch);
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            // Every call has its own deadline: see `within`.
            .set_response_timeout(None)
            .set_pipeline_buffer_size(WRITE_QUEUE)
            .set_push_sender(move |push: PushInfo| {
                if push.kind == PushKind::Disconnection
                    && let Some(troubles) = troubles.upgrade()
                {
                    let kind = TroubleKind::Broken;
                    let _ = troubles.try_send(Trouble { epoch, kind });
                }
                Ok::<_, SendError>(())
            });
        let connecting = async {
            let mut connection = self
                .client
                .get_multiplexed_async_connection_with_config(&config)
                .await?;
            let role = redis::cmd("ROLE").query_async(&mut connection).await;
            Ok::<_, RedisError>((connection, role))
        };
        // The library's own timeout does not cover all of the handshake.
        match timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(Ok((_, role))) if is_replica(&role) => Err("the server is a replica".to_owned()),
            Ok(Ok((connection, _))) => Ok(connection),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("no answer while connecting".to_owned()),
        }
    }

    /// Returns when the connection is to be replaced; `false` when nobody uses it any more.
    async fn watch_over(&mut self, mut connection: MultiplexedConnection) -> bool {
        while let Some(trouble) = self.reports.recv().await {
            if trouble.epoch != self.epoch {
                continue;
            }
            if trouble.kind == TroubleKind::Broken {
                return true;
            }
            let ping = redis::cmd("PING");
            let answer = timeout(self.deadline, ping.query_async::<Value>(&mut connection)).await;
            match answer {
                Ok(Err(error)) if error.is_io_error() => return true,
                Ok(_) => {}
                Err(_) => return true,
            }
        }
        false
    }
}

/// A replica may not have heard of a revocation yet, so it is not read. Where ROLE is forbidden, the first write tells.
pub(super) fn is_replica(role: &RedisResult<Value>) -> bool {
    match role {
        Ok(Value::Array(role)) => role.first() == Some(&Value::BulkString(b"slave".to_vec())),
        _ => false,
    }
}
