//! The task that owns the connection: it alone connects, and publishes what it has.

use std::time::Duration;

use redis::{
    AsyncConnectionConfig, Client, PushInfo, PushKind, RedisError, RedisResult,
    aio::{MultiplexedConnection, SendError},
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

use super::role::{REPLICA, Role, describe};

pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
pub(super) const FIRST_BACKOFF: Duration = Duration::from_millis(20);
pub(super) const LAST_BACKOFF: Duration = Duration::from_millis(500);
/// A connection that lasted this long ends the growth of the back-off.
pub(super) const STABLE_AFTER: Duration = Duration::from_secs(1);
/// How often a connection is asked whether it still leads to a server that may be read.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// How long the answer is waited for, or as long as callers wait: a server that is slow for a moment need not be left.
const HEARTBEAT_PATIENCE: Duration = Duration::from_secs(1);
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
    pub(super) since: Instant,
    /// `None` where TIME is forbidden.
    pub(super) server_time: Option<ServerTime>,
}

/// What time it was on the server when it was asked.
#[derive(Clone, Copy)]
pub(super) struct ServerTime {
    millis: u64,
    asked: Instant,
}

impl ServerTime {
    fn read(reply: &(u64, u64), asked: Instant) -> Self {
        let millis = reply.0.saturating_mul(1000).saturating_add(reply.1 / 1000);
        Self { millis, asked }
    }

    /// What time it is there now, give or take the way there and back.
    pub(super) fn now_millis(self) -> u64 {
        let since = u64::try_from(self.asked.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.millis.saturating_add(since)
    }
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
                Ok((connection, role, server_time)) => {
                    tracing::info!("connected to Redis");
                    if role == Role::Unknown {
                        tracing::warn!(
                            "the server does not say whether it is a replica: one is read until something is written"
                        );
                    }
                    let since = Instant::now();
                    self.publish.send_replace(State::Up(Link {
                        connection: connection.clone(),
                        epoch: self.epoch,
                        since,
                        server_time,
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

    async fn connect(&self) -> Result<(MultiplexedConnection, Role, Option<ServerTime>), String> {
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
            let role = Role::ask(&mut connection).await?;
            let time: RedisResult<(u64, u64)> = redis::cmd("TIME").query_async(&mut connection).await;
            let time = time.ok().map(|time| ServerTime::read(&time, Instant::now()));
            Ok::<_, RedisError>((connection, role, time))
        };
        // The library's own timeout does not cover all of the handshake.
        match timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(Ok((_, Role::Replica, _))) => Err(REPLICA.to_owned()),
            Ok(Ok(connected)) => Ok(connected),
            Ok(Err(error)) => Err(describe(&error)),
            Err(_) => Err("no answer while connecting".to_owned()),
        }
    }

    /// Returns when the connection is to be replaced; `false` when nobody uses it any more.
    async fn watch_over(&mut self, mut connection: MultiplexedConnection) -> bool {
        let heartbeat = heartbeat(connection.clone(), HEARTBEAT_PATIENCE.max(self.deadline));
        tokio::pin!(heartbeat);
        loop {
            let trouble = tokio::select! {
                biased;
                trouble = self.reports.recv() => trouble,
                () = &mut heartbeat => return true,
            };
            match trouble {
                None => return false,
                Some(trouble) if trouble.epoch != self.epoch => {}
                Some(trouble) if trouble.kind == TroubleKind::Broken => return true,
                Some(_) if is_useless(&mut connection, self.deadline).await => return true,
                Some(_) => {}
            }
        }
    }
}

/// Returns when the connection is of no use any more, whether anybody uses it or not.
async fn heartbeat(mut connection: MultiplexedConnection, patience: Duration) {
    loop {
        sleep(HEARTBEAT).await;
        if is_useless(&mut connection, patience).await {
            return;
        }
    }
}

/// Whether the connection broke or hangs, or leads to a server that may not be read.
async fn is_useless(connection: &mut MultiplexedConnection, patience: Duration) -> bool {
    match timeout(patience, Role::ask(connection)).await {
        Ok(Ok(role)) => role == Role::Replica,
        Ok(Err(error)) => error.is_io_error(),
        Err(_) => true,
    }
}
