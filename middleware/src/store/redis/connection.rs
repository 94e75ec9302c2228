//! One multiplexed connection that is replaced, in the background, as soon as it fails.
//!
//! A supervisor task owns the connection and is the only one that connects. Callers take what it published: a connection,
//! or the news that there is none, at once. It learns of a loss from the disconnection push of the client library, and of a
//! hung connection from callers whose deadline passed: then it sends a PING of its own. Every failure to connect, of whatever
//! kind (refused, wrong password, loading), is followed by another attempt.
//!
//! The library's `ConnectionManager` is not used: it stays broken after a reconnection that failed with anything but an I/O
//! error, and ignores its response timeout while it reconnects.

use std::{future::Future, sync::Arc, time::Duration};

use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, FromRedisValue, Pipeline, PushInfo, PushKind, RedisError,
    RedisResult, Script, ServerErrorKind, Value,
    aio::{MultiplexedConnection, SendError},
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

use crate::store::StoreError;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const FIRST_BACKOFF: Duration = Duration::from_millis(20);
const LAST_BACKOFF: Duration = Duration::from_millis(500);
/// A connection that lasted this long ends the growth of the back-off.
const STABLE_AFTER: Duration = Duration::from_secs(1);
/// The error code of a command for another type of value than the key holds.
const WRONG_TYPE: &str = "WRONGTYPE";
/// Commands that may wait to be written, before writers wait themselves.
const WRITE_QUEUE: usize = 1024;

/// A handle to the supervised connection.
#[derive(Clone)]
pub(super) struct Connection {
    state: watch::Receiver<State>,
    troubles: mpsc::Sender<Trouble>,
    deadline: Duration,
    _supervisor: Arc<AbortOnDrop>,
}

#[derive(Clone)]
enum State {
    /// The first attempt, or the first one after a loss, is under way: worth waiting for.
    Connecting,
    Up(Link),
    Down(String),
}

#[derive(Clone)]
struct Link {
    connection: MultiplexedConnection,
    epoch: u64,
}

#[derive(Clone, Copy)]
struct Trouble {
    epoch: u64,
    kind: TroubleKind,
}

#[derive(Clone, Copy, PartialEq)]
enum TroubleKind {
    /// A deadline passed.
    Suspect,
    /// The connection is of no use any more.
    Broken,
}

struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Connection {
    /// Starts to connect. Must be called inside a Tokio runtime.
    pub(super) fn open(client: Client, deadline: Duration) -> Self {
        let (publish, state) = watch::channel(State::Connecting);
        let (troubles, reports) = mpsc::channel(8);
        let supervisor = Supervisor {
            client,
            deadline,
            publish,
            troubles: troubles.downgrade(),
            reports,
            epoch: 0,
        };
        Self {
            state,
            troubles,
            deadline,
            _supervisor: Arc::new(AbortOnDrop(tokio::spawn(supervisor.run()))),
        }
    }

    /// Gives a store call its deadline. What was sent may still run on the server later.
    pub(super) async fn within<T>(
        &self,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        match timeout(self.deadline, call).await {
            Ok(result) => result,
            Err(_) => {
                if let State::Up(link) = &*self.state.borrow() {
                    self.report(link.epoch, TroubleKind::Suspect);
                }
                Err(StoreError::Timeout)
            }
        }
    }

    pub(super) async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        let mut link = self.link().await?;
        command
            .query_async(&mut link.connection)
            .await
            .map_err(|error| self.judge(link.epoch, &error))
    }

    /// Sends commands at once. A reply that says WRONGTYPE stays among the others, for whoever reads that record.
    pub(super) async fn pipeline(&self, pipeline: &Pipeline) -> Result<Vec<Value>, StoreError> {
        let mut link = self.link().await?;
        let judge = |error: RedisError| self.judge(link.epoch, &error);
        let replies = link.connection.send_packed_commands(pipeline, 0, pipeline.len());
        let replies = replies.await.map_err(judge)?;
        let failed = replies.iter().find_map(|reply| match reply {
            Value::ServerError(error) if error.code() != WRONG_TYPE => Some(error.clone()),
            _ => None,
        });
        match failed {
            Some(error) => Err(judge(error.into())),
            None => Ok(replies),
        }
    }

    /// Runs a script by its hash, and by its text when the server does not know it (any more).
    pub(super) async fn script(&self, script: &Script, call: &ScriptCall) -> Result<i64, StoreError> {
        let mut link = self.link().await?;
        let mut invocation = script.prepare_invoke();
        for key in &call.keys {
            invocation.key(key);
        }
        for arg in &call.args {
            invocation.arg(arg.as_slice());
        }
        invocation
            .invoke_async(&mut link.connection)
            .await
            .map_err(|error| self.judge(link.epoch, &error))
    }

    /// The connection; an error at once when there is none and the last attempt failed.
    async fn link(&self) -> Result<Link, StoreError> {
        let mut state = self.state.clone();
        let state = state
            .wait_for(|state| !matches!(state, State::Connecting))
            .await
            .map_err(|_| StoreError::Unavailable("the connection was closed".into()))?;
        match &*state {
            State::Up(link) => Ok(link.clone()),
            State::Down(reason) => Err(StoreError::Unavailable(reason.clone())),
            State::Connecting => Err(StoreError::Timeout),
        }
    }

    fn judge(&self, epoch: u64, error: &RedisError) -> StoreError {
        let demoted = error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly);
        if error.is_unrecoverable_error() || error.is_io_error() || demoted {
            self.report(epoch, TroubleKind::Broken);
        }
        StoreError::from(error)
    }

    fn report(&self, epoch: u64, kind: TroubleKind) {
        // A full queue means that the supervisor is busy with others' reports.
        let _ = self.troubles.try_send(Trouble { epoch, kind });
    }
}

/// The keys and arguments of a script.
#[derive(Default)]
pub(super) struct ScriptCall {
    keys: Vec<String>,
    args: Vec<Vec<u8>>,
}

impl ScriptCall {
    pub(super) fn key(mut self, key: impl Into<String>) -> Self {
        self.keys.push(key.into());
        self
    }

    pub(super) fn arg(mut self, arg: impl Into<Vec<u8>>) -> Self {
        self.args.push(arg.into());
        self
    }

    pub(super) fn number(self, number: impl ToString) -> Self {
        self.arg(number.to_string())
    }

    pub(super) fn fields(mut self, fields: Vec<(&'static str, Vec<u8>)>) -> Self {
        for (name, value) in fields {
            self.args.push(name.into());
            self.args.push(value);
        }
        self
    }
}

impl From<&RedisError> for StoreError {
    fn from(error: &RedisError) -> Self {
        match error.kind() {
            ErrorKind::Parse | ErrorKind::UnexpectedReturnType => Self::Unexpected(error.to_string()),
            _ if error.code() == Some(WRONG_TYPE) => Self::Unexpected(error.to_string()),
            _ if error.is_timeout() => Self::Timeout,
            _ => Self::Unavailable(error.to_string()),
        }
    }
}

struct Supervisor {
    client: Client,
    deadline: Duration,
    publish: watch::Sender<State>,
    troubles: mpsc::WeakSender<Trouble>,
    reports: mpsc::Receiver<Trouble>,
    epoch: u64,
}

impl Supervisor {
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

/// A replica may not have heard of a revocation yet, so it is not read. Where ROLE is forbidden, the first write will tell.
fn is_replica(role: &RedisResult<Value>) -> bool {
    match role {
        Ok(Value::Array(role)) => role.first() == Some(&Value::BulkString(b"slave".to_vec())),
        _ => false,
    }
}
