//! A server's address, and how connections to it are opened.

use std::{
    io,
    ops::{Deref, DerefMut},
    sync::Arc,
    time::Duration,
};

use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, IntoConnectionInfo as _, ProtocolVersion,
    RedisConnectionInfo, RedisResult, aio::MultiplexedConnection, io::tcp::TcpSettings,
};

use tokio::time::timeout;

#[cfg(feature = "tls")]
use super::tls::{Tls, TlsFiles};
use super::{background::AbortOnDrop, lease::Lease, url::Server};

/// Opens connections to one server.
#[derive(Clone)]
pub(super) struct Endpoint {
    server: Server,
    /// The configuration epoch of the failover by which sentinels name this server. 0 without sentinels.
    config_epoch: u64,
    /// The time until which the server may be used as the master.
    lease: Lease,
    client: Client,
    #[cfg(feature = "tls")]
    tls: Option<Tls>,
    /// The number of connection attempts that panic.
    #[cfg(test)]
    pub(super) injected_panics: Arc<std::sync::atomic::AtomicU32>,
}

/// How a connection begins: user, database and TLS. The same for all servers of a store.
#[derive(Clone, Default)]
pub(super) struct Login {
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
    pub(super) database: u32,
    pub(super) tls: bool,
    #[cfg(feature = "tls")]
    pub(super) tls_files: TlsFiles,
}

/// An open connection. Clones share it; it closes with the last of them.
#[derive(Clone)]
pub(super) struct RedisConnection {
    connection: MultiplexedConnection,
    /// The task that drives a TLS connection. The library drives the others itself.
    _driver: Option<Arc<AbortOnDrop>>,
}

/// The configuration of a connection that must be opened within a time limit. Each call over it has its own deadline.
pub(super) fn connection_config(limit: Duration) -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(limit))
        .set_response_timeout(None)
}

impl Endpoint {
    pub(super) fn new(server: &Server, login: &Login) -> Result<Self, String> {
        let address = match server {
            Server::Unix(path) => ConnectionAddr::Unix(path.clone()),
            Server::Tcp(host) => ConnectionAddr::Tcp(host.name.clone(), host.port),
        };
        if login.tls && cfg!(not(feature = "tls")) {
            return Err("TLS to Redis needs the feature tls".into());
        }
        let mut settings = RedisConnectionInfo::default()
            .set_db(login.database.into())
            // RESP3 has the disconnection push, so a lost connection is replaced before the next request needs it.
            .set_protocol(ProtocolVersion::RESP3);
        if let Some(username) = &login.username {
            settings = settings.set_username(username);
        }
        if let Some(password) = &login.password {
            settings = settings.set_password(password);
        }
        let info = address
            .into_connection_info()
            .map_err(|error| error.to_string())?;
        let info = info
            .set_tcp_settings(TcpSettings::default().set_nodelay(true))
            .set_redis_settings(settings);
        Ok(Self {
            server: server.clone(),
            config_epoch: 0,
            lease: Lease::permanent(),
            client: Client::open(info).map_err(|error| error.to_string())?,
            #[cfg(feature = "tls")]
            tls: match server {
                Server::Tcp(host) if login.tls => Some(Tls::new(host, &login.tls_files)?),
                _ => None,
            },
            #[cfg(test)]
            injected_panics: Arc::default(),
        })
    }

    pub(super) const fn has_tls(&self) -> bool {
        #[cfg(feature = "tls")]
        return self.tls.is_some();
        #[cfg(not(feature = "tls"))]
        false
    }

    /// The same server, named by sentinels in this configuration epoch, under a lease.
    pub(super) fn named_in(mut self, config_epoch: u64, lease: Lease) -> Self {
        self.config_epoch = config_epoch;
        self.lease = lease;
        self
    }

    pub(super) const fn lease(&self) -> &Lease {
        &self.lease
    }

    pub(super) const fn config_epoch(&self) -> u64 {
        self.config_epoch
    }

    pub(super) const fn server(&self) -> &Server {
        &self.server
    }

    /// Connects within a time limit. The library's own limit does not cover the whole handshake.
    pub(super) async fn connect_within(&self, limit: Duration) -> RedisResult<RedisConnection> {
        let connected = timeout(limit, self.connect(&connection_config(limit))).await;
        connected.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
    }

    pub(super) async fn connect(&self, config: &AsyncConnectionConfig) -> RedisResult<RedisConnection> {
        #[cfg(test)]
        self.panic_if_injected();
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            let stream = tls.connect().await?;
            let settings = self.client.get_connection_info().redis_settings();
            let (connection, driver) =
                MultiplexedConnection::new_with_config(settings, stream, config.clone()).await?;
            return Ok(RedisConnection {
                connection,
                _driver: Some(Arc::new(AbortOnDrop(tokio::spawn(driver)))),
            });
        }
        let connection = self
            .client
            .get_multiplexed_async_connection_with_config(config)
            .await?;
        Ok(RedisConnection {
            connection,
            _driver: None,
        })
    }

    #[cfg(test)]
    fn panic_if_injected(&self) {
        use std::sync::atomic::Ordering;
        let count = self
            .injected_panics
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        assert!(count.is_err(), "an injected panic");
    }
}

impl Deref for RedisConnection {
    type Target = MultiplexedConnection;

    fn deref(&self) -> &Self::Target {
        &self.connection
    }
}

impl DerefMut for RedisConnection {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.connection
    }
}
