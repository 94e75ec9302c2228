//! Asks one node for its view of the cluster, at intervals and on demand.

use std::time::Duration;

use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep, timeout},
};

use super::{
    super::{
        background::{AbortOnDrop, Backoff},
        call_error::describe,
        endpoint::{Endpoint, Login, RedisConnection},
        url::{Host, Server},
    },
    view::View,
};

/// The interval between two questions.
const INTERVAL: Duration = Duration::from_millis(500);
/// The shortest interval, when views are demanded.
const SHORTEST: Duration = Duration::from_millis(5);
/// The time for an answer, with the connection.
const ANSWER: Duration = Duration::from_secs(1);
const NO_CLUSTER: &str = "the server is no node of a cluster: write redis://host:6379";
/// The command may also have been renamed.
const NO_COMMAND: &str =
    "the server does not know CLUSTER; for a sentinel, write redis+sentinel://host:26379/name-of-the-master";

/// The answer of a node, or the reason why there is none.
pub(super) struct Report {
    pub(super) host: Host,
    /// When the node was asked.
    pub(super) sent: Instant,
    pub(super) view: Result<View, String>,
}

/// Asks one node.
pub(super) struct Watcher {
    pub(super) host: Host,
    pub(super) login: Login,
    pub(super) reports: mpsc::Sender<Report>,
    /// Changes when new views are demanded.
    pub(super) demand: watch::Receiver<u64>,
}

impl Watcher {
    /// Starts the task, which ends when the guard is dropped.
    pub(super) fn start(self) -> AbortOnDrop {
        AbortOnDrop(tokio::spawn(self.run()))
    }

    async fn run(mut self) {
        let mut backoff = Backoff::new();
        loop {
            let began = Instant::now();
            let Err(reason) = self.watch().await else {
                return;
            };
            if self.report(began, Err(reason)).await.is_err() {
                return;
            }
            if began.elapsed() > ANSWER {
                backoff.reset();
            }
            backoff.wait().await;
        }
    }

    /// Asks while the node answers. Returns `Ok` if nobody needs the reports any longer.
    async fn watch(&mut self) -> Result<(), String> {
        let endpoint = Endpoint::new(&Server::Tcp(self.host.clone()), &self.login)?;
        let connection = endpoint.connect_within(ANSWER).await;
        let mut connection = connection.map_err(|error| describe(&error))?;
        loop {
            // A demand that arrives during a question needs another question.
            self.demand.borrow_and_update();
            let sent = Instant::now();
            let answer = timeout(ANSWER, self.ask(&mut connection)).await;
            let view = answer.unwrap_or_else(|_| Err("no answer".to_owned()))?;
            if self.report(sent, Ok(view)).await.is_err() {
                return Ok(());
            }
            sleep(SHORTEST).await;
            if let Ok(Err(_)) = timeout(INTERVAL, self.demand.changed()).await {
                return Ok(());
            }
        }
    }

    async fn ask(&self, connection: &mut RedisConnection) -> Result<View, String> {
        let mut command = redis::cmd("CLUSTER");
        command.arg("NODES");
        let answer: String = command
            .query_async(&mut **connection)
            .await
            .map_err(|error| match describe(&error) {
                reason if reason.contains("cluster support disabled") => NO_CLUSTER.to_owned(),
                reason if reason.contains("unknown command") => format!("{NO_COMMAND} ({reason})"),
                reason => reason,
            })?;
        View::parse(&answer, &self.host, self.login.tls)
            .ok_or_else(|| "CLUSTER NODES has an answer of an unknown form".to_owned())
    }

    async fn report(&self, sent: Instant, view: Result<View, String>) -> Result<(), ()> {
        let report = Report {
            host: self.host.clone(),
            sent,
            view,
        };
        self.reports.send(report).await.map_err(|_| ())
    }
}
