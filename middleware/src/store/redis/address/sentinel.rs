//! The master that sentinels name.
//!
//! All sentinels are asked, since one of them can be cut off from the others and name a master that they have replaced. Each failover has
//! a higher configuration epoch: the answer with the highest one counts. With a lease, a majority of all sentinels must confirm it.

use std::{collections::HashMap, sync::Arc, time::Duration};

use redis::RedisError;
use tokio::{
    task::JoinSet,
    time::{Instant, timeout},
};

use super::{
    super::{
        call_error::describe,
        endpoint::{Endpoint, Login, RedisConnection, connection_config},
        lease::Lease,
        url::{Host, Server},
    },
    confirmed::{Answer, NamedMaster, confirmed, latest},
};

/// The time for a sentinel to answer, with its connection.
pub(super) const ANSWER: Duration = Duration::from_secs(1);
/// The shortest and the longest interval in which a sentinel is asked.
const MIN_INTERVAL: Duration = Duration::from_millis(50);
const MAX_INTERVAL: Duration = Duration::from_millis(500);

/// The sentinels of one master.
#[derive(Clone)]
pub(in super::super) struct Sentinels {
    pub(super) sentinels: Arc<[Endpoint]>,
    master: Arc<str>,
    login: Login,
    /// The time for which a majority of the sentinels confirms the master. Zero: without an end.
    pub(super) lease: Duration,
}

impl Sentinels {
    pub(super) fn new(
        sentinels: &[Host],
        of_sentinels: &Login,
        master: &str,
        login: Login,
        lease: Duration,
    ) -> Result<Self, String> {
        let endpoints = sentinels
            .iter()
            .map(|host| Endpoint::new(&Server::Tcp(host.clone()), of_sentinels))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            sentinels: endpoints.into(),
            master: master.into(),
            login,
            lease,
        })
    }

    /// The master with the highest epoch. Each failover needs the votes of a majority, so the answers of a majority contain the latest one:
    /// a sentinel that does not answer delays nothing. Without a lease and without a majority, those that answer count.
    pub(super) async fn find(&self) -> Result<Arc<Endpoint>, String> {
        let mut asked = JoinSet::new();
        for number in 0..self.sentinels.len() {
            let sentinels = self.clone();
            asked.spawn(async move {
                let sent = Instant::now();
                let answer = timeout(ANSWER, sentinels.ask_once(number)).await;
                let named = answer.unwrap_or_else(|_| Err("no answer".to_owned()));
                let named =
                    named.map_err(|reason| format!("{}: {reason}", sentinels.sentinels[number].server()))?;
                Ok(Answer {
                    sentinel: number,
                    sent,
                    named,
                })
            });
        }
        let (mut answers, mut reasons) = (Vec::new(), Vec::new());
        while let Some(answer) = asked.join_next().await {
            match answer.unwrap_or_else(|error| Err(error.to_string())) {
                Ok(answer) => answers.push(answer),
                Err(reason) => reasons.push(reason),
            }
            if let Some(endpoint) = self.choose(&answers)? {
                return Ok(endpoint);
            }
        }
        if self.lease.is_zero()
            && let Some(named) = latest(&answers)
        {
            return self.endpoint(named, Lease::permanent());
        }
        let problem = if answers.is_empty() {
            "no sentinel names the master"
        } else {
            "no majority confirms the master"
        };
        let named = answers.iter().map(|answer| {
            let (sentinel, master) = (&self.sentinels[answer.sentinel], &answer.named.server);
            format!("{}: names {master}", sentinel.server())
        });
        reasons.extend(named);
        reasons.sort();
        Err(format!("{problem}: {}", reasons.join("; ")))
    }

    /// The master, if these answers suffice.
    fn choose(&self, answers: &[Answer]) -> Result<Option<Arc<Endpoint>>, String> {
        if self.lease.is_zero() {
            let is_majority = answers.len() * 2 > self.sentinels.len();
            return latest(answers)
                .filter(|_| is_majority)
                .map(|named| self.endpoint(named, Lease::permanent()))
                .transpose();
        }
        let Some((named, since)) = confirmed(answers, self.sentinels.len()) else {
            return Ok(None);
        };
        let lease = Lease::ended();
        lease.extend(since + self.lease);
        self.endpoint(named, lease).map(Some)
    }

    fn endpoint(&self, named: &NamedMaster, lease: Lease) -> Result<Arc<Endpoint>, String> {
        let endpoint = Endpoint::new(&named.server, &self.login)?;
        Ok(Arc::new(endpoint.named_in(named.config_epoch, lease)))
    }

    /// The interval in which a sentinel is asked. Several answers fit into a lease.
    pub(super) fn interval(&self) -> Duration {
        if self.lease.is_zero() {
            return MAX_INTERVAL;
        }
        (self.lease / 6).clamp(MIN_INTERVAL, MAX_INTERVAL)
    }

    async fn ask_once(&self, number: usize) -> Result<NamedMaster, String> {
        let connection = self.sentinels[number].connect(&connection_config(ANSWER)).await;
        let mut connection = connection.map_err(|error| {
            let reason = describe(&error);
            if reason.contains("NOAUTH") || reason.contains("WRONGPASS") {
                format!("the sentinel refuses sentinel_user and sentinel_password: {reason}")
            } else {
                reason
            }
        })?;
        self.ask(&mut connection).await
    }

    pub(super) async fn ask(&self, connection: &mut RedisConnection) -> Result<NamedMaster, String> {
        let mut command = redis::cmd("SENTINEL");
        command.arg("MASTER").arg(&*self.master);
        let answer: Result<HashMap<String, String>, RedisError> =
            command.query_async(&mut **connection).await;
        let fields = answer.map_err(|error| describe(&error))?;
        let read = || {
            let (name, port) = (fields.get("ip")?.clone(), fields.get("port")?.parse().ok()?);
            let config_epoch = fields.get("config-epoch")?.parse().ok()?;
            let server = Server::Tcp(Host { name, port });
            Some(NamedMaster { config_epoch, server })
        };
        read().ok_or_else(|| "an answer without address and epoch".to_owned())
    }
}
