//! The tracking connection: what Redis pushes about changed records, and the pings that keep the lease.
//!
//! It lives on a thread of its own, since a busy runtime would hear of revocations late. Misses are read over the same
//! connection: so what is cached and what is pushed come from one server, in one order. That server is the one to which the
//! store's own connection leads: where a name moves from one server to another, the two connections must not part.

use std::{sync::Weak, time::Duration};

use redis::{
    AsyncConnectionConfig, Client, PushInfo, PushKind, RedisError, Value,
    aio::{MultiplexedConnection, SendError},
};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep, timeout},
};

use super::state::{CacheState, TrackingConnection};
use crate::store::redis::{
    keys,
    observer::Observer,
    role::{REPLICA, Role, describe, run_id},
    supervisor::{CONNECT_TIMEOUT, FIRST_BACKOFF, LAST_BACKOFF, Link, STABLE_AFTER},
};

/// How long an answer to a ping is waited for before the connection is given up. The lease ends on its own, earlier.
const PING_TIMEOUT: Duration = Duration::from_secs(1);

const NO_ROLE: &str = "the server does not say whether it is a replica";

/// The longest pause between two attempts to follow a name that moves.
const LAST_MOVED: Duration = Duration::from_secs(60);

/// Keeps the cache coherent until `stop` is dropped, or the cache or the store's own connection is.
pub(super) async fn run(
    cache: Weak<CacheState>,
    client: Client,
    own: Observer,
    mut stop: oneshot::Receiver<()>,
) {
    let tracker = Tracker {
        cache,
        client,
        coherent_since: None,
        said: None,
    };
    tokio::select! {
        _ = &mut stop => {}
        _ = tracker.run(own) => {}
    }
}

struct Tracker {
    cache: Weak<CacheState>,
    client: Client,
    /// Since when the connection has had a lease.
    coherent_since: Option<Instant>,
    /// What the log says: that the cache is in use, or why it is not.
    said: Option<Result<(), String>>,
}

impl Tracker {
    /// Returns, with nothing, when there is nobody left to do it for.
    async fn run(mut self, mut own: Observer) -> Option<()> {
        let mut backoff = FIRST_BACKOFF;
        let mut moved = Duration::ZERO;
        for number in 1.. {
            let link = own.connected().await?;
            let epoch = link.epoch;
            self.coherent_since = None;
            let loss = tokio::select! {
                biased;
                replaced = own.replaced(epoch) => {
                    replaced?;
                    Loss::connection("the store has lost its connection")
                }
                loss = self.track(number, link) => loss?,
            };
            self.cache.upgrade()?.tracking_lost(number);
            self.tell_out_of_use(loss.reason());
            match loss {
                Loss::Connection(_) => {}
                Loss::Demoted | Loss::Old => own.give_up(epoch),
                Loss::Moved => {
                    // A name that leads now here, now there must not keep the store from its work.
                    if timeout(moved, own.replaced(epoch)).await.is_err() {
                        own.give_up(epoch);
                    }
                    moved = (moved * 2).clamp(STABLE_AFTER, LAST_MOVED);
                }
            }
            if self
                .coherent_since
                .is_some_and(|since| since.elapsed() >= STABLE_AFTER)
            {
                (backoff, moved) = (FIRST_BACKOFF, Duration::ZERO);
            }
            sleep(backoff).await;
            backoff = (backoff * 2).min(LAST_BACKOFF);
        }
        None
    }

    /// Logs that the cache is in use since then: the first time at once, later when it has stayed so for a while.
    fn tell_in_use(&mut self, since: Instant) {
        match self.said {
            Some(Ok(())) => return,
            Some(Err(_)) if since.elapsed() < STABLE_AFTER => return,
            _ => {}
        }
        tracing::info!("requests are answered from memory");
        self.said = Some(Ok(()));
    }

    /// Logs why it is not, unless it was that before.
    fn tell_out_of_use(&mut self, reason: &str) {
        if !matches!(&self.said, Some(Err(said)) if said == reason) {
            tracing::warn!(%reason, "no request is answered from memory");
            self.said = Some(Err(reason.to_owned()));
        }
    }

    /// Connects, pings as long as the connection lasts, and says why it did not.
    async fn track(&mut self, number: u64, link: Link) -> Option<Loss> {
        let own = link.epoch;
        let connection = match timeout(CONNECT_TIMEOUT, self.connect(number, link)).await {
            Ok(Ok(connected)) => connected,
            Ok(Err(loss)) => return Some(loss),
            Err(_) => return Some(Loss::connection("no answer while connecting")),
        };
        self.cache.upgrade()?.tracking_began(TrackingConnection {
            attempt: number,
            connection: connection.clone(),
            own_epoch: own,
        });
        self.keep(connection).await
    }

    /// Returns once Redis has acknowledged that it tracks, and has told what the lease needs to know of it.
    async fn connect(&self, number: u64, mut link: Link) -> Result<MultiplexedConnection, Loss> {
        // Made right before this one, give or take a back-off.
        let is_recent = link.since.elapsed() < CONNECT_TIMEOUT;
        let listener = self.cache.clone();
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(None)
            .set_push_sender(move |push: PushInfo| {
                if let Some(cache) = listener.upgrade() {
                    hear(&cache, number, &push);
                }
                Ok::<_, SendError>(())
            });
        let mut connection = self
            .client
            .get_multiplexed_async_connection_with_config(&config)
            .await
            .map_err(failed)?;
        let mut tracking = redis::cmd("CLIENT");
        tracking.arg("TRACKING").arg("ON").arg("BCAST");
        tracking.arg("PREFIX").arg(keys::SESSION_PREFIX);
        tracking.exec_async(&mut connection).await.map_err(failed)?;
        match Role::ask(&mut connection).await.map_err(failed)? {
            Role::Master => {}
            // Whether the store's own connection leads to a replica, too, is for that one to find out.
            Role::Replica => return Err(Loss::connection(REPLICA)),
            Role::Unknown => return Err(Loss::connection(NO_ROLE)),
        }
        let here = run_id(&mut connection).await.map_err(failed)?;
        let there = run_id(&mut link.connection).await.map_err(failed)?;
        match (here, there) {
            (Some(here), Some(there)) if here != there => Err(Loss::Moved),
            (Some(_), Some(_)) => Ok(connection),
            // Where one of them may not be asked, that they were connected one after the other has to do.
            _ if is_recent => Ok(connection),
            _ => Err(Loss::Old),
        }
    }

    async fn keep(&mut self, mut connection: MultiplexedConnection) -> Option<Loss> {
        loop {
            let (sent, epoch, pause) = {
                let cache = self.cache.upgrade()?;
                (cache.now(), cache.epoch(), cache.config.heartbeat())
            };
            let Ok(answer) = timeout(PING_TIMEOUT, Role::ask(&mut connection)).await else {
                return Some(Loss::connection("no answer to a ping"));
            };
            match answer {
                Ok(Role::Master) => {}
                Ok(Role::Replica) => return Some(Loss::Demoted),
                Ok(Role::Unknown) => return Some(Loss::connection(NO_ROLE)),
                Err(error) => return Some(failed(error)),
            }
            if !self.cache.upgrade()?.extend_lease(epoch, sent) {
                self.tell_out_of_use("answers to pings take longer than the bound");
                self.coherent_since = None;
            } else {
                let since = *self.coherent_since.get_or_insert_with(Instant::now);
                self.tell_in_use(since);
            }
            sleep(pause).await;
        }
    }
}

/// Why nothing is cached any more.
enum Loss {
    /// The tracking connection is of no use.
    Connection(String),
    /// Both connections lead to a server that is a master no more.
    Demoted,
    /// The store's own connection leads to a server that has lost its name to another one.
    Moved,
    /// It may lead to another server: that cannot be asked, and much may have happened since it was made.
    Old,
}

impl Loss {
    fn reason(&self) -> &str {
        match self {
            Self::Connection(reason) => reason,
            Self::Demoted => REPLICA,
            Self::Moved => "the name leads to another server by now",
            Self::Old => "INFO does not tell which server it is: the store connects anew",
        }
    }

    fn connection(reason: &str) -> Self {
        Self::Connection(reason.to_owned())
    }
}

fn failed(error: RedisError) -> Loss {
    Loss::Connection(describe(&error))
}

/// Runs inline, between the bytes before and after the push.
fn hear(cache: &CacheState, number: u64, push: &PushInfo) {
    match push.kind {
        PushKind::Disconnection => cache.tracking_lost(number),
        PushKind::Invalidate => match push.data.first() {
            Some(Value::Array(keys)) => {
                for key in keys {
                    match key {
                        Value::BulkString(key) => cache.invalidate_key(key),
                        _ => cache.begin_epoch(),
                    }
                }
            }
            // Everything was flushed; whatever else it may be is taken for the same.
            _ => cache.begin_epoch(),
        },
        _ => {}
    }
}
