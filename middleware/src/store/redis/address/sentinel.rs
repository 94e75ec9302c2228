//! The master that sentinels name, and its replacement by a failover.
//!
//! All sentinels are asked, since one of them can be cut off from the others and name a master that they have replaced. Each failover has
//! a higher configuration epoch: the answer with the highest one counts. A sentinel publishes a failover on the channel `+switch-master`,
//! and it is asked at intervals too, since a message can be lost and its user may not be allowed to subscribe.

use std::{collections::HashMap, future::pending, sync::Arc, time::Duration};

use redis::{AsyncConnectionConfig, PushInfo, PushKind, RedisError, aio::SendError};
use tokio::{
    sync::Notify,
    task::JoinSet,
    time::{sleep, timeout},
};

use super::super::{
    endpoint::{Endpoint, Login, RedisConnection},
    role::describe,
    url::{Host, Server},
};

/// The time for a sentinel to answer, with its connection.
const ANSWER: Duration = Duration::from_secs(1);
/// The interval in which a sentinel is asked, also without a message.
const INTERVAL: Duration = Duration::from_millis(500);
const CHANNEL: &str = "+switch-master";

/// The sentinels of one master.
#[derive(Clone)]
pub(in super::super) struct Sentinels {
    sentinels: Arc<[Endpoint]>,
    master: Arc<str>,
    login: Login,
}

/// The answer of a sentinel.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Named {
    /// The number of the failover that made it the master.
    epoch: u64,
    server: Server,
}

impl Sentinels {
    pub(super) fn new(
        sentinels: &[Host],
        of_sentinels: &Login,
        master: &str,
        login: Login,
    ) -> Result<Self, String> {
        let endpoints = sentinels
            .iter()
            .map(|host| Endpoint::new(&Server::Tcp(host.clone()), of_sentinels))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            sentinels: endpoints.into(),
            master: master.into(),
            login,
        })
    }

    /// The master with the highest epoch. Each failover needs the votes of a majority, so the answers of a majority contain the latest one:
    /// a sentinel that does not answer delays nothing. Without a majority, those that answer count.
    pub(super) async fn find(&self) -> Result<Arc<Endpoint>, String> {
        let mut asked = JoinSet::new();
        for number in 0..self.sentinels.len() {
            let sentinels = self.clone();
            asked.spawn(async move {
                let answer = timeout(ANSWER, sentinels.ask_once(number)).await;
                let answer = answer.unwrap_or_else(|_| Err("no answer".to_owned()));
                answer.map_err(|reason| format!("{}: {reason}", sentinels.sentinels[number].server()))
            });
        }
        let (mut named, mut reasons) = (Vec::new(), Vec::new());
        while let Some(answer) = asked.join_next().await {
            match answer.unwrap_or_else(|error| Err(error.to_string())) {
                Ok(master) => named.push(master),
                Err(reason) => reasons.push(reason),
            }
            if named.len() * 2 > self.sentinels.len() {
                break;
            }
        }
        reasons.sort();
        match named.into_iter().max_by_key(|named| named.epoch) {
            Some(named) => {
                let endpoint = Endpoint::new(&named.server, &self.login)?;
                Ok(Arc::new(endpoint.named_in(named.epoch)))
            }
            None => Err(format!("no sentinel names the master: {}", reasons.join("; "))),
        }
    }

    /// Resolves when a sentinel names another master, of a later failover.
    pub(super) async fn superseded(&self, master: &Endpoint) {
        let mut watching = JoinSet::new();
        for number in 0..self.sentinels.len() {
            let (sentinels, server, epoch) = (self.clone(), master.server().clone(), master.epoch());
            watching.spawn(async move {
                let mut logged = false;
                loop {
                    if sentinels.watch(number, &server, epoch, &mut logged).await {
                        return;
                    }
                    sleep(INTERVAL).await;
                }
            });
        }
        if watching.join_next().await.is_none() {
            pending::<()>().await;
        }
    }

    /// Watches one sentinel for as long as it answers. True if it names another master of a later failover.
    async fn watch(&self, number: usize, server: &Server, epoch: u64, logged: &mut bool) -> bool {
        let sentinel = &self.sentinels[number];
        let switched = Arc::new(Notify::new());
        let told = switched.clone();
        let config = config().set_push_sender(move |push: PushInfo| {
            if matches!(push.kind, PushKind::Message | PushKind::Disconnection) {
                told.notify_one();
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
        while let Ok(Ok(named)) = timeout(ANSWER, self.ask(&mut connection)).await {
            if named.server != *server && named.epoch > epoch {
                return true;
            }
            let _ = timeout(INTERVAL, switched.notified()).await;
        }
        false
    }

    async fn ask_once(&self, number: usize) -> Result<Named, String> {
        let connection = self.sentinels[number].connect(&config()).await;
        self.ask(&mut connection.map_err(|error| describe(&error))?).await
    }

    async fn ask(&self, connection: &mut RedisConnection) -> Result<Named, String> {
        let mut command = redis::cmd("SENTINEL");
        command.arg("MASTER").arg(&*self.master);
        let answer: Result<HashMap<String, String>, RedisError> =
            command.query_async(&mut **connection).await;
        let fields = answer.map_err(|error| describe(&error))?;
        let read = || {
            let (name, port) = (fields.get("ip")?.clone(), fields.get("port")?.parse().ok()?);
            let epoch = fields.get("config-epoch")?.parse().ok()?;
            let server = Server::Tcp(Host { name, port });
            Some(Named { epoch, server })
        };
        read().ok_or_else(|| "an answer without address and epoch".to_owned())
    }
}

fn config() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(ANSWER))
        .set_response_timeout(None)
}
