//! The master that sentinels name, and its replacement by a failover.
//!
//! Any sentinel can be asked. It answers from its own view, which changes at a failover: it is told of that by its peers within a second. A
//! sentinel publishes the change on the channel `+switch-master`, and the name of the master is asked for at intervals too, since a message
//! can be lost.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use redis::{AsyncConnectionConfig, PushInfo, PushKind, RedisError, aio::SendError};
use tokio::{sync::Notify, time::timeout};

use super::super::{
    background::Backoff,
    endpoint::{Endpoint, Login, RedisConnection},
    role::describe,
    url::{Host, Server},
};

/// The time for one sentinel to answer, with its connection.
const ANSWER: Duration = Duration::from_millis(500);
/// The interval in which a sentinel is asked, also without a message.
const INTERVAL: Duration = Duration::from_millis(500);
const CHANNEL: &str = "+switch-master";

/// The sentinels of one master. Clones share the one that has answered last.
#[derive(Clone)]
pub(in super::super) struct Sentinels {
    sentinels: Arc<[Endpoint]>,
    preferred: Arc<AtomicUsize>,
    master: String,
    login: Login,
}

impl Sentinels {
    pub(super) fn new(
        sentinels: &[Host],
        of_sentinels: &Login,
        master: String,
        login: Login,
    ) -> Result<Self, String> {
        let endpoints = sentinels
            .iter()
            .map(|host| Endpoint::new(&Server::Tcp(host.clone()), of_sentinels))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            sentinels: endpoints.into(),
            preferred: Arc::default(),
            master,
            login,
        })
    }

    /// The master that the first sentinel names that answers.
    pub(super) async fn find(&self) -> Result<Arc<Endpoint>, String> {
        let mut reasons = Vec::new();
        for (number, sentinel) in self.in_order() {
            match self.ask_once(sentinel).await {
                Ok(master) => {
                    self.preferred.store(number, Ordering::Relaxed);
                    return Endpoint::new(&master, &self.login).map(Arc::new);
                }
                Err(reason) => reasons.push(format!("{}: {reason}", sentinel.server())),
            }
        }
        Err(format!("no sentinel names the master: {}", reasons.join("; ")))
    }

    /// Resolves when a sentinel names another master than this server.
    pub(super) async fn superseded(&self, server: &Server) {
        let mut backoff = Backoff::new();
        loop {
            for (number, sentinel) in self.in_order() {
                if let Some(true) = self.watch(sentinel, server, &mut backoff).await {
                    self.preferred.store(number, Ordering::Relaxed);
                    return;
                }
            }
            backoff.wait().await;
        }
    }

    /// Watches one sentinel for as long as it answers. `Some(true)` if it names another master.
    async fn watch(&self, sentinel: &Endpoint, server: &Server, backoff: &mut Backoff) -> Option<bool> {
        let switched = Arc::new(Notify::new());
        let told = switched.clone();
        let config = config().set_push_sender(move |push: PushInfo| {
            if matches!(push.kind, PushKind::Message | PushKind::Disconnection) {
                told.notify_one();
            }
            Ok::<_, SendError>(())
        });
        let mut connection = timeout(ANSWER, sentinel.connect(&config)).await.ok()?.ok()?;
        let mut subscribe = redis::cmd("SUBSCRIBE");
        subscribe.arg(CHANNEL);
        timeout(ANSWER, subscribe.exec_async(&mut *connection))
            .await
            .ok()?
            .ok()?;
        loop {
            let named = timeout(ANSWER, self.ask(&mut connection)).await.ok()?.ok()?;
            backoff.reset();
            if named != *server {
                return Some(true);
            }
            let _ = timeout(INTERVAL, switched.notified()).await;
        }
    }

    async fn ask_once(&self, sentinel: &Endpoint) -> Result<Server, String> {
        let asked = async {
            let mut connection = sentinel
                .connect(&config())
                .await
                .map_err(|error| describe(&error))?;
            self.ask(&mut connection).await
        };
        timeout(ANSWER, asked)
            .await
            .unwrap_or_else(|_| Err("no answer".into()))
    }

    async fn ask(&self, connection: &mut RedisConnection) -> Result<Server, String> {
        let mut command = redis::cmd("SENTINEL");
        command.arg("GET-MASTER-ADDR-BY-NAME").arg(&self.master);
        let named: Result<Option<(String, u16)>, RedisError> = command.query_async(&mut **connection).await;
        match named {
            Ok(Some((name, port))) => Ok(Server::Tcp(Host { name, port })),
            Ok(None) => Err("it has no master of this name".into()),
            Err(error) => Err(describe(&error)),
        }
    }

    /// All sentinels, the one first that has answered last.
    fn in_order(&self) -> impl Iterator<Item = (usize, &Endpoint)> {
        let count = self.sentinels.len();
        let first = self.preferred.load(Ordering::Relaxed);
        (0..count).map(move |offset| {
            let number = (first + offset) % count;
            (number, &self.sentinels[number])
        })
    }
}

fn config() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(ANSWER))
        .set_response_timeout(None)
}
