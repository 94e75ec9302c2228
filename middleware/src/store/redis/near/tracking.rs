//! Tracking: it owns the connection on which Redis pushes invalidations, and extends the lease by pings.
//!
//! Misses are read over the same connection,
//! so records and invalidations come from one server in one order. The store's own connection must reach the same server. If
//! the host name resolves to another server, both connections are replaced.

mod loss;
mod push;

use std::{
    sync::{Weak, atomic::Ordering},
    time::Duration,
};

use redis::{PushInfo, aio::SendError};
use tokio::time::{Instant, sleep, timeout};

use self::{
    loss::{Loss, cannot_track, failed},
    push::handle_push,
};
use super::{
    ping::Ping,
    state::{CacheState, TrackingConnection},
};
use crate::store::redis::{
    background::{Backoff, catch_panic},
    endpoint::{RedisConnection, connection_config},
    lease::Lease,
    link::{Link, UNCONFIRMED},
    observer::Observer,
    role::{REPLICA, Role, is_same_server},
    supervisor::STABLE_AFTER,
};

/// The time that a ping waits for its reply before the connection is replaced. The lease ends earlier.
const PING_TIMEOUT: Duration = Duration::from_secs(1);

/// Connections that were opened within this time count as connections to one server, if it does not tell its run id.
const RECENT: Duration = Duration::from_secs(1);

/// The shortest pause between two pings.
const MIN_PAUSE: Duration = Duration::from_millis(5);

const NO_ROLE: &str = "the server does not say whether it is a replica";

/// The longest pause before the store's own connection is replaced because the host name resolves to another server.
const LAST_MOVE_PAUSE: Duration = Duration::from_secs(60);

/// Keeps the cache coherent until the cache or the store is dropped.
pub(super) async fn run(cache: Weak<CacheState>, own: Observer) {
    let tracker = Tracker {
        cache,
        own,
        attempt: 0,
        coherent_since: None,
        logged: None,
    };
    tracker.run().await;
}

struct Tracker {
    cache: Weak<CacheState>,
    /// The store's own connection.
    own: Observer,
    /// The number of the connection attempt. It never repeats, so a late push of an old connection is detected.
    attempt: u64,
    /// The time since which the connection has had a lease without interruption.
    coherent_since: Option<Instant>,
    /// The last state in the log: coherent, or the reason why not.
    logged: Option<Result<(), String>>,
}

impl Tracker {
    /// Runs until the cache or the store is dropped. After a panic, which is a defect, the cache continues without records.
    async fn run(mut self) {
        let mut backoff = Backoff::new();
        while catch_panic(self.keep_tracking(&mut backoff)).await.is_err() {
            tracing::error!("the tracking of the near cache panicked and is started again");
            match self.cache.upgrade() {
                Some(cache) => cache.tracking_lost(self.attempt),
                None => return,
            }
            backoff.wait().await;
        }
    }

    /// Connects and reconnects. Returns when the cache or the store is dropped.
    async fn keep_tracking(&mut self, backoff: &mut Backoff) -> Option<()> {
        let mut move_pause = Duration::ZERO;
        loop {
            self.attempt += 1;
            let link = self.own.wait_connected().await?;
            let own_attempt = link.attempt;
            self.coherent_since = None;
            let mut own = self.own.clone();
            let loss = tokio::select! {
                biased;
                replaced = own.wait_replaced(own_attempt) => {
                    replaced?;
                    Loss::connection("the store has lost its connection")
                }
                loss = self.track(link) => loss?,
            };
            self.cache.upgrade()?.tracking_lost(self.attempt);
            self.log_incoherent(loss.reason());
            match loss {
                Loss::Connection(_) => {}
                Loss::Demoted | Loss::Unverified => self.own.request_replacement(own_attempt),
                Loss::Moved => {
                    // A host name that alternates between servers must not interrupt the store each time.
                    if timeout(move_pause, self.own.wait_replaced(own_attempt))
                        .await
                        .is_err()
                    {
                        self.own.request_replacement(own_attempt);
                    }
                    move_pause = (move_pause * 2).clamp(STABLE_AFTER, LAST_MOVE_PAUSE);
                }
            }
            if self
                .coherent_since
                .is_some_and(|since| since.elapsed() >= STABLE_AFTER)
            {
                backoff.reset();
                move_pause = Duration::ZERO;
            }
            backoff.wait().await;
        }
    }

    /// Logs that the cache is coherent: the first time at once, and after a loss when it has been coherent for some time.
    fn log_coherent(&mut self, since: Instant) {
        match self.logged {
            Some(Ok(())) => return,
            Some(Err(_)) if since.elapsed() < STABLE_AFTER => return,
            _ => {}
        }
        tracing::info!("the near cache is coherent: cached records are used");
        self.logged = Some(Ok(()));
    }

    /// Logs the reason why the cache is not coherent, unless it was logged before.
    fn log_incoherent(&mut self, reason: &str) {
        if !matches!(&self.logged, Some(Err(logged)) if logged == reason) {
            tracing::warn!(%reason, "the near cache is not coherent: every request reads from Redis");
            self.logged = Some(Err(reason.to_owned()));
        }
    }

    /// Connects, and pings while the connection works. Returns the reason for its failure.
    async fn track(&mut self, link: Link) -> Option<Loss> {
        let (own_attempt, lease) = (link.attempt, link.lease.clone());
        let connection = match timeout(link.connect_timeout, self.connect(link)).await {
            Ok(Ok(connected)) => connected,
            Ok(Err(loss)) => return Some(loss),
            Err(_) => return Some(Loss::connection("no answer while connecting")),
        };
        self.cache.upgrade()?.tracking_began(TrackingConnection {
            attempt: self.attempt,
            connection: connection.clone(),
            own_attempt,
        });
        self.keep_lease(connection, &lease).await
    }

    /// Returns a connection on which Redis has acknowledged that it tracks, to the same server as the store's own connection.
    async fn connect(&self, mut link: Link) -> Result<RedisConnection, Loss> {
        let prefixes = match self.cache.upgrade() {
            Some(cache) => [cache.keys.session_prefix(), cache.keys.agent_epochs_prefix()],
            None => return Err(Loss::connection("the cache was dropped")),
        };
        let is_recent = link.since.elapsed() < RECENT;
        let (listener, attempt) = (self.cache.clone(), self.attempt);
        let config = connection_config(link.connect_timeout).set_push_sender(move |push: PushInfo| {
            if let Some(cache) = listener.upgrade() {
                handle_push(&cache, attempt, &push);
            }
            Ok::<_, SendError>(())
        });
        let mut connection = link.endpoint.connect(&config).await.map_err(failed)?;
        let mut tracking = redis::cmd("CLIENT");
        tracking.arg("TRACKING").arg("ON").arg("BCAST");
        for prefix in prefixes {
            tracking.arg("PREFIX").arg(prefix);
        }
        let tracked = tracking.exec_async(&mut *connection).await;
        let is_refused = tracked.as_ref().is_err_and(|error| !error.is_io_error());
        if let Some(cache) = self.cache.upgrade()
            && (is_refused || tracked.is_ok())
        {
            cache.refuses_tracking.store(is_refused, Ordering::Relaxed);
        }
        tracked.map_err(cannot_track)?;
        match Role::query(&mut connection).await.map_err(failed)? {
            Role::Master => {}
            // The supervisor checks the role of the store's own connection.
            Role::Replica => return Err(Loss::connection(REPLICA)),
            Role::Unknown => return Err(Loss::connection(NO_ROLE)),
        }
        let is_same = is_same_server(&mut connection, &mut link.connection).await;
        match is_same.map_err(failed)? {
            Some(true) => Ok(connection),
            Some(false) => Err(Loss::Moved),
            // The user may not call INFO. Two connections that were opened within a short time count as connections to one
            // server.
            None if is_recent => Ok(connection),
            None => Err(Loss::Unverified),
        }
    }

    /// Extends the lease by pings, until one fails.
    async fn keep_lease(&mut self, mut connection: RedisConnection, master: &Lease) -> Option<Loss> {
        loop {
            let (ping, pause) = {
                let cache = self.cache.upgrade()?;
                (Ping::of(&cache), cache.config.ping_interval())
            };
            let Ok(answer) = timeout(PING_TIMEOUT, ping.send(&mut connection)).await else {
                return Some(Loss::connection("no answer to a ping"));
            };
            let answered = match answer {
                Ok((Role::Master, answered)) => answered,
                Ok((Role::Replica, _)) => return Some(Loss::Demoted),
                Ok((Role::Unknown, _)) => return Some(Loss::connection(NO_ROLE)),
                Err(error) => return Some(failed(error)),
            };
            let held = self.cache.upgrade()?.extend_lease(&answered, master);
            if held > Duration::ZERO {
                let since = *self.coherent_since.get_or_insert_with(Instant::now);
                self.log_coherent(since);
            } else {
                self.log_incoherent(if master.holds() {
                    "answers to pings take longer than the bound"
                } else {
                    UNCONFIRMED
                });
                self.coherent_since = None;
            }
            sleep(pause_before_ping(pause, held)).await;
        }
    }
}

/// The pause before the next ping. The lease of the master can end long before the bound, so the next ping is earlier then.
fn pause_before_ping(pause: Duration, held: Duration) -> Duration {
    if held.is_zero() {
        return pause;
    }
    pause.min((held / 2).max(MIN_PAUSE))
}
