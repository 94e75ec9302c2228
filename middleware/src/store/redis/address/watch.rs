//! Watches the sentinels while their master is in use: they confirm it, or name another one.
//!
//! A sentinel publishes a failover on the channel `+switch-master`. It is asked at intervals too, since a message can be lost and its user
//! may not be allowed to subscribe.

use std::{
    future::pending,
    sync::{Arc, Mutex},
};

use redis::{PushInfo, PushKind, aio::SendError};
use tokio::{
    sync::Notify,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use super::{
    super::{
        call_error::describe,
        endpoint::{Endpoint, connection_config},
        lease::{Confirmations, Lease},
    },
    confirmed::NamedMaster,
    sentinel::{ANSWER, Sentinels},
};

use crate::sync::lock;

const CHANNEL: &str = "+switch-master";

/// The master in use.
struct Watched {
    master: NamedMaster,
    lease: Lease,
    confirmations: Mutex<Confirmations>,
}

impl Sentinels {
    /// Resolves when a sentinel names another master, of a later failover. Until then, extends the lease of this one.
    pub(super) async fn superseded(&self, master: &Endpoint) {
        let count = self.sentinels.len();
        let watched = Arc::new(Watched {
            master: NamedMaster {
                config_epoch: master.config_epoch(),
                server: master.server().clone(),
            },
            lease: master.lease().clone(),
            confirmations: Mutex::new(Confirmations::new(count)),
        });
        let mut watching = JoinSet::new();
        for number in 0..count {
            let (sentinels, watched) = (self.clone(), watched.clone());
            watching.spawn(async move {
                let mut logged = false;
                while !sentinels.watch(number, &watched, &mut logged).await {
                    sleep(sentinels.interval()).await;
                }
            });
        }
        if watching.join_next().await.is_none() {
            pending::<()>().await;
        }
    }

    /// Watches one sentinel for as long as it answers. True if it names another master of a later failover.
    async fn watch(&self, number: usize, watched: &Watched, logged: &mut bool) -> bool {
        let sentinel = &self.sentinels[number];
        let switched = Arc::new(Notify::new());
        let notify = switched.clone();
        let config = connection_config(ANSWER).set_push_sender(move |push: PushInfo| {
            if matches!(push.kind, PushKind::Message | PushKind::Disconnection) {
                notify.notify_one();
            }
            Ok::<_, SendError>(())
        });
        let Ok(Ok(mut connection)) = timeout(ANSWER, sentinel.connect(&config)).await else {
            return false;
        };
        let mut subscribe = redis::cmd("SUBSCRIBE");
        subscribe.arg(CHANNEL);
        if let Ok(Err(error)) = timeout(ANSWER, subscribe.exec_async(&mut *connection)).await
            && !std::mem::replace(logged, true)
        {
            let (reason, sentinel) = (describe(&error), sentinel.server());
            tracing::warn!(%reason, %sentinel, "cannot subscribe to {CHANNEL}: the sentinel is only asked");
        }
        loop {
            let sent = Instant::now();
            let Ok(Ok(named)) = timeout(ANSWER, self.ask(&mut connection)).await else {
                return false;
            };
            if named.supersedes(&watched.master) {
                return true;
            }
            if named.confirms(&watched.master) {
                self.confirm(watched, number, sent);
            }
            let _ = timeout(self.interval(), switched.notified()).await;
        }
    }

    fn confirm(&self, watched: &Watched, number: usize, sent: Instant) {
        let mut confirmations = lock(&watched.confirmations);
        confirmations.confirm(number, sent);
        if let Some(since) = confirmations.majority() {
            // A permanent lease stays permanent.
            watched.lease.extend(since + self.lease);
        }
    }
}
