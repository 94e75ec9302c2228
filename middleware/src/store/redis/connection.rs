//! A handle to the supervised connection to one server: commands, scripts and error classification.
//!
//! The [`Supervisor`] task owns the connection and is the only one that connects. It publishes a connection, or the reason why
//! there is none, and callers never wait for a second attempt. It detects a loss by the client library's disconnection push. It
//! detects a hung connection or a demoted server by health checks: once a second, and after a call missed its deadline. After
//! any failure to connect (refused, wrong password, loading) it tries again.
//!
//! The library's `ConnectionManager` is not used. It stays broken after a reconnection that failed with anything but an I/O error, and
//! it ignores its response timeout while it reconnects.

mod durable;
mod unanswered;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use redis::{FromRedisValue, Pipeline, RedisError, Value};
use tokio::sync::{mpsc, watch};

use super::{
    acks::AckWaiter,
    background::AbortOnDrop,
    call_error::{CallError, Redirect, checked_replies, is_demoted},
    durability::Durability,
    link::{ConnectionFault, FaultKind, Link, State},
    near::NearCache,
    observer::Observer,
    request::{Request, ask, decode},
    role::{REPLICA, Role},
    skew_monitor::SkewMonitor,
    supervisor::{ServerSettings, Supervisor},
    write_probe::WriteProbe,
};
use crate::store::{StoreError, StoreHealth};

/// The time after its deadline in which a timely script may still run: the tolerated drift between the two clocks.
const CLOCK_DRIFT: Duration = Duration::from_secs(1);

/// A handle to the supervised connection. The supervisor ends when it is dropped.
pub(super) struct Connection {
    state: watch::Receiver<State>,
    faults: mpsc::Sender<ConnectionFault>,
    deadline: Duration,
    pub(super) skew: Arc<SkewMonitor>,
    write_probe: Arc<WriteProbe>,
    /// The near cache of the server, once it is enabled.
    pub(super) cache: OnceLock<NearCache>,
    /// `None` if revocations wait for no acknowledgements.
    durable: Option<AckWaiter>,
    pub(super) durability: Arc<Durability>,
    _supervisor: AbortOnDrop,
}

impl Connection {
    /// Starts to connect. Must be called inside a Tokio runtime.
    pub(super) fn open(settings: ServerSettings) -> Self {
        let write_probe = Arc::<WriteProbe>::default();
        let skew = Arc::new(SkewMonitor::new(settings.clock.clone(), settings.metrics.clone()));
        let deadline = settings.deadline;
        let durable = settings.acks.map(AckWaiter::new);
        let durability = settings.durability.clone();
        let (state, faults, supervisor) = Supervisor::start(settings, skew.clone(), write_probe.clone());
        Self {
            state,
            faults,
            deadline,
            skew,
            write_probe,
            cache: OnceLock::new(),
            durable,
            durability,
            _supervisor: supervisor,
        }
    }

    pub(super) fn observer(&self) -> Observer {
        Observer::new(self.state.clone(), self.faults.downgrade())
    }

    /// Sends a request. With `asking`, a node of a cluster executes it although it does not have the hash slot yet.
    pub(super) async fn call<T: FromRedisValue>(
        &self,
        request: Request<'_>,
        asking: bool,
    ) -> Result<T, CallError> {
        // A read needs no other parts of the link.
        let parts = |link: &Link| {
            let latest = request.is_timely().then(|| self.latest(link));
            (link.connection.clone(), link.attempt, latest)
        };
        let (mut connection, attempt, latest) = self.with_link(parts).await?;
        let unanswered = self.unanswered(attempt);
        let reply = match request {
            // The rarer requests are boxed, so that a read does not carry their state.
            Request::Command(command) if asking => Box::pin(ask(&mut connection, command)).await,
            Request::Command(command) => {
                let reply = connection.send_packed_command(command).await;
                reply.and_then(decode)
            }
            Request::Script(script, call) => {
                Box::pin(script.run(&mut connection, call, latest.as_deref(), asking)).await
            }
        };
        unanswered.end(reply)
    }

    /// Checks that the server answers and is not a replica. The connection to a replica is replaced.
    pub(super) async fn probe(&self) -> Result<(), StoreError> {
        let mut link = self.link().await?;
        match Role::query(&mut link.connection).await {
            Err(error) => Err(self.classify_error(link.attempt, &error)),
            Ok(Role::Replica) => {
                self.report(link.attempt, FaultKind::Broken);
                Err(StoreError::Unavailable(REPLICA.into()))
            }
            Ok(Role::Master | Role::Unknown) => self.ensure_current(link.attempt),
        }
    }

    /// Checks the server as [`probe`](Self::probe) does, and at the same time whether it accepts writes: one round trip must suffice
    /// within the deadline.
    pub(super) async fn health(&self) -> Result<StoreHealth, StoreError> {
        let link = self.link().await?;
        // Ends before the deadline of the call.
        let limit = self.deadline - self.deadline / 10;
        let write_probe = self.write_probe.probe(&link.endpoint, link.attempt, limit);
        let (probed, refusal) = tokio::join!(self.probe(), write_probe);
        probed?;
        let refusal = refusal.map_err(|error| self.classify_error(link.attempt, &error))?;
        // A server that is not durable is not ready, also while it refuses writes.
        Ok(match (self.durability.reason(), refusal) {
            (Some(reason), _) => StoreHealth::NotDurable { reason },
            (None, Some(reason)) => StoreHealth::ReadOnly { reason },
            (None, None) => StoreHealth::Ready,
        })
    }

    /// Sends commands in one round trip. A WRONGTYPE error is returned among the replies, so that one record does not fail the others.
    /// So is a redirection.
    pub(super) async fn pipeline(&self, pipeline: &Pipeline) -> Result<Vec<Value>, CallError> {
        let mut link = self.link().await?;
        let unanswered = self.unanswered(link.attempt);
        let replies = link
            .connection
            .send_packed_commands(pipeline, 0, pipeline.len())
            .await;
        unanswered.end(replies.and_then(|replies| checked_replies(replies, |_| true)))
    }

    /// Fails if the connection of this attempt was replaced, or if its server may not be used any longer. A master that hung and was superseded
    /// is not trusted when it answers late.
    fn ensure_current(&self, attempt: u64) -> Result<(), StoreError> {
        match &*self.state.borrow() {
            State::Up(link) if link.attempt == attempt => link.ensure_confirmed(),
            _ => Err(StoreError::Unavailable("the connection was replaced".into())),
        }
    }

    fn classify_call(&self, attempt: u64, error: &RedisError) -> CallError {
        match Redirect::of(error) {
            Some(redirect) => CallError::Redirected(redirect),
            None => self.classify_error(attempt, error).into(),
        }
    }

    /// The time after which a timely script must not run, as milliseconds by the server's clock. Empty if that is not known.
    fn latest(&self, link: &Link) -> String {
        let timely = u64::try_from(timely(self.deadline).as_millis()).unwrap_or(u64::MAX);
        let latest = link
            .server_time
            .map(|time| time.now_millis().saturating_add(timely));
        latest.map_or_else(String::new, |latest| latest.to_string())
    }

    /// Replaces the connection after a timely script ran too late: the server's clock may have been set, so its time is read again.
    pub(super) fn reconnect_after_late_script(&self) {
        if let State::Up(link) = &*self.state.borrow() {
            self.report(link.attempt, FaultKind::Broken);
        }
    }

    /// Returns the connection: see [`with_link`](Self::with_link).
    pub(super) async fn link(&self) -> Result<Link, StoreError> {
        self.with_link(Link::clone).await
    }

    /// Calls `f` with the connection. Waits during the first attempt, and fails at once if the last attempt failed.
    async fn with_link<T>(&self, f: impl FnOnce(&Link) -> T) -> Result<T, StoreError> {
        if let State::Up(link) = &*self.state.borrow() {
            return link.ensure_confirmed().map(|()| f(link));
        }
        let mut state = self.state.clone();
        let state = state
            .wait_for(|state| !matches!(state, State::Connecting))
            .await
            .map_err(|_| StoreError::Unavailable("the connection was closed".into()))?;
        match &*state {
            State::Up(link) => link.ensure_confirmed().map(|()| f(link)),
            State::Down(reason) => Err(StoreError::Unavailable(reason.clone())),
            State::Connecting => Err(StoreError::Timeout),
        }
    }

    /// Converts an error, and reports the connection if the error shows that it is broken.
    fn classify_error(&self, attempt: u64, error: &RedisError) -> StoreError {
        if error.is_unrecoverable_error() || error.is_io_error() || is_demoted(error) {
            self.report(attempt, FaultKind::Broken);
        }
        StoreError::from(error)
    }

    fn report(&self, attempt: u64, kind: FaultKind) {
        // If the queue is full, the supervisor already has reports to act on.
        let _ = self.faults.try_send(ConnectionFault { attempt, kind });
    }
}

/// The longest time from the start of a call to the effect of a timely script.
pub(super) const fn timely(deadline: Duration) -> Duration {
    deadline.saturating_add(CLOCK_DRIFT)
}
