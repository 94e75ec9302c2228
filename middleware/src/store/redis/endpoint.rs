//! The server's address, and how connections to it are opened.

use std::{
    ops::{Deref, DerefMut},
    sync::Arc,
};

use redis::{AsyncConnectionConfig, Client, RedisResult, aio::MultiplexedConnection};

use super::background::AbortOnDrop;
#[cfg(feature = "tls")]
use super::tls::Tls;

/// Opens connections to one server.
#[derive(Clone)]
pub(super) struct Endpoint {
    client: Client,
    #[cfg(feature = "tls")]
    tls: Option<Tls>,
    /// The number of connection attempts that panic.
    #[cfg(test)]
    pub(super) injected_panics: Arc<std::sync::atomic::AtomicU32>,
}

/// An open connection. Clones share it; it closes with the last of them.
#[derive(Clone)]
pub(super) struct RedisConnection {
    connection: MultiplexedConnection,
    /// The task that drives a TLS connection. The library drives the others itself.
    _driver: Option<Arc<AbortOnDrop>>,
}

impl Endpoint {
    pub(super) fn new(client: Client) -> Result<Self, String> {
        Ok(Self {
            #[cfg(feature = "tls")]
            tls: Tls::of(client.get_connection_info().addr())?,
            client,
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
