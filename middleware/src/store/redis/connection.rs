//! A handle to the supervised connection: deadlines, commands, scripts and error classification.
//!
//! The [`Supervisor`] task owns the connection and is the only one that connects. It publishes a connection, or the reason why
//! there is none, and callers never wait for a second attempt. It detects a loss by the client library's disconnection push. It
//! detects a hung connection or a demoted server by health checks: once a second, and after a call missed its deadline. After
//! any failure to connect (refused, wrong password, loading) it tries again.
//!
//! The library's `ConnectionManager` is not used. It stays broken after a reconnection that failed with anything but an I/O error, and
//! it ignores its response timeout while it reconnects.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use pin_project_lite::pin_project;
use redis::{Cmd, ErrorKind, FromRedisValue, Pipeline, RedisError, Script, ServerErrorKind, Value};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, Timeout, timeout},
};

use super::{
    address::Address,
    background::AbortOnDrop,
    durability::Durability,
    keys::Keys,
    observer::Observer,
    role::{REPLICA, Role, describe},
    script::ScriptCall,
    skew_monitor::SkewMonitor,
    supervisor::{ConnectionFault, FaultKind, Link, State, Supervisor},
    writes::Writes,
};
use crate::{
    clock::Clock,
    store::{StoreError, StoreHealth},
    telemetry::{StoreFailure, StoreMetrics, StoreOperation},
};

/// The error code of a command that does not fit the type of the key's value.
const WRONG_TYPE: &str = "WRONGTYPE";

/// The time after its deadline in which a timely script may still run: the tolerated drift between the two clocks.
const CLOCK_DRIFT: Duration = Duration::from_secs(1);

/// A handle to the supervised connection. The supervisor ends when it is dropped.
pub(super) struct Connection {
    state: watch::Receiver<State>,
    faults: mpsc::Sender<ConnectionFault>,
    deadline: Duration,
    metrics: StoreMetrics,
    pub(super) skew: Arc<SkewMonitor>,
    writes: Arc<Writes>,
    pub(super) durability: Arc<Durability>,
    _supervisor: AbortOnDrop,
}

impl Connection {
    /// Starts to connect. Must be called inside a Tokio runtime.
    pub(super) fn open(
        address: Address,
        deadline: Duration,
        keys: Keys,
        clock: Arc<dyn Clock>,
        require_durable: bool,
    ) -> Self {
        let durability = Arc::new(Durability::new(require_durable));
        let writes = Arc::<Writes>::default();
        let skew = Arc::new(SkewMonitor::new(clock));
        let (state, faults, supervisor) = Supervisor::start(
            address,
            deadline,
            keys,
            skew.clone(),
            writes.clone(),
            durability.clone(),
        );
        Self {
            state,
            faults,
            deadline,
            metrics: StoreMetrics::new(),
            skew,
            writes,
            durability,
            _supervisor: supervisor,
        }
    }

    pub(super) fn observer(&self) -> Observer {
        Observer::new(self.state.clone(), self.faults.downgrade())
    }

    /// The deadline of a store call.
    pub(super) const fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Applies the deadline to a store call, and measures it. A command that was sent may still run after it.
    pub(super) fn within<F: Future>(&self, operation: StoreOperation, call: F) -> Within<'_, F> {
        Within {
            operation,
            began: Instant::now(),
            call: timeout(self.deadline, call),
            connection: self,
        }
    }

    pub(super) async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        let mut link = self.link().await?;
        let reply = link.connection.send_packed_command(command).await;
        let reply = reply
            .and_then(|reply| Ok(T::from_redis_value(reply.extract_error()?)?))
            .map_err(|error| self.classify_error(link.epoch, &error))?;
        self.ensure_current(link.epoch)?;
        Ok(reply)
    }

    /// Checks that the server answers and is not a replica. The connection to a replica is replaced.
    pub(super) async fn probe(&self) -> Result<(), StoreError> {
        let mut link = self.link().await?;
        match Role::query(&mut link.connection).await {
            Err(error) => Err(self.classify_error(link.epoch, &error)),
            Ok(Role::Replica) => {
                self.report(link.epoch, FaultKind::Broken);
                Err(StoreError::Unavailable(REPLICA.into()))
            }
            Ok(Role::Master | Role::Unknown) => self.ensure_current(link.epoch),
        }
    }

    /// Checks the server as [`probe`](Self::probe) does, and at the same time whether it accepts writes: one round trip must suffice
    /// within the deadline.
    pub(super) async fn health(&self) -> Result<StoreHealth, StoreError> {
        let link = self.link().await?;
        // Ends before the deadline of the call.
        let limit = self.deadline * 9 / 10;
        let writes = self.writes.probe(&link.endpoint, link.epoch, limit);
        let (probed, refusal) = tokio::join!(self.probe(), writes);
        probed?;
        match refusal {
            Ok(None) => Ok(self
                .durability
                .reason()
                .map_or(StoreHealth::Ready, |reason| StoreHealth::NotDurable { reason })),
            Ok(Some(reason)) => Ok(StoreHealth::ReadOnly { reason }),
            Err(error) => Err(self.classify_error(link.epoch, &error)),
        }
    }

    /// Sends commands in one round trip. A WRONGTYPE error is returned among the replies, so that one record does not fail the others.
    pub(super) async fn pipeline(&self, pipeline: &Pipeline) -> Result<Vec<Value>, StoreError> {
        let mut link = self.link().await?;
        let classify = |error: RedisError| self.classify_error(link.epoch, &error);
        let replies = link.connection.send_packed_commands(pipeline, 0, pipeline.len());
        let replies = replies.await.map_err(classify)?;
        let failed = replies.iter().find_map(|reply| match reply {
            Value::ServerError(error) if error.code() != WRONG_TYPE => Some(error.clone()),
            _ => None,
        });
        match failed {
            Some(error) => Err(classify(error.into())),
            None => self.ensure_current(link.epoch).map(|()| replies),
        }
    }

    /// Fails if the connection of this epoch was replaced, or if its server may not be used any longer. A master that hung and was superseded must not be trusted when it
    /// answers at last.
    fn ensure_current(&self, epoch: u64) -> Result<(), StoreError> {
        match &*self.state.borrow() {
            State::Up(link) if link.epoch == epoch => link.ensure_confirmed(),
            _ => Err(StoreError::Unavailable("the connection was replaced".into())),
        }
    }

    /// Runs a script by its hash, or by its text if the server has not cached it.
    pub(super) async fn script<T: FromRedisValue>(
        &self,
        script: &Script,
        call: &ScriptCall,
    ) -> Result<T, StoreError> {
        let mut link = self.link().await?;
        let mut invocation = script.prepare_invoke();
        for key in &call.keys {
            invocation.key(key);
        }
        if call.timely {
            let latest = link
                .server_time
                .map(|time| time.now_millis().saturating_add(self.timely_millis()));
            invocation.arg(latest.map_or_else(String::new, |latest| latest.to_string()));
        }
        for arg in &call.args {
            invocation.arg(arg.as_slice());
        }
        let reply = invocation
            .invoke_async(&mut *link.connection)
            .await
            .map_err(|error| self.classify_error(link.epoch, &error))?;
        self.ensure_current(link.epoch)?;
        Ok(reply)
    }

    /// The time after which a timely script must not run.
    pub(super) const fn timely(&self) -> Duration {
        self.deadline.saturating_add(CLOCK_DRIFT)
    }

    fn timely_millis(&self) -> u64 {
        u64::try_from(self.timely().as_millis()).unwrap_or(u64::MAX)
    }

    /// The error of a timely script that ran too late. The server's clock may have been set, so the connection is replaced to read its time
    /// again.
    pub(super) fn too_late(&self) -> StoreError {
        if let State::Up(link) = &*self.state.borrow() {
            self.report(link.epoch, FaultKind::Broken);
        }
        StoreError::Timeout
    }

    /// Returns the connection. Waits during the first attempt, and fails at once if the last attempt failed.
    async fn link(&self) -> Result<Link, StoreError> {
        if let State::Up(link) = &*self.state.borrow() {
            return link.ensure_confirmed().map(|()| link.clone());
        }
        let mut state = self.state.clone();
        let state = state
            .wait_for(|state| !matches!(state, State::Connecting))
            .await
            .map_err(|_| StoreError::Unavailable("the connection was closed".into()))?;
        match &*state {
            State::Up(link) => link.ensure_confirmed().map(|()| link.clone()),
            State::Down(reason) => Err(StoreError::Unavailable(reason.clone())),
            State::Connecting => Err(StoreError::Timeout),
        }
    }

    /// Converts an error, and reports the connection if the error shows that it is broken.
    fn classify_error(&self, epoch: u64, error: &RedisError) -> StoreError {
        let demoted = error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly);
        if error.is_unrecoverable_error() || error.is_io_error() || demoted {
            self.report(epoch, FaultKind::Broken);
        }
        StoreError::from(error)
    }

    fn report(&self, epoch: u64, kind: FaultKind) {
        // If the queue is full, the supervisor already has reports to act on.
        let _ = self.faults.try_send(ConnectionFault { epoch, kind });
    }
}

pin_project! {
    /// A store call with its deadline. It is no `async fn`, because that would hold the call twice.
    pub(super) struct Within<'a, F> {
        #[pin]
        call: Timeout<F>,
        operation: StoreOperation,
        began: Instant,
        connection: &'a Connection,
    }
}

impl<T, F: Future<Output = Result<T, StoreError>>> Future for Within<'_, F> {
    type Output = Result<T, StoreError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = ready!(this.call.poll(cx)).unwrap_or_else(|_| {
            if let State::Up(link) = &*this.connection.state.borrow() {
                this.connection.report(link.epoch, FaultKind::DeadlineMissed);
            }
            Err(StoreError::Timeout)
        });
        let failure = answer.as_ref().err().map(StoreError::failure);
        let metrics = &this.connection.metrics;
        metrics.record(*this.operation, this.began.elapsed(), failure);
        Poll::Ready(answer)
    }
}

impl StoreError {
    const fn failure(&self) -> StoreFailure {
        match self {
            Self::Timeout => StoreFailure::Timeout,
            Self::Unavailable(_) => StoreFailure::Unavailable,
            Self::Unexpected(_) => StoreFailure::Unexpected,
        }
    }
}

impl From<&RedisError> for StoreError {
    fn from(error: &RedisError) -> Self {
        match error.kind() {
            ErrorKind::Parse | ErrorKind::UnexpectedReturnType => Self::Unexpected(describe(error)),
            _ if error.code() == Some(WRONG_TYPE) => Self::Unexpected(describe(error)),
            _ if error.is_timeout() => Self::Timeout,
            _ => Self::Unavailable(describe(error)),
        }
    }
}
