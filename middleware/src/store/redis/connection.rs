//! One multiplexed connection that is replaced, in the background, as soon as it fails.
//!
//! A supervisor task owns the connection and is the only one that connects. Callers take what it published: a connection,
//! or the news that there is none, at once. It learns of a loss from the disconnection push of the client library, and of a
//! hung connection or a demoted server by asking for its role: when a caller's deadline passed, and once a second. Every failure to
//! connect, of whatever kind (refused, wrong password, loading), is followed by another attempt.
//!
//! The library's `ConnectionManager` is not used: it stays broken after a reconnection that failed with anything but an I/O
//! error, and ignores its response timeout while it reconnects.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use pin_project_lite::pin_project;
use redis::{Client, Cmd, ErrorKind, FromRedisValue, Pipeline, RedisError, Script, ServerErrorKind, Value};
use tokio::{
    sync::{mpsc, watch},
    time::{Timeout, timeout},
};

use super::{
    observer::Observer,
    role::{REPLICA, Role, describe},
    script::ScriptCall,
    supervisor::{AbortOnDrop, Link, State, Supervisor, Trouble, TroubleKind},
};
use crate::store::StoreError;

/// The error code of a command for another type of value than the key holds.
const WRONG_TYPE: &str = "WRONGTYPE";

/// How much later than its deadline a timely script may still run: what the two clocks may drift apart.
const LATENESS: Duration = Duration::from_secs(1);

/// A handle to the supervised connection, which ends with it.
pub(super) struct Connection {
    state: watch::Receiver<State>,
    troubles: mpsc::Sender<Trouble>,
    deadline: Duration,
    _supervisor: AbortOnDrop,
}

impl Connection {
    /// Starts to connect. Must be called inside a Tokio runtime.
    pub(super) fn open(client: Client, deadline: Duration) -> Self {
        let (state, troubles, supervisor) = Supervisor::start(client, deadline);
        Self {
            state,
            troubles,
            deadline,
            _supervisor: supervisor,
        }
    }

    pub(super) fn observer(&self) -> Observer {
        Observer::new(self.state.clone(), self.troubles.downgrade())
    }

    /// How long a store call may take.
    pub(super) const fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Gives a store call its deadline. What was sent may still run on the server later.
    pub(super) fn within<F: Future>(&self, call: F) -> Within<'_, F> {
        Within {
            call: timeout(self.deadline, call),
            connection: self,
        }
    }

    pub(super) async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        let mut link = self.link().await?;
        let reply = link.connection.send_packed_command(command).await;
        reply
            .and_then(|reply| Ok(T::from_redis_value(reply.extract_error()?)?))
            .map_err(|error| self.judge(link.epoch, &error))
    }

    /// Asks whether the server answers, and may be read: a replica gives its connection up.
    pub(super) async fn probe(&self) -> Result<(), StoreError> {
        let mut link = self.link().await?;
        match Role::ask(&mut link.connection).await {
            Err(error) => Err(self.judge(link.epoch, &error)),
            Ok(Role::Replica) => {
                self.report(link.epoch, TroubleKind::Broken);
                Err(StoreError::Unavailable(REPLICA.into()))
            }
            Ok(Role::Master | Role::Unknown) => Ok(()),
        }
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
                .map(|time| time.now_millis().saturating_add(self.latest_after()));
            invocation.arg(latest.map_or_else(String::new, |latest| latest.to_string()));
        }
        for arg in &call.args {
            invocation.arg(arg.as_slice());
        }
        invocation
            .invoke_async(&mut link.connection)
            .await
            .map_err(|error| self.judge(link.epoch, &error))
    }

    /// Milliseconds after which a timely script must not run any more.
    fn latest_after(&self) -> u64 {
        u64::try_from(self.deadline.saturating_add(LATENESS).as_millis()).unwrap_or(u64::MAX)
    }

    /// What a timely script that came too late means. It may also be the server's clock that was set: it is asked again.
    pub(super) fn too_late(&self) -> StoreError {
        if let State::Up(link) = &*self.state.borrow() {
            self.report(link.epoch, TroubleKind::Broken);
        }
        StoreError::Timeout
    }

    /// The connection; an error at once when there is none and the last attempt failed.
    async fn link(&self) -> Result<Link, StoreError> {
        if let State::Up(link) = &*self.state.borrow() {
            return Ok(link.clone());
        }
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

pin_project! {
    /// A store call with its deadline. An `async fn` would have room for the call twice.
    pub(super) struct Within<'a, F> {
        #[pin]
        call: Timeout<F>,
        connection: &'a Connection,
    }
}

impl<T, F: Future<Output = Result<T, StoreError>>> Future for Within<'_, F> {
    type Output = Result<T, StoreError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        Poll::Ready(ready!(this.call.poll(cx)).unwrap_or_else(|_| {
            if let State::Up(link) = &*this.connection.state.borrow() {
                this.connection.report(link.epoch, TroubleKind::Suspect);
            }
            Err(StoreError::Timeout)
        }))
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
